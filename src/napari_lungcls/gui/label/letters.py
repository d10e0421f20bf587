"""The key of its class beside each point, where there are few enough to be read."""

from typing import Any

import numpy as np
from napari.layers import Points
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer

from napari_lungcls.gui.label.controller import Labeller
from napari_lungcls.gui.label.view import in_view, on_canvas
from napari_lungcls.gui.lifetime import listen

MOST = 200
"""Points in view up to which they have letters."""

ROOM = 45
"""Edge in pixels of the screen of the square that a point needs on the average to be read."""

WAIT = 80
"""Milliseconds for which nothing has to move before the letters are made anew."""

SIZE, GAP = 9, "  "
"""Size of the letters in points, and what keeps them off the ring."""


class Letters(QObject):
    """Shows the letters of the points that are labelled.

    napari draws the letters of all points of a plane, and slowly: those out of view have none.

    Parameters
    ----------
    labeller
        The labeller.
    parent
        The window that ends them.
    """

    def __init__(self, labeller: Labeller, parent: QObject) -> None:
        super().__init__(parent)
        self._labeller = labeller
        self._timer = QTimer(self, singleShot=True, interval=WAIT)
        self._timer.timeout.connect(self.look)
        viewer = labeller.viewer
        camera, dims = viewer.scene.camera.events, viewer.dims.events
        moved = [camera.zoom, camera.center, dims.point, dims.ndisplay, dims.order]
        listen(self, *moved, viewer.canvas.events.size, labeller.changed, slot=self.later)

    def later(self, event: object = None) -> None:
        """Look again as soon as nothing moves."""
        self._timer.start()

    def look(self) -> None:
        """Give the points in view their letters, and the others none."""
        layer = self._labeller.layer
        if layer is None or layer not in self._labeller.viewer.layers:
            return
        letters = self._letters(layer)
        text = layer.text
        if not letters.any():
            text.visible = False
            return
        known = np.asarray(text.values)
        if text.visible and np.array_equal(known, letters):
            return
        text.anchor, text.size = "upper_left", SIZE
        text.color = "black" if _is_bright(self._labeller.image) else "white"
        text.string = letters.tolist()
        text.visible = True

    def _letters(self, layer: Points) -> NDArray[np.str_]:
        labeller, count = self._labeller, len(layer.data)
        annotation, viewer = labeller.annotation, labeller.viewer
        none = np.full(count, "")
        if annotation is None or viewer.dims.ndisplay == 3 or len(annotation.points) != count:
            return none
        where = annotation.points.coordinates
        seen = layer.shown & in_view(viewer, layer, where)
        if not 0 < np.count_nonzero(seen) <= MOST or _is_crowded(
            on_canvas(viewer, layer, where[seen])
        ):
            return none
        keys = {spec.name: spec.key or spec.name[:2] for spec in labeller.scheme.classes}
        names = annotation.points.classes
        marks = [f"{GAP}{keys[names[i]]}" if s and names[i] else "" for i, s in enumerate(seen)]
        return np.array(marks)


def _is_crowded(places: NDArray[np.float64]) -> bool:
    """Tell whether letters would run into each other, by places on the canvas `(n, 2)`."""
    return bool(np.prod(np.ptp(places, axis=0) + ROOM) < len(places) * ROOM**2)


def _is_bright(image: Any) -> bool:
    """Tell whether dark letters are read better, by napari's small picture of the image."""
    return image is None or float(np.mean(image.thumbnail[..., :3])) > 127
