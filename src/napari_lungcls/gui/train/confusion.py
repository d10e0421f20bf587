"""The confusion matrix as a small table: rows are the truth, columns the predictions."""

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from napari_lungcls.annotation import ClassScheme
from napari_lungcls.gui.parts import color_icon
from napari_lungcls.gui.train.theme import FALSE, TRUE, Colours, mixed, readable_on
from napari_lungcls.learning.metrics import Metrics
from napari_lungcls.utils.humanize import count, percent

ROW, COLUMN, RECALL = 24, 26, 60
PLAIN = """
QHeaderView, QHeaderView::section, QTableCornerButton::section {
    background: transparent; border: none; padding: 2px;
}
"""
"""Headers without the raised look of buttons; their colours stay the theme's."""

STRONGEST = 0.85
"""How much of the shading's colour a full cell shows."""


class ConfusionTable(QTableWidget):
    """Counts by true and predicted class, and the recall of every class.

    Cells are shaded by their share of the row, right ones and wrong ones in different hues.

    Parameters
    ----------
    theme
        Name of napari's theme.
    """

    def __init__(self, theme: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("confusion")
        self._colours = Colours.of(theme)
        self._metrics: Metrics | None = None
        self._scheme: ClassScheme | None = None
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setCornerButtonEnabled(False)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setDefaultSectionSize(ROW)
        self.horizontalHeader().setMinimumSectionSize(COLUMN)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setStyleSheet(PLAIN)
        self.setToolTip("Rows: the class of the point. Columns: what the network said.")

    def show_metrics(self, metrics: Metrics, scheme: ClassScheme) -> None:
        """Show figures in the colours of a scheme."""
        self._metrics, self._scheme = metrics, scheme
        self._fill()

    def use_theme(self, theme: str) -> None:
        """Take the colours of a theme."""
        self._colours = Colours.of(theme)
        self._fill()

    def _fill(self) -> None:
        if self._metrics is None or self._scheme is None:
            return
        classes = list(zip(self._metrics.classes, self._scheme.colors, strict=True))
        self.setRowCount(len(classes))
        self.setColumnCount(len(classes) + 1)
        for i, (name, colour) in enumerate(classes):
            self.setVerticalHeaderItem(i, _header(name, colour, f"Points that are {name}"))
            self.setHorizontalHeaderItem(i, _header("", colour, f"Called {name}"))
            self._fill_row(i, name)
        last = QTableWidgetItem("recall")
        last.setToolTip("Share of the points of a class that the network found")
        self.setHorizontalHeaderItem(len(classes), last)
        self._fit()

    def _fill_row(self, i: int, name: str) -> None:
        assert self._metrics is not None
        row = self._metrics.confusion[i]
        total = sum(row)
        for j, n in enumerate(row):
            share = n / total if total else 0.0
            hue = TRUE if i == j else FALSE
            ground = mixed(self._colours.plot, hue, STRONGEST * share)
            item = _cell(str(n))
            item.setBackground(ground)
            item.setForeground(readable_on(ground))
            called = self._metrics.classes[j]
            item.setToolTip(f"{count(n, 'point')} of {total} {name} called {called}")
            self.setItem(i, j, item)
        found = _cell(percent(self._metrics.per_class[name].recall) if total else "–")
        found.setForeground(self._colours.text)
        self.setItem(i, len(row), found)

    def _fit(self) -> None:
        """Make the table as high as its rows; it stands in a panel that scrolls."""
        across = self.horizontalHeader()
        across.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        last = self.columnCount() - 1
        across.setSectionResizeMode(last, QHeaderView.ResizeMode.Fixed)
        self.setColumnWidth(last, RECALL)
        height = across.sizeHint().height() + ROW * self.rowCount() + 2 * self.frameWidth()
        self.setFixedHeight(height)


def _header(text: str, colour: str, tooltip: str) -> QTableWidgetItem:
    item = QTableWidgetItem(color_icon(colour), text)
    item.setToolTip(tooltip)
    return item


def _cell(text: str) -> QTableWidgetItem:
    item = QTableWidgetItem(text)
    item.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
    return item
