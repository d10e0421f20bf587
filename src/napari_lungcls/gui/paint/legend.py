"""The legend of a painted map: colours, names, shares, and what lies under the cursor."""

from collections.abc import Mapping, Sequence

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QColor, QPainter, QPaintEvent
from qtpy.QtWidgets import QGridLayout, QLabel, QSizePolicy, QToolButton, QWidget

from napari_lungcls.annotation import ClassScheme
from napari_lungcls.gui.parts import SPACING, color_icon
from napari_lungcls.utils.humanize import percent

NAME_WIDTH = 90
"""Pixels that the name of a class may take; longer ones are cut, the tooltip has them whole."""


class Bar(QWidget):
    """A thin bar for a number from 0 to 1, in the colour of a class."""

    def __init__(self, color: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._color, self._value = QColor(color), 0.0
        self.setMinimumWidth(40)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    @property
    def value(self) -> float:
        """What it shows."""
        return self._value

    @value.setter
    def value(self, value: float) -> None:
        if value != self._value:
            self._value = value
            self.update()

    def sizeHint(self) -> QSize:
        """Ask for a line's height."""
        return QSize(60, 10)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the bar in a thin frame that shows in either theme."""
        painter = QPainter(self)
        painter.fillRect(0, 0, round(self.width() * self._value), self.height(), self._color)
        painter.setPen(QColor(128, 128, 128))
        painter.drawRect(0, 0, self.width() - 1, self.height() - 1)
        painter.end()


class Legend(QWidget):
    """A row for each class; a click on its name hides or shows the class."""

    hidden_changed = Signal(object)
    """The codes of the classes that are hidden, a frozenset."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("legend")
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(SPACING)
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnStretch(2, 1)
        self.names: list[QToolButton] = []
        self.shares: list[QLabel] = []
        self.bars: list[Bar] = []
        self.probabilities: list[QLabel] = []
        self._scheme: ClassScheme | None = None

    def set_scheme(self, scheme: ClassScheme | None, hidden: frozenset[int] = frozenset()) -> None:
        """Show the classes of another map; None empties the legend."""
        if scheme != self._scheme:
            self._scheme = scheme
            self._build(scheme)
        for code, button in enumerate(self.names):
            button.blockSignals(True)
            button.setChecked(code not in hidden)
            button.blockSignals(False)
        self._show_hidden()
        self.set_shares(None)
        self.set_probabilities(None)

    def set_shares(self, shares: Mapping[str, float] | None) -> None:
        """Show each class's share of the painted cells; nothing while they are not known."""
        if self._scheme is None:
            return
        known = shares if shares is not None and any(shares.values()) else None
        for name, label in zip(self._scheme.names, self.shares, strict=True):
            label.setText("" if known is None else percent(known[name]))

    def set_probabilities(self, probabilities: Sequence[float] | None) -> None:
        """Show the probabilities under the cursor; nothing where there are none."""
        for code, (bar, label) in enumerate(zip(self.bars, self.probabilities, strict=True)):
            bar.value = 0.0 if probabilities is None else float(probabilities[code])
            label.setText("" if probabilities is None else percent(probabilities[code], 0))

    def _build(self, scheme: ClassScheme | None) -> None:
        while (item := self._grid.takeAt(0)) is not None:
            if (old := item.widget()) is not None:
                old.hide()
                old.deleteLater()
        self.names, self.shares, self.bars, self.probabilities = [], [], [], []
        if scheme is None:
            return
        for column, text in ((0, "Class"), (1, "Share"), (2, "At cursor")):
            title = QLabel(text)
            title.setEnabled(False)
            self._grid.addWidget(title, 0, column)
        for code, spec in enumerate(scheme.classes):
            self._add_row(code + 1, spec.name, spec.color)

    def _add_row(self, row: int, name: str, color: str) -> None:
        button, share, bar, probabilities = QToolButton(), QLabel(), Bar(color), QLabel()
        metrics = button.fontMetrics()
        button.setIcon(color_icon(color))
        button.setText(f" {metrics.elidedText(name, Qt.TextElideMode.ElideRight, NAME_WIDTH)}")
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.setCheckable(True)
        button.setAutoRaise(True)
        button.setToolTip(f"{name}: click to hide or show it")
        button.toggled.connect(self._on_toggle)
        share.setToolTip("Share of the painted cells, not corrected")
        bar.setToolTip(f"Probability of {name} under the cursor")
        share.setMinimumWidth(share.fontMetrics().horizontalAdvance("100.0 %"))
        probabilities.setMinimumWidth(probabilities.fontMetrics().horizontalAdvance("100 %"))
        for label in (share, probabilities):
            label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        for column, widget in enumerate((button, share, bar, probabilities)):
            self._grid.addWidget(widget, row, column)
        self.names.append(button)
        self.shares.append(share)
        self.bars.append(bar)
        self.probabilities.append(probabilities)

    def _show_hidden(self) -> None:
        """Leave the square of a hidden class empty."""
        if self._scheme is not None:
            for button, color in zip(self.names, self._scheme.colors, strict=True):
                button.setIcon(color_icon(color if button.isChecked() else "transparent"))

    def _on_toggle(self, checked: bool) -> None:
        self._show_hidden()
        hidden = (code for code, button in enumerate(self.names) if not button.isChecked())
        self.hidden_changed.emit(frozenset(hidden))
