"""Going from point to point in the viewer; points are found again by coordinates. No Qt."""

import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import napari
import numpy as np
from napari.layers import Image
from napari.layers import Points as PointsLayer
from psygnal import Signal

from napari_lungcls.evaluation.held_out_points import PointPlace
from napari_lungcls.gui.image_id import image_shape
from napari_lungcls.gui.layers import image_of, is_labels, pictures, to_world
from napari_lungcls.network.known_points import match_places
from napari_lungcls.utils.humanize import count, listing

FIELD = 400
"""Pixels of the image along the shorter side of the canvas when a point is shown up close."""


class _Stop(NamedTuple):
    """A point as far as it was found: its image, and its layer and row there."""

    place: PointPlace
    image: Image | None
    layer: PointsLayer | None
    row: int


class Visits:
    """Shows some points of images in the viewer, and goes from one to the next.

    Parameters
    ----------
    viewer
        The viewer; it is held weakly.
    """

    changed = Signal()
    """Other points are visited, or another one of them is shown."""

    def __init__(self, viewer: "napari.Viewer") -> None:
        # Plugins are handed a proxy, which does not live on.
        self._viewer = weakref.ref(getattr(viewer, "__wrapped__", viewer))
        self._title = ""
        self._missing: tuple[str, ...] = ()
        self._stops: list[_Stop] = []
        self._at = 0

    def __len__(self) -> int:
        """Count the points that can be shown."""
        return len(self._stops)

    @property
    def at(self) -> int:
        """Number of the point that is shown, from 0."""
        return self._at

    @property
    def words(self) -> str:
        """What is shown, and which points cannot be."""
        if not self._title:
            return ""
        said = [f"{self._title}."]
        if len(self) > 1:
            said = [f"{self._title}: {self._at + 1} of {len(self)}."]
        if self._stops and self._stops[self._at].row < 0:
            said.append("This point was deleted or moved since; its old place is shown.")
        elif gone := sum(stop.row < 0 for stop in self._stops):
            said.append(f"{count(gone, 'point')} of them deleted or moved since.")
        if self._missing:
            said.append(f"Open {listing(self._missing)} to see the rest.")
        return " ".join(said)

    def begin(self, title: str, places: Sequence[PointPlace]) -> None:
        """Select points in their layers, and show the first.

        Parameters
        ----------
        title
            What they are, such as `3 points of duct called alveoli`.
        places
            Where they lie.
        """
        stops = self._find(places)
        self._title, self._at = title, 0
        self._stops = [stop for stop in stops if stop.image is not None]
        missing = (stop.place.image for stop in stops if stop.image is None)
        self._missing = tuple(dict.fromkeys(missing))
        self._select(self._stops)
        self._show()

    def end(self) -> None:
        """Forget the points; what is selected stays."""
        self._title, self._missing, self._stops, self._at = "", (), [], 0
        self.changed.emit()

    def step(self, by: int) -> None:
        """Go on by so many points, round and round, and select the one that is shown alone."""
        if self._stops:
            self._at = (self._at + by) % len(self._stops)
            self._select([self._stops[self._at]])
            self._show()

    def _find(self, places: Sequence[PointPlace]) -> list[_Stop]:
        """Find the image and the layer of each point, as they are open now."""
        found: dict[int, _Stop] = {}
        for key in dict.fromkeys((place.image, place.shape) for place in places):
            rows = [i for i, place in enumerate(places) if (place.image, place.shape) == key]
            for i, stop in zip(rows, self._find_in(*key, [places[i] for i in rows]), strict=True):
                found[i] = stop
        return [found[i] for i in range(len(places))]

    def _find_in(
        self, name: str, shape: tuple[int, ...], places: Sequence[PointPlace]
    ) -> list[_Stop]:
        """Find points of one image: in the open image of this shape that has most of them.

        Images and files are renamed, so their names only decide between equals.
        """
        viewer, where = self._viewer(), np.array([place.where for place in places])
        best = [_Stop(place, None, None, -1) for place in places]
        most = (-1, False)
        for image in pictures(viewer, len(shape)):
            if image_shape(image) != shape:
                continue
            layers = [
                layer
                for layer in (viewer.layers if viewer else ())
                if isinstance(layer, PointsLayer)
                and is_labels(layer)
                and viewer is not None
                and image_of(viewer, layer) is image
            ]
            stops = [_Stop(place, image, None, -1) for place in places]
            for layer in layers:
                matched = match_places(np.asarray(layer.data, float), where).tolist()
                stops = [
                    stop._replace(layer=layer, row=row) if row >= 0 and stop.row < 0 else stop
                    for stop, row in zip(stops, matched, strict=True)
                ]
            score = sum(stop.row >= 0 for stop in stops), image.name == name
            if score > most:
                best, most = stops, score
        return best

    def _select(self, stops: Sequence[_Stop]) -> None:
        chosen: dict[PointsLayer, set[int]] = {}
        for stop in self._stops:
            if stop.layer is not None:
                chosen[stop.layer] = set()
        for stop in stops:
            if stop.layer is not None and stop.row < len(stop.layer.data):
                chosen[stop.layer].add(stop.row)
        for layer, rows in chosen.items():
            layer.selected_data = rows

    def _show(self) -> None:
        viewer = self._viewer()
        if self._stops and viewer is not None:
            stop = self._stops[self._at]
            if stop.image is not None and stop.image in viewer.layers:
                show_place(viewer, stop.image, stop.place.where)
            if stop.layer is not None and stop.layer in viewer.layers:
                stop.layer.visible = True
                if stop.layer.editable:
                    # A class's key then corrects what is selected.
                    stop.layer.mode = "select"
                viewer.layers.selection.active = stop.layer
        self.changed.emit()


def show_place(viewer: "napari.Viewer", image: Image, where: Sequence[float]) -> None:
    """Move the view to a place of an image: its plane, and near enough to see it.

    Parameters
    ----------
    viewer, image
        The image is made visible.
    where
        `(…, y, x)` in data pixels of the image.
    """
    dims, camera = viewer.dims, viewer.scene.camera
    if dims.ndisplay != 2:
        dims.ndisplay = 2
    if dims.order != tuple(range(dims.ndim)):
        dims.order = tuple(range(dims.ndim))
    world = np.asarray(image.data_to_world(where))
    first = dims.ndim - image.ndim
    if image.ndim > 2:
        dims.set_point(range(first, dims.ndim - 2), world[:-2].tolist())
    image.visible = True
    sides = to_world(image)[: image.ndim, image.ndim - 2 : image.ndim]
    edge = float(np.sqrt(np.prod(np.linalg.norm(sides, axis=0))))
    size: Any = viewer.canvas.size
    near = min(size) / (FIELD * edge)
    camera.center = (0.0, float(world[-2]), float(world[-1]))
    camera.zoom = max(camera.zoom, near)
