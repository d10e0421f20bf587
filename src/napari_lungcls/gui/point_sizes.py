"""Keeping the rings of labelled points to be seen at every zoom of the view. No Qt.

napari could limit the size on the screen itself, but draws the edges of limited markers half as
wide as the least size, and a click still finds them by their size in pixels of the image.
"""

import weakref
from typing import Any

import napari
import numpy as np
from napari.layers import Layer, Points

from napari_lungcls.gui.layers import KEY, is_labels, pixel_edge

LEAST, MOST = 15.0, 20.0
"""Diameter of a ring in pixels of the screen."""

POINT_SIZE = 10.0
"""Diameter in pixels of the image, where that is between the two."""

TOLERANCE = 0.08
"""Share by which a ring may be too small or too large before all are drawn anew."""


class PointSizes:
    """Makes the points of labels larger or smaller, as the view zooms.

    Parameters
    ----------
    viewer
        The viewer; it is held weakly.
    """

    def __init__(self, viewer: "napari.Viewer") -> None:
        self._viewer = weakref.ref(viewer)
        viewer.scene.camera.events.zoom.connect(self.fit)

    def fit(self, event: Any = None) -> None:
        """Give the points of every layer of labels the size for the zoom of the view."""
        viewer = self._viewer()
        for layer in () if viewer is None else viewer.layers:
            self.fit_layer(layer)

    def fit_layer(self, layer: Layer) -> None:
        """Give the points of a layer of labels the size for the zoom of the view."""
        viewer = self._viewer()
        if viewer is None or KEY not in layer.metadata or not is_labels(layer):
            return
        assert isinstance(layer, Points)
        pixel = viewer.scene.camera.zoom * pixel_edge(layer)
        size = float(np.clip(POINT_SIZE, LEAST / pixel, MOST / pixel))
        if abs(size / layer.current_size - 1) <= TOLERANCE and _is_uniform(layer):
            return
        with layer.block_update_properties():
            layer.current_size = size
        layer.size = size


def _is_uniform(layer: Points) -> bool:
    return bool(np.all(layer.size == layer.current_size))
