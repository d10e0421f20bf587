"""Small pictures of what a network sees, and bars of shares."""

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QColor, QImage, QPainter, QPaintEvent, QPixmap
from qtpy.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_lungcls.gui.why.reading import Glimpse

THUMBNAIL = 96
"""Largest edge of a picture on the screen."""

BARS_FOR, BARS_AGAINST = QColor("#3a8fd6"), QColor("#d98a2b")


class SeenRow(QWidget):
    """Small pictures in one row, each with its size."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setAlignment(Qt.AlignmentFlag.AlignLeft)
        self.pictures: list[QLabel] = []
        self.labels: list[QLabel] = []
        self.clear()

    def clear(self) -> None:
        """Show nothing."""
        self.setVisible(False)

    def show_glimpses(self, found: list[Glimpse]) -> None:
        """Show a picture for each zoom."""
        while len(self.pictures) < len(found):
            whole, picture, label = QWidget(), QLabel(), QLabel()
            stacked = QVBoxLayout(whole)
            stacked.setContentsMargins(0, 0, 0, 0)
            for each in (picture, label):
                each.setAlignment(Qt.AlignmentFlag.AlignHCenter)
                stacked.addWidget(each)
            self._row.addWidget(whole)
            self.pictures.append(picture)
            self.labels.append(label)
        edge = min(THUMBNAIL, max(32, (self.width() or 280) // max(1, len(found)) - 8))
        for number, (picture, label) in enumerate(zip(self.pictures, self.labels, strict=True)):
            shown = number < len(found)
            picture.setVisible(shown)
            label.setVisible(shown)
            if shown:
                picture.setPixmap(_pixmap(found[number].picture, edge))
                label.setText(found[number].label)
                picture.setAccessibleName(f"What the network sees over {found[number].label}")
        self.setVisible(True)


class ShareBars(QWidget):
    """Bars to both sides of a middle line, each with a name and a number."""

    LINE = 17

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows: list[tuple[str, float]] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.show_rows([])

    def show_rows(self, rows: list[tuple[str, float]]) -> None:
        """Show some values; nothing is shown if there are none."""
        self.rows = rows
        self.setFixedHeight(self.LINE * len(rows) + 2)
        self.setVisible(bool(rows))
        self.setAccessibleDescription("; ".join(f"{name} {value:+.2f}" for name, value in rows))
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the bars."""
        painter = QPainter(self)
        painter.setPen(self.palette().windowText().color())
        names, numbers = 96, 44
        width = max(10, self.width() - names - numbers - 8)
        most = max((abs(value) for _, value in self.rows), default=0) or 1.0
        middle = names + width / 2
        for i, (name, value) in enumerate(self.rows):
            top = i * self.LINE
            left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
            right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(QRectF(0, top, names, self.LINE), left, name)
            painter.drawText(
                QRectF(self.width() - numbers, top, numbers, self.LINE), right, f"{value:+.2f}"
            )
            length = value / most * width / 2
            start = middle if length >= 0 else middle + length
            colour = BARS_FOR if value >= 0 else BARS_AGAINST
            painter.fillRect(QRectF(start, top + 3, abs(length), self.LINE - 6), colour)
        painter.drawLine(int(middle), 0, int(middle), self.LINE * len(self.rows))
        painter.end()


def _pixmap(picture: NDArray[np.uint8], edge: int) -> QPixmap:
    height, width = picture.shape[:2]
    image = QImage(picture.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
    return QPixmap.fromImage(image).scaled(
        edge,
        edge,
        Qt.AspectRatioMode.KeepAspectRatio,
        Qt.TransformationMode.SmoothTransformation,
    )
