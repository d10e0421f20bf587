"""A combo box of what can be a mask of the image: shapes and labels that the user has made."""

import napari
from napari.layers import Labels, Layer, Shapes
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QWidget

from napari_lungcls.gui.layers import KEY
from napari_lungcls.gui.lifetime import listen
from napari_lungcls.gui.parts import ElidingBox, narrow

WHOLE = "the whole image"


class MaskBox(ElidingBox):
    """Chooses the layer inside which something is to happen, or the whole image.

    Parameters
    ----------
    viewer
        The viewer.
    """

    changed = Signal()
    """Another layer is chosen."""

    edited = Signal()
    """Something was drawn in the chosen layer."""

    listed = Signal(bool)
    """The list is new; whether there is a layer in it."""

    def __init__(self, viewer: "napari.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._masks: list[Layer] = []
        narrow(self, 6)
        self.currentIndexChanged.connect(lambda _: self.changed.emit())
        events = viewer.layers.events
        listen(self, events.inserted, events.removed, events.reordered, slot=self._list)
        self._list()

    @property
    def layer(self) -> Layer | None:
        """The chosen layer, or None for the whole image."""
        index = self.currentIndex() - 1
        return self._masks[index] if 0 <= index < len(self._masks) else None

    @property
    def offers(self) -> bool:
        """Whether there is any layer to choose."""
        return bool(self._masks)

    def _list(self, event: object = None) -> None:
        chosen = self.layer
        found = [layer for layer in self._viewer.layers if may_mask(layer)]
        for layer in {*self._masks, *found}:
            events = layer.events
            for emitter, slot in ((events.name, self._rename), (events.data, self._on_data)):
                emitter.disconnect(slot)
                if layer in found:
                    emitter.connect(slot)
        with QSignalBlocker(self):
            self._masks = found
            self.clear()
            self.addItems([WHOLE, *(layer.name for layer in found)])
            self.setCurrentIndex(found.index(chosen) + 1 if chosen in found else 0)
        self.listed.emit(bool(found))
        if self.layer is not chosen:
            self.changed.emit()

    def _rename(self, event: object = None) -> None:
        for index, layer in enumerate(self._masks):
            self.setItemText(index + 1, layer.name)

    def _on_data(self, event: object = None) -> None:
        if self.layer is not None:
            self.edited.emit()


def may_mask(layer: Layer) -> bool:
    """Tell whether a layer is one that the user has drawn or painted, and not this program."""
    return isinstance(layer, Labels | Shapes) and KEY not in layer.metadata
