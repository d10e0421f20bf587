"""The strip that asks which image points belong to that wait for theirs."""

from collections.abc import Sequence
from typing import Any

from napari.layers import Image, Points
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFrame, QVBoxLayout, QWidget

from napari_lungcls.gui.layers import image_id_of
from napari_lungcls.gui.parts import SPACING, note

CHOOSE = "choose its image…"
NONE = "open its image first"


def words(layer: Points) -> str:
    """Say what waits, as `63 points of “p” wait for their image “lung.tif”.`."""
    count, known = len(layer.data), image_id_of(layer)
    verb = "1 point of" if count == 1 else f"{count:,} points of"
    whose = "its image" if count == 1 else "their image"
    name = f" “{known.name}”" if known is not None and known.name else ""
    return f"{verb} “{layer.name}” {'waits' if count == 1 else 'wait'} for {whose}{name}."


class WaitingStrip(QWidget):
    """One frame for every layer that waits, with a choice of the open images."""

    chosen = Signal(object, object)
    """A layer, and the image that it belongs to."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._shown: list[Any] = []
        self.hide()

    def show_layers(self, layers: Sequence[Points], images: Sequence[Image]) -> None:
        """Show these layers in place of those before."""
        shown = [
            (words(layer), [(image, image.name) for image in _fitting(layer, images)])
            for layer in layers
        ]
        if shown == self._shown:
            return
        self._shown = shown
        while (item := self._column.takeAt(0)) is not None:
            frame = item.widget()
            frame.hide()
            frame.setParent(None)
            frame.deleteLater()
        for layer in layers:
            self._column.addWidget(self._frame(layer, _fitting(layer, images)))
        self.setVisible(bool(layers))

    def _frame(self, layer: Points, images: list[Image]) -> QFrame:
        frame, choice = QFrame(), QComboBox()
        choice.setObjectName("waiting_choice")
        choice.setToolTip("The image that these points were set on; they count its pixels")
        choice.addItem(CHOOSE if images else NONE)
        choice.addItems([image.name for image in images])
        choice.setEnabled(bool(images))

        def choose(index: int) -> None:
            if index > 0:
                self.chosen.emit(layer, images[index - 1])

        choice.activated.connect(choose)
        column = QVBoxLayout(frame)
        column.setContentsMargins(0, 0, 0, SPACING)
        column.addWidget(note(words(layer)))
        column.addWidget(choice)
        return frame


def _fitting(layer: Points, images: Sequence[Image]) -> list[Image]:
    """List the images with as many axes, the one of the remembered name first."""
    known = image_id_of(layer)
    name = known.name if known is not None else ""
    found = [image for image in images if image.ndim == layer.ndim]
    return sorted(found, key=lambda image: image.name != name)
