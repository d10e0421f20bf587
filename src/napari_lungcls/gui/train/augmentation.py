"""A button that shows augmented tiles, and the dialog that shows them."""

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QDialog, QLabel, QScrollArea, QWidget

from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.gui.dialogs import ask_save
from napari_lungcls.gui.parts import beside, button, column, note, panel_layout, show_text
from napari_lungcls.gui.workers import BackgroundJob, start_call
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.learning.settings import TrainingSettings

LARGEST = QSize(1100, 800)
"""Largest dialog; a larger picture scrolls."""

Picture = NDArray[np.uint8]


class AugmentationPreview(QWidget):
    """A button that shows tiles around a few points with augmentation.

    The owner connects `asked` and calls `draw`.
    """

    asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.job: BackgroundJob | None = None
        self.button = button("Show augmented tiles", "show_augmented")
        self.words = note(name="augmentation_message")
        self.dialog = PictureDialog(self)
        self._refused, self._draws = "", 0
        layout = column(self)
        layout.addWidget(self.button)
        layout.addWidget(self.words)
        self.refuse("")
        self.allow("")
        self.button.clicked.connect(self.asked)
        self.dialog.again.clicked.connect(self.asked)

    def allow(self, reason: str) -> None:
        """Enable the button, or disable it with the reason as its tooltip."""
        self._refused = reason
        self.button.setToolTip(reason or "Show tiles around a few points as the network sees them.")
        self._enable()

    def refuse(self, line: str) -> None:
        """Say why there is no picture."""
        show_text(self.words, line)

    def draw(
        self,
        pairs: list[tuple[ImageStack, Points]],
        scheme: ClassScheme,
        settings: TrainingSettings,
    ) -> None:
        """Make the picture in a thread and show it, with a new random draw each time."""
        if self.job is not None:
            return
        self.refuse("")
        seed = (settings.seed + self._draws) % 2**32
        self._draws += 1

        def picture() -> Picture:
            from napari_lungcls.learning.augmentation_preview import preview_augmentation

            return preview_augmentation(pairs, settings.model_copy(update={"seed": seed}), scheme)

        self.job = start_call(
            picture,
            owner=self,
            title="Preview of augmentation",
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
    """Shows the picture without blocking the viewer, with buttons to redraw and save it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Augmented tiles")
        self.picture: Picture | None = None
        self.shown = QLabel()
        self.again = button(
            "Draw again", "draw_again", "Show other points with new random augmentation."
        )
        self.save = button("Save picture…", "save_augmented", "Save the picture as a PNG file.")
        self.shown.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        area = QScrollArea()
        area.setWidget(self.shown)
        area.setWidgetResizable(True)
        layout = panel_layout(self)
        layout.addWidget(area)
        layout.addWidget(beside(self.again, self.save))
        self.save.clicked.connect(self._on_save)

    def show_picture(self, picture: Picture) -> None:
        """Show an RGB picture `(y, x, 3)`."""
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
