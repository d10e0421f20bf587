"""Outlines of what a network sees, drawn over the canvas and not as a layer. No Qt."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import napari
import numpy as np
from napari.components.overlays import ZoomOverlay
from napari.layers import Image

OVERLAY = "lungcls_seen_{}"


class Outlines:
    """Squares around a point of an image, one for each zoom.

    Parameters
    ----------
    viewer
        The viewer; its 2-D view is drawn on.
    """

    def __init__(self, viewer: "napari.Viewer") -> None:
        self._viewer = viewer
        self._shown: dict[str, ZoomOverlay] = {}
        self._last: tuple[Image, Any, Sequence[float]] | None = None

    def show(self, image: Image, position: Any, edges: Sequence[float]) -> None:
        """Draw squares of some edges, in pixels of the image, around a data position."""
        self._last = (image, position, edges)
        for number, edge in enumerate(edges):
            name = OVERLAY.format(number)
            if name not in self._shown:
                self._shown[name] = ZoomOverlay(visible=True)
                self._viewer.canvas.overlays[name] = self._shown[name]
            self._shown[name].position = self._corners(image, position, edge / 2)
        for name in [n for i, n in enumerate(list(self._shown)) if i >= len(edges)]:
            self._viewer.canvas.overlays.pop(name, None)
            del self._shown[name]

    def redraw(self, event: object = None) -> None:
        """Follow the view."""
        if self._last is not None and self._shown:
            self.show(*self._last)

    def hide(self) -> None:
        """Remove them."""
        for name in self._shown:
            self._viewer.canvas.overlays.pop(name, None)
        self._shown, self._last = {}, None

    def _corners(self, image: Image, position: Any, half: float) -> Any:
        """Give two corners `(y, x)` on the canvas, around the square as it is turned."""
        camera, size = self._viewer.scene.camera, np.array(self._viewer.canvas.size, float)
        shown = list(self._viewer.dims.displayed)[-2:]
        found = []
        for down, across in product((-half, half), repeat=2):
            at = np.array(position, float)
            at[-2:] += (down, across)
            world = np.zeros(self._viewer.dims.ndim)
            world[-image.ndim :] = image.data_to_world(at)
            middle = np.array(camera.center, float)[-2:]
            found.append((world[shown] - middle) * camera.zoom + size / 2)
        ends = np.array(found)
        return tuple(map(float, ends.min(0))), tuple(map(float, ends.max(0)))
