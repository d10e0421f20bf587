"""Keeping points on the pixels of their image, wherever that is moved. No Qt."""

import weakref
from typing import Any

import napari
from napari.layers import Image, Layer, Points
from psygnal import Signal

from napari_lungcls.gui.layers import image_id_of, image_of, link, put_on
from napari_lungcls.gui.point_sizes import PointSizes


class PointsFollower:
    """Puts every layer that counts pixels of an image where the image is.

    It follows when the image is scaled, moved or turned, when the image comes after its
    points, and when somebody moved the layer of points by itself.

    Parameters
    ----------
    viewer
        The viewer; it is held weakly.
    """

    changed = Signal()
    """A layer has come or gone: which points wait for their image may have changed."""

    def __init__(self, viewer: "napari.Viewer") -> None:
        self._viewer = weakref.ref(viewer)
        self._placing = False
        self.sizes = PointSizes(viewer)
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.removed.connect(self._on_removed)
        for layer in viewer.layers:
            self._watch(layer)
        self._place()
        self.sizes.fit()

    def _watch(self, layer: Layer) -> None:
        if isinstance(layer, Image | Points):
            for emitter in _moves(layer):
                emitter.connect(self._place)
        if isinstance(layer, Image):
            layer.events.name.connect(self._on_identity)
            layer.events.data.connect(self._on_identity)

    def _place(self, event: Any = None) -> None:
        viewer = self._viewer()
        if viewer is None or self._placing:
            return
        self._placing = True
        try:
            for layer in viewer.layers:
                known = image_id_of(layer)
                image = None if known is None else image_of(viewer, layer)
                if known is None or image is None or not isinstance(layer, Points):
                    continue
                if known.token == image.unique_id:
                    put_on(layer, image)
                else:
                    link(viewer, layer, image)
        finally:
            self._placing = False

    def _on_inserted(self, event: Any) -> None:
        self._watch(event.value)
        self._place()
        self.sizes.fit_layer(event.value)
        self.changed.emit()

    def _on_removed(self, event: Any) -> None:
        if isinstance(event.value, Image | Points):
            for emitter in _moves(event.value):
                emitter.disconnect(self._place)
        if isinstance(event.value, Image):
            event.value.events.name.disconnect(self._on_identity)
            event.value.events.data.disconnect(self._on_identity)
        self._place()
        self.changed.emit()

    def _on_identity(self, event: Any) -> None:
        """Note the new name or size of an image in the points that belong to it."""
        viewer, image = self._viewer(), event.source
        for layer in () if viewer is None else viewer.layers:
            known = image_id_of(layer)
            if known is not None and known.token == image.unique_id:
                link(viewer, layer, image)
        self.changed.emit()


def _moves(layer: Layer) -> list[Any]:
    events = layer.events
    return [events.scale, events.translate, events.rotate, events.shear, events.affine]
