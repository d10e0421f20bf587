"""The legend of a painted map: class colours, names, shares, and probabilities at the cursor."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QProgressBar, QToolButton, QWidget

from napari_lungcls.annotation import ClassScheme
from napari_lungcls.gui.parts import SPACING, color_icon

NAME_WIDTH = 90
"""Greatest width of a class name in pixels; longer names are elided."""


BAR = """
QProgressBar {{ background: transparent; border: 1px solid gray; }}
QProgressBar::chunk {{ background: {}; }}
"""
"""A thin frame that is visible in both themes, filled with the colour of a class."""


class Legend(QWidget):
    """One row per class; clicking a class name hides or shows the class."""

    hidden_changed = Signal(object)
    """Frozenset of the codes of the hidden classes."""

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
        self.bars: list[QProgressBar] = []
        self.probabilities: list[QLabel] = []
        self._scheme: ClassScheme | None = None

    def set_scheme(self, scheme: ClassScheme | None, hidden: frozenset[int] = frozenset()) -> None:
        """Show the classes of another map; None empties the legend."""
        if scheme != self._scheme:
            self._scheme = scheme
            self._build(scheme)
        for code, name in enumerate(self.names):
            with QSignalBlocker(name):
                name.setChecked(code not in hidden)
        self._show_hidden()
        self.set_shares(None)
        self.set_probabilities(None)

    def set_shares(self, shares: Mapping[str, float] | None) -> None:
        """Show the share of each class in the painted cells, or nothing if not known."""
        if self._scheme is None:
            return
        known = shares if shares is not None and any(shares.values()) else None
        for name, label in zip(self._scheme.names, self.shares, strict=True):
            label.setText("" if known is None else f"{100 * known[name]:.1f} %")

    def set_probabilities(self, probabilities: NDArray[np.float32] | None) -> None:
        """Show the probabilities at the cursor, or nothing if there are none."""
        for code, (bar, label) in enumerate(zip(self.bars, self.probabilities, strict=True)):
            value = None if probabilities is None else float(probabilities[code])
            bar.setValue(round(100 * (value or 0.0)))
            label.setText("" if value is None else f"{100 * value:.0f} %")

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
        toggle, share, bar, probability = QToolButton(), QLabel(), QProgressBar(), QLabel()
        metrics = toggle.fontMetrics()
        toggle.setIcon(color_icon(color))
        toggle.setText(f" {metrics.elidedText(name, Qt.TextElideMode.ElideRight, NAME_WIDTH)}")
        toggle.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        toggle.setCheckable(True)
        toggle.setAutoRaise(True)
        toggle.setToolTip(f"{name}: click to hide or show this class")
        toggle.toggled.connect(self._on_toggle)
        share.setToolTip("Share of the painted cells, not corrected for model errors")
        bar.setTextVisible(False)
        bar.setFixedHeight(10)
        bar.setMinimumWidth(40)
        bar.setStyleSheet(BAR.format(color))
        bar.setToolTip(f"Probability of {name} at the cursor")
        for label, widest in ((share, "100.0 %"), (probability, "100 %")):
            label.setMinimumWidth(label.fontMetrics().horizontalAdvance(widest))
            label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        for column, widget in enumerate((toggle, share, bar, probability)):
            self._grid.addWidget(widget, row, column)
        self.names.append(toggle)
        self.shares.append(share)
        self.bars.append(bar)
        self.probabilities.append(probability)

    def _show_hidden(self) -> None:
        """Leave the square of a hidden class empty."""
        if self._scheme is not None:
            for name, color in zip(self.names, self._scheme.colors, strict=True):
                name.setIcon(color_icon(color if name.isChecked() else "transparent"))

    def _on_toggle(self, checked: bool) -> None:
        self._show_hidden()
        hidden = (code for code, name in enumerate(self.names) if not name.isChecked())
        self.hidden_changed.emit(frozenset(hidden))
