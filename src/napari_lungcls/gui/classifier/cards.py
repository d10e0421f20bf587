"""The first question about an image: which classes to label."""

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLabel, QLineEdit, QPushButton, QSizePolicy, QWidget

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.gui.parts import MARGIN, beside, button, column, note
from napari_lungcls.gui.titles import in_window

OWN_NAME = "my classes"
EXAMPLE = "alveoli, septa, airway, vessel, outside"


class ClassCards(QWidget):
    """Which classes to label, asked once and only before the first point."""

    chosen = Signal(object)
    """A class scheme."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.lung = _card("lung", "Lung (3 classes)", "alveoli, septa, ducts")
        self.full = _card("lung-full", "Lung, full", "airways, vessels and outside too")
        self.own = _card("own", "My own", "any tissue: you name the classes")
        self.names = QLineEdit()
        self.names.setObjectName("own_classes")
        self.names.setPlaceholderText(EXAMPLE)
        self.names.setToolTip("Names of your classes with commas between them")
        self.use_button = button("Use", "use_own_classes", "Label these classes")
        self.row, self.problem = beside((self.names, 1), self.use_button), note(name="own_problem")
        self.row.hide()
        self.problem.hide()
        layout = column(self, MARGIN)
        layout.setContentsMargins(MARGIN, 0, MARGIN, 0)
        layout.addWidget(QLabel("What do you want to tell apart?"))
        for widget in (self.lung, self.full, self.own, self.row, self.problem):
            layout.addWidget(widget)
        self.lung.clicked.connect(lambda: self.chosen.emit(ClassScheme.preset("lung")))
        self.full.clicked.connect(lambda: self.chosen.emit(ClassScheme.preset("lung-full")))
        self.own.clicked.connect(self._ask_names)
        self.use_button.clicked.connect(self._use)
        self.names.returnPressed.connect(self._use)
        self.names.textChanged.connect(self.problem.hide)

    def _ask_names(self) -> None:
        self.row.show()
        self.names.setFocus()

    def _use(self) -> None:
        names = [name for part in self.names.text().split(",") if (name := part.strip())]
        try:
            if len(names) < 2:
                raise InputError(f"name at least two classes, such as {EXAMPLE}")
            scheme = ClassScheme.of_names(names, OWN_NAME)
        except InputError as error:
            self.problem.setText(in_window(error))
            self.problem.show()
            return
        self.problem.hide()
        self.chosen.emit(scheme)


def _card(name: str, title: str, words: str) -> QPushButton:
    made = button(f"{title}\n{words}", f"card_{name}")
    made.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    made.setStyleSheet("QPushButton { text-align: left; padding: 7px 10px; }")
    return made
