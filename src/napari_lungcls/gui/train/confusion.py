"""The confusion matrix, whose cells lead to the points behind them."""

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, QKeyEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from napari_lungcls.annotation import ClassScheme
from napari_lungcls.evaluation.metrics import Metrics
from napari_lungcls.gui.parts import color_icon
from napari_lungcls.gui.train.curves import ThemeColours
from napari_lungcls.utils.humanize import count, percent

ROW, COLUMN, RECALL = 24, 26, 60
"""Row height, least column width and width of the recall column, in pixels."""

CORRECT, WRONG = QColor("#1f9e6b"), QColor("#d1495b")

STRONGEST = 0.85
"""Opacity of the shading of a cell that holds its whole row."""

FLAT_HEADERS = """
QHeaderView, QHeaderView::section, QTableCornerButton::section {
    background: transparent; border: none; padding: 2px;
}
"""

SHOW = "Click to see where."


class ConfusionTable(QTableWidget):
    """Counts by true and predicted class, and the recall of each class.

    Cells are shaded by their share of the row, green on the diagonal and red elsewhere. A click
    on one, or Enter, asks for the points behind it.
    """

    cell_chosen = Signal(int, int)
    """True and predicted class; as predicted class -1 for all mistakes of the true one."""

    def __init__(self, theme: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("confusion")
        self._colours = ThemeColours.of(theme)
        self._shown: tuple[Metrics, ClassScheme] | None = None
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setAccessibleName("Confusion matrix")
        self.setCornerButtonEnabled(False)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setDefaultSectionSize(ROW)
        self.horizontalHeader().setMinimumSectionSize(COLUMN)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setStyleSheet(FLAT_HEADERS)
        self.cellClicked.connect(self._choose)

    def show_metrics(self, metrics: Metrics, scheme: ClassScheme) -> None:
        """Show metrics with the class colours of a scheme."""
        self._shown = metrics, scheme
        classes = list(zip(metrics.classes, scheme.colors, strict=True))
        self.setRowCount(len(classes))
        self.setColumnCount(len(classes) + 1)
        for i, (name, colour) in enumerate(classes):
            self.setVerticalHeaderItem(i, _header(name, colour, f"True class: {name}"))
            self.setHorizontalHeaderItem(i, _header("", colour, f"Predicted class: {name}"))
            self._fill_row(metrics, i)
        recall = QTableWidgetItem("recall")
        recall.setToolTip("Share of the points of this class that were classified correctly")
        self.setHorizontalHeaderItem(len(classes), recall)
        self._fit()

    def use_theme(self, theme: str) -> None:
        """Take the colours of a theme."""
        self._colours = ThemeColours.of(theme)
        if self._shown is not None:
            self.show_metrics(*self._shown)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Choose the cell with the focus by Enter."""
        if event is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._choose(self.currentRow(), self.currentColumn())
            return
        super().keyPressEvent(event)

    def _choose(self, row: int, column: int) -> None:
        if self._shown is not None and row >= 0 and column >= 0:
            is_class = column < len(self._shown[0].classes)
            self.cell_chosen.emit(row, column if is_class else -1)

    def _fill_row(self, metrics: Metrics, i: int) -> None:
        name, row = metrics.classes[i], metrics.confusion[i]
        total = sum(row)
        for j, n in enumerate(row):
            share = n / total if total else 0.0
            hue = CORRECT if i == j else WRONG
            ground = mixed(self._colours.plot, hue, STRONGEST * share)
            item = _cell(str(n))
            item.setBackground(ground)
            item.setForeground(readable_on(ground))
            predicted = metrics.classes[j]
            what = f"{n} of {count(total, 'point')} of {name} predicted as {predicted}."
            item.setToolTip(f"{what} {SHOW}" if n else what)
            self.setItem(i, j, item)
        recall = _cell(percent(metrics.per_class[name].recall) if total else "–")
        recall.setToolTip(f"Share of {name} that was recognised. Click to see the mistakes.")
        recall.setForeground(self._colours.text)
        self.setItem(i, len(row), recall)

    def _fit(self) -> None:
        """Make the table as high as its rows, as the panel around it scrolls."""
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        last = self.columnCount() - 1
        header.setSectionResizeMode(last, QHeaderView.ResizeMode.Fixed)
        self.setColumnWidth(last, RECALL)
        height = header.sizeHint().height() + ROW * self.rowCount() + 2 * self.frameWidth()
        self.setFixedHeight(height)


def _header(text: str, colour: str, tooltip: str) -> QTableWidgetItem:
    item = QTableWidgetItem(color_icon(colour), text)
    item.setToolTip(tooltip)
    return item


def _cell(text: str) -> QTableWidgetItem:
    item = QTableWidgetItem(text)
    item.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
    return item


def mixed(ground: QColor, colour: QColor, share: float) -> QColor:
    """Blend `share` of a colour over a background."""
    pairs = zip(ground.getRgb()[:3], colour.getRgb()[:3], strict=True)
    return QColor(*(round(g + (c - g) * share) for g, c in pairs))


def readable_on(ground: QColor) -> QColor:
    """Give black or white, whichever contrasts more with a background."""
    red, green, blue = (_linear(value / 255) for value in ground.getRgb()[:3])
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    # Contrast with black and white is equal where (L + 0.05)² = 0.05 · 1.05.
    return QColor("black") if luminance > 0.179 else QColor("white")


def _linear(value: float) -> float:
    """Convert an sRGB channel to linear light, as in WCAG 2."""
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)
