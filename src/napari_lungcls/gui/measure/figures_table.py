"""The figures that were measured, as a small table."""

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

from napari_lungcls.gui.parts import SPACING
from napari_lungcls.reporting.measures import name_of, shown
from napari_lungcls.stereology.estimate import StereologyEstimate
from napari_lungcls.stereology.measure import Measures
from napari_lungcls.stereology.units import best

RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
HEADER = ("Figure", "Estimate", "95 % interval")


class FiguresTable(QWidget):
    """One row per figure: symbol, estimate with its unit, and interval."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("figures")
        # At 300 pixels every one counts.
        self.setStyleSheet("QLabel { padding: 0px; margin: 0px }")
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(SPACING)
        self._grid.setVerticalSpacing(3)
        self._grid.setColumnStretch(0, 1)
        self.rows: list[tuple[str, str, str]] = []

    def show_measures(self, measures: Measures | None) -> None:
        """Show the figures of all together; none for None."""
        while (item := self._grid.takeAt(0)) is not None:
            if (old := item.widget()) is not None:
                old.hide()
                old.deleteLater()
        self.rows = []
        self.setVisible(measures is not None)
        if measures is None:
            return
        for place, text in enumerate(HEADER):
            title = self._put(0, place, text)
            title.setEnabled(False)
        for symbol, methods in measures.parameters.items():
            value = best(methods)
            unit = "" if value is None or not value.unit else f" {value.unit}"
            cells = (symbol, f"{shown(value)}{unit}", interval(value))
            self.rows.append(cells)
            for place, text in enumerate(cells):
                cell = self._put(len(self.rows), place, text)
                cell.setToolTip(_tip(symbol, value))

    def _put(self, row: int, place: int, text: str) -> QLabel:
        label = QLabel(text)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        if place:
            label.setAlignment(RIGHT)
        self._grid.addWidget(label, row, place)
        return label


def interval(value: StereologyEstimate | None) -> str:
    """Write a confidence interval with the digits of the figure; empty if there is none."""
    if value is None or value.ci is None:
        return ""
    return "–".join(shown(value.model_copy(update={"estimate": end})) for end in value.ci)


def _tip(symbol: str, value: StereologyEstimate | None) -> str:
    said = f"{symbol}: {name_of(symbol)}"
    if value is None:
        return said
    error = "" if value.ce is None else f"\nStandard error {100 * value.ce:.1f} % of the figure"
    by = f"\nInterval: {value.ci_method}" if value.ci is not None else ""
    return f"{said}{error}{by}"
