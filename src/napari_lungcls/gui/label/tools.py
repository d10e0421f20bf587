"""The tools of the window for labelling: where to go, what to show, what the right button does."""

from collections.abc import Callable

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QGridLayout, QLabel, QPushButton, QWidget

from napari_lungcls.gui.label.controller import Labeller
from napari_lungcls.gui.label.edge_frame import EdgeFrame
from napari_lungcls.gui.parts import SPACING, beside, button, color_icon, column, narrow

ALL, OFF = "all classes", "no class"


class LabelTools(QWidget):
    """Buttons and choices of a labeller.

    Parameters
    ----------
    labeller
        The labeller.
    """

    wanted = Signal(object)
    """Something to be done, a function that may raise `InputError`."""

    def __init__(self, labeller: Labeller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._labeller, tour = labeller, labeller.tour
        self.frame = EdgeFrame(labeller)
        self.previous = self._button(
            "previous_point", "← Point", "Go to the point before, and select it (,)"
        )
        self.following = self._button(
            "next_point", "Point →", "Go to the next point, and select it (.)"
        )
        self.unlabelled = self._button(
            "next_unlabelled",
            "Next unlabelled",
            "Go to the next plane without a point, then to the next image without any",
        )
        self.field = self._button(
            "random_field",
            "Random field",
            "Go to a random place on tissue, in another plane each time. Labelling what is\n"
            "found there keeps the points from being only those that strike the eye.",
        )
        for made, act in (
            (self.previous, lambda: tour.step(-1)),
            (self.following, lambda: tour.step(1)),
            (self.unlabelled, tour.next_unlabelled),
            (self.field, tour.random_field),
        ):
            made.clicked.connect(self._asking(act))
        self.edge = QCheckBox("Edge frame")
        self.edge.setObjectName("edge_frame")
        self.edge.toggled.connect(self.frame.switch)
        self.only = self._choice("show_only", "Show the points of one class and hide the others")
        self.right = self._choice(
            "right_click",
            "What a click with the right button labels, while the left one labels the chosen\n"
            "class. Dragging with it zooms, as ever.",
        )
        self.only.activated.connect(self._on_only)
        self.right.activated.connect(self._on_right)
        self._lay_out()

    def _button(self, name: str, text: str, tip: str) -> QPushButton:
        made = button(text, name, tip)
        made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        made.setMinimumWidth(0)
        return made

    def _choice(self, name: str, tip: str) -> QComboBox:
        made = QComboBox()
        made.setObjectName(name)
        made.setToolTip(tip)
        narrow(made, 8)
        return made

    def _lay_out(self) -> None:
        whole, choices = column(self), QGridLayout()
        whole.addWidget(beside(self.previous, self.following, (self.unlabelled, 1)))
        whole.addWidget(beside((self.field, 1), self.edge))
        for row, (text, box) in enumerate((("Show", self.only), ("Right click", self.right))):
            label = QLabel(text)
            label.setBuddy(box)
            box.setAccessibleName(text)
            choices.addWidget(label, row, 0)
            choices.addWidget(box, row, 1)
        choices.setColumnStretch(1, 1)
        choices.setSpacing(SPACING)
        whole.addLayout(choices)

    def _asking(self, act: Callable[[], None]) -> Callable[[], None]:
        return lambda: self.wanted.emit(act)

    def _on_only(self, index: int) -> None:
        name = self.only.itemData(index)
        self.wanted.emit(lambda: self._labeller.tour.show_only(name))

    def _on_right(self, index: int) -> None:
        name = self.right.itemData(index)
        self.wanted.emit(lambda: self._labeller.right_click.choose(name))

    def show_scheme(self) -> None:
        """Offer the classes."""
        for box, none in ((self.only, ALL), (self.right, OFF)):
            with QSignalBlocker(box):
                box.clear()
                box.addItem(none, None)
                for spec in self._labeller.scheme.classes:
                    box.addItem(color_icon(spec.color), spec.name, spec.name)
        self.show_state()

    def show_state(self) -> None:
        """Show what is chosen, and enable what can be done."""
        labeller = self._labeller
        chosen = ((self.only, labeller.tour.only), (self.right, labeller.right_click.name))
        for box, name in chosen:
            names = [box.itemData(i) for i in range(box.count())]
            with QSignalBlocker(box):
                box.setCurrentIndex(names.index(name) if name in names else 0)
        points = labeller.annotation is not None and len(labeller.annotation.points) > 0
        for widget in (self.previous, self.following):
            widget.setEnabled(points)
        for widget in (self.unlabelled, self.field, self.edge):
            widget.setEnabled(labeller.image is not None)
        self.edge.setToolTip(self.frame.words())
