"""A frame in the image: outside of it, what is around a click reaches past the image's edge."""

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.components.overlays import ZoomOverlay

from napari_lungcls.gui.image_id import image_shape
from napari_lungcls.gui.image_layer import pixel_size
from napari_lungcls.gui.label.view import on_canvas
from napari_lungcls.gui.layers import is_straight
from napari_lungcls.gui.session import session

if TYPE_CHECKING:
    from napari_lungcls.gui.label.controller import Labeller

OVERLAY = "lungcls_edge"

TILE = 256
"""Pixels around a point that a network sees at zoom 1, where no model says otherwise."""


class EdgeFrame:
    """The frame of the image that is labelled, drawn on the canvas and not as a layer.

    Parameters
    ----------
    labeller
        The labeller.

    Attributes
    ----------
    shown
        Whether the frame is asked for.
    """

    def __init__(self, labeller: "Labeller") -> None:
        self._labeller = labeller
        self._overlay: ZoomOverlay | None = None
        self.shown = False

    def switch(self, on: bool) -> None:
        """Show the frame, or no longer."""
        if on == self.shown:
            return
        self.shown = on
        viewer = self._labeller.viewer
        camera, dims = viewer.scene.camera.events, viewer.dims.events
        moved = [camera.zoom, camera.center, dims.ndisplay, dims.order, viewer.canvas.events.size]
        for emitter in [*moved, self._labeller.changed, session(viewer).changed]:
            (emitter.connect if on else emitter.disconnect)(self.draw)
        self.draw()

    def margin(self) -> float:
        """Give how many pixels of the image a point must be off its edge: half a tile.

        The current model says how much it sees; without one it is half of `TILE`.
        """
        image, named = self._labeller.image, session(self._labeller.viewer).current
        if named is None:
            return TILE / 2
        document = named.model.document
        seen = document.network.tile * max(document.network.zooms) / 2
        size = None if image is None else pixel_size(image)
        if document.pixel_size is not None and size is not None:
            seen *= document.pixel_size / size
        return float(seen)

    def draw(self, event: Any = None) -> None:
        """Put the frame where the image is now."""
        viewer = self._labeller.viewer
        ends = self._ends() if self.shown else None
        if ends is None:
            if self._overlay is not None:
                self._overlay = None
                viewer.canvas.overlays.pop(OVERLAY, None)
            return
        if self._overlay is None:
            self._overlay = ZoomOverlay(visible=True)
            viewer.canvas.overlays[OVERLAY] = self._overlay
        self._overlay.position = ends

    def _ends(self) -> Any:
        """Give two corners on the canvas, rows and columns; None where there is no frame."""
        image, viewer = self._labeller.image, self._labeller.viewer
        if image is None or viewer.dims.ndisplay == 3 or not is_straight(image):
            return None
        last, margin = np.array(image_shape(image), float) - 1, self.margin()
        if (last[-2:] <= 2 * margin).any():
            return None
        corners = np.zeros((2, image.ndim))
        corners[0, -2:], corners[1, -2:] = margin, last[-2:] - margin
        return tuple(tuple(map(float, end)) for end in on_canvas(viewer, image, corners))

    def words(self) -> str:
        """Say what the frame is, or why there is none."""
        image, margin = self._labeller.image, self.margin()
        said = f"A point nearer than {margin:.0f} pixels to the image's edge is judged in part by "
        said += "what is not there."
        if image is not None and min(image_shape(image)[-2:]) - 1 <= 2 * margin:
            said += " In this image that is every point: it is too small for a frame."
        return said
