"""What of an image and its points is in view, and moving the view to a place. No Qt."""

from collections.abc import Sequence

import napari
import numpy as np
from napari.layers import Image, Layer
from numpy.typing import ArrayLike, NDArray

from napari_lungcls.gui.layers import from_world, pixel_edge, to_world

FIELD = 400.0
"""Pixels of the image along the shorter side of the canvas, where the view is moved to a field."""


def leading_axes(viewer: "napari.Viewer", layer: Layer) -> list[int]:
    """Give the axes of a layer that are not displayed."""
    first = viewer.dims.ndim - layer.ndim
    return [axis - first for axis in viewer.dims.not_displayed if axis >= first]


def in_plane(
    viewer: "napari.Viewer", layer: Layer, coordinates: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Tell which positions `(n, ndim)`, in data of a layer, lie in the plane in view, `(n,)`."""
    axes = leading_axes(viewer, layer)
    here = from_world(layer, viewer.dims.point)
    return np.asarray((np.abs(coordinates[:, axes] - here[axes]) <= 0.5).all(axis=1))


def on_canvas(
    viewer: "napari.Viewer", layer: Layer, coordinates: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Give where positions `(n, ndim)`, in data of a layer, are drawn: `(n, 2)` rows and columns.

    Only for a view of two axes.
    """
    matrix, n = to_world(layer), layer.ndim
    world = coordinates @ matrix[:n, :n].T + matrix[:n, n]
    shown = [axis - (viewer.dims.ndim - n) for axis in viewer.dims.displayed]
    camera, size = viewer.scene.camera, np.array(viewer.canvas.size, float)
    return np.asarray((world[:, shown] - np.array(camera.center)[-2:]) * camera.zoom + size / 2)


def in_view(
    viewer: "napari.Viewer", layer: Layer, coordinates: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Tell which positions `(n, ndim)`, in data of a layer, can be seen, `(n,)`."""
    seen = in_plane(viewer, layer, coordinates)
    where = on_canvas(viewer, layer, coordinates)
    return np.asarray(seen & ((where >= 0) & (where < viewer.canvas.size)).all(axis=1))


def go_to(
    viewer: "napari.Viewer", layer: Layer, position: ArrayLike, field: float | None = None
) -> None:
    """Move the view to a place.

    Parameters
    ----------
    viewer
        The viewer; it is made to show a plane.
    layer
        The layer whose pixels the position counts.
    position
        `(ndim,)`, in data of the layer.
    field
        How many pixels of the image the view may show along its shorter side: the view is
        enlarged, and never made smaller, until it does. By default the zoom stays.
    """
    dims, camera = viewer.dims, viewer.scene.camera
    dims.ndisplay = 2
    dims.order = tuple(range(dims.ndim))
    world = np.asarray(layer.data_to_world(np.asarray(position, float)))
    first = dims.ndim - layer.ndim
    if layer.ndim > 2:
        dims.set_point(range(first, dims.ndim - 2), world[:-2].tolist())
    camera.center = (0.0, float(world[-2]), float(world[-1]))
    if field is not None:
        camera.zoom = max(camera.zoom, min(viewer.canvas.size) / (field * pixel_edge(layer)))


def show_image(viewer: "napari.Viewer", image: Image, others: Sequence[Image]) -> None:
    """Show an image and the view of all of it, and hide others."""
    for other in others:
        other.visible = False
    image.visible = True
    viewer.layers.selection.active = image
    viewer.fit_to_view()
