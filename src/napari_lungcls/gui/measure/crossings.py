"""Buttons for a number of crossings, 0 to 9, and a field for more."""

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QSpinBox, QWidget

from napari_lungcls.gui.parts import SPACING, beside, button, column

ROW = 5
MOST = 999


class Crossings(QWidget):
    """Asks for a number of crossings."""

    chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        grid = QGridLayout()
        grid.setSpacing(SPACING // 2)
        for number in range(10):
            digit = button(str(number), f"crossings_{number}", f"Answer {number} (key {number})")
            # The keys must go on reaching the image after a click here.
            digit.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            digit.setMinimumWidth(24)
            digit.clicked.connect(lambda _=False, n=number: self.chosen.emit(n))
            grid.addWidget(digit, number // ROW, number % ROW)
        self.more = QSpinBox()
        self.more.setObjectName("crossings_more")
        self.more.setRange(10, MOST)
        self.enter = button("Answer", "crossings_enter", "Answer with this number")
        self.enter.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.enter.clicked.connect(self._on_more)
        layout = column(self)
        layout.addLayout(grid)
        layout.addWidget(beside(QLabel("More"), (self.more, 1), (self.enter, 1)))
        layout.addStretch(1)

    def clear(self) -> None:
        """Show the smallest number again in the field for more."""
        self.more.setValue(self.more.minimum())

    def _on_more(self) -> None:
        self.more.interpretText()
        number = self.more.value()
        # The field has to let the keys of the next question go.
        self.more.clearFocus()
        self.chosen.emit(number)
