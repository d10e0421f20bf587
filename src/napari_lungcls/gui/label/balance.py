"""A bar of how many points each class has."""

from collections.abc import Mapping

from qtpy.QtCore import QRectF, QSize
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.utils.humanize import count

HEIGHT = 10
LEAST = 2.0
"""Width in pixels of the part of a class that has any point."""


class BalanceBar(QWidget):
    """The classes side by side in their colours, each as wide as its share of the points."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("balance")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._parts: list[tuple[str, int]] = []
        self.hide()

    def show_counts(self, scheme: ClassScheme, counts: Mapping[str, int]) -> None:
        """Show the number of points by class; nothing while there is none."""
        numbers = [(spec.name, spec.color, counts.get(spec.name, 0)) for spec in scheme.classes]
        self._parts = [(color, n) for _, color, n in numbers]
        total = sum(n for _, n in self._parts)
        lines = [f"{name}: {n} ({n / max(total, 1):.0%})" for name, _, n in numbers]
        said = "\n".join([f"{count(total, 'point')} with a class", *lines])
        self.setToolTip(said)
        self.setAccessibleName("Balance of the classes")
        self.setAccessibleDescription(said)
        self.setVisible(total > 0)
        self.update()

    def sizeHint(self) -> QSize:
        """Give the height of the bar; it is as wide as there is room."""
        return QSize(60, HEIGHT)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the parts, a thin gap between them."""
        total = sum(n for _, n in self._parts)
        if not total:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        shown = [(color, n) for color, n in self._parts if n]
        room, left = self.width() - 1 - LEAST * len(shown), 0.5
        for color, n in shown:
            width = LEAST + room * n / total
            painter.setPen(QPen(QColor(128, 128, 128), 1))
            painter.setBrush(QColor(color))
            painter.drawRect(QRectF(left, 0.5, width, self.height() - 1))
            left += width
        painter.end()
