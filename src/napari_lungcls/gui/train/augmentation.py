"""Showing what the augmentation makes of tiles: a button, and a dialog with the picture."""

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_lungcls.gui.dialogs import ask_save
from napari_lungcls.gui.parts import SPACING, note, panel_layout
from napari_lungcls.gui.train.gather import Material
from napari_lungcls.gui.workers import Job, start_call
from napari_lungcls.learning.settings import TrainingSettings

LARGEST = QSize(1100, 800)
"""Largest dialog; a larger picture scrolls."""

Picture = NDArray[np.uint8]


class AugmentationPreview(QWidget):
    """A button that shows a few tiles as training would draw them.

    Who owns it connects `asked` and answers with `draw`.
    """

    asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.job: Job | None = None
        self.button, self.words = QPushButton("Show augmented tiles"), note()
        self.button.setObjectName("show_augmented")
        self.words.setObjectName("augmentation_message")
        self.dialog = PictureDialog(self)
        self._refused, self._draws = "", 0
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SPACING)
        column.addWidget(self.button)
        column.addWidget(self.words)
        self.refuse("")
        self.allow("")
        self.button.clicked.connect(self.asked)
        self.dialog.again.clicked.connect(self.asked)

    def allow(self, reason: str) -> None:
        """Enable the button, or disable it with the reason as its tooltip."""
        self._refused = reason
        self.button.setToolTip(reason or "Tiles around a few points as training would see them.")
        self._enable()

    def refuse(self, line: str) -> None:
        """Say why there is no picture."""
        self.words.setText(line)
        self.words.setVisible(bool(line))

    def draw(self, material: Material, settings: TrainingSettings) -> None:
        """Make the picture in a thread and show it; each time with other draws and points."""
        if self.job is not None:
            return
        self.refuse("")
        seed = (settings.seed + self._draws) % 2**32
        self._draws += 1

        def picture() -> Picture:
            from napari_lungcls.learning.augmentation_preview import preview_augmentation

            chosen = settings.model_copy(update={"seed": seed})
            return preview_augmentation(material.pairs, chosen, material.scheme)

        self.job = start_call(
            picture,
            owner=self,
            returned=self.dialog.show_picture,
            failed=self.refuse,
            ended=self._on_end,
        )
        self._enable()

    def _on_end(self) -> None:
        self.job = None
        self._enable()

    def _enable(self) -> None:
        ready = not self._refused and self.job is None
        self.button.setEnabled(ready)
        self.dialog.again.setEnabled(ready)


class PictureDialog(QDialog):
    """The picture, with buttons for another one and to save it; the viewer stays usable."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Augmented tiles")
        self.picture: Picture | None = None
        self.shown, self.again, self.save = (
            QLabel(),
            QPushButton("Draw again"),
            QPushButton("Save picture"),
        )
        self.again.setObjectName("draw_again")
        self.again.setToolTip("Show other points and other draws, with the settings as they are.")
        self.save.setObjectName("save_augmented")
        self.save.setToolTip("Write the picture to a PNG file.")
        self.shown.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self._area = QScrollArea()
        self._area.setWidget(self.shown)
        self._area.setWidgetResizable(True)
        column, row = panel_layout(self), QHBoxLayout()
        column.addWidget(self._area)
        row.addWidget(self.again)
        row.addWidget(self.save)
        column.addLayout(row)
        self.save.clicked.connect(self._on_save)

    def show_picture(self, picture: Picture) -> None:
        """Show a picture `(y, x, 3)`."""
        self.picture = picture
        height, width = picture.shape[:2]
        bytes_per_row = 3 * width
        image = QImage(picture.tobytes(), width, height, bytes_per_row, QImage.Format.Format_RGB888)
        self.shown.setPixmap(QPixmap.fromImage(image))
        if not self.isVisible():
            frame = QSize(40, 70)
            self.resize((QSize(width, height) + frame).boundedTo(LARGEST))
        self.show()
        self.raise_()

    def _on_save(self, _: bool = False) -> None:
        path = ask_save(self, "Save picture", "augmented.png", "PNG (*.png)", [".png"])
        picture = self.picture
        if path is None or picture is None:
            return
        from napari_lungcls.reporting.pictures import write_picture

        start_call(lambda: write_picture(path, picture), owner=self)
