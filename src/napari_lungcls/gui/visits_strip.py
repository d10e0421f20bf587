"""A line that says which point is visited, with buttons to the previous and the next."""

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QSizePolicy, QToolButton, QWidget

from napari_lungcls.gui.lifetime import listen
from napari_lungcls.gui.parts import beside, column, note
from napari_lungcls.gui.visiting import Visits


class VisitsStrip(QWidget):
    """Shows where a series of points stands; hidden while none is visited.

    Parameters
    ----------
    visits
        What it shows.
    name
        Prefix of the object names.
    """

    def __init__(self, visits: Visits, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._visits = visits
        self.words = note(name=f"{name}_visited")
        self.previous_button = self._arrow(
            Qt.ArrowType.LeftArrow, f"{name}_previous", "Previous point"
        )
        self.next_button = self._arrow(Qt.ArrowType.RightArrow, f"{name}_next", "Next point")
        self.previous_button.clicked.connect(lambda: self._visits.step(-1))
        self.next_button.clicked.connect(lambda: self._visits.step(1))
        self._row = beside((self.words, 1), self.previous_button, self.next_button)
        column(self).addWidget(self._row)
        listen(self, visits.changed, slot=self._show)
        self._show()

    def _show(self) -> None:
        self.words.setText(self._visits.words)
        self.setVisible(bool(self._visits.words))
        for arrow in (self.previous_button, self.next_button):
            arrow.setVisible(len(self._visits) > 1)

    def _arrow(self, arrow: Qt.ArrowType, name: str, tooltip: str) -> QToolButton:
        made = QToolButton()
        made.setArrowType(arrow)
        made.setObjectName(name)
        made.setToolTip(tooltip)
        made.setAccessibleName(tooltip)
        made.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        return made
