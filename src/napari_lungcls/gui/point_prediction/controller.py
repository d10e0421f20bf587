"""Turns clicks and rectangles into requests, and predictions into layers and text. No Qt."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import napari
import numpy as np
from napari.layers import Image
from napari.layers import Points as PointsLayer
from numpy.typing import NDArray

from napari_lungcls.annotation.columns import CLASS_COLUMN
from napari_lungcls.errors import InputError
from napari_lungcls.gui import layers, messages
from napari_lungcls.gui.image_id import image_shape
from napari_lungcls.gui.point_prediction import predictions
from napari_lungcls.gui.point_prediction.predictions import Origins
from napari_lungcls.gui.point_prediction.requests import (
    PointRequest,
    Predictions,
    Requests,
    RequestState,
)
from napari_lungcls.gui.point_sizes import POINT_SIZE
from napari_lungcls.gui.points_layer import annotation_layer
from napari_lungcls.gui.session import session
from napari_lungcls.images.geometry import is_inside
from napari_lungcls.inference.at_points import by_squares
from napari_lungcls.inference.point_grid import PointGrid
from napari_lungcls.utils.humanize import count

if TYPE_CHECKING:
    from napari_lungcls.any_model import AnyModel

LIMIT = 10_000
"""Most points of one rectangle; beyond it, painting is faster."""

SPACING = 16
"""Initial distance in pixels between the points of a rectangle."""

SAME_PLANE = 1e-3
"""Rounding error, in planes, by which the corners of a rectangle may differ."""

World = Sequence[float]


class Controller:
    """The requests for the images of a viewer, and the layers that show the predictions.

    Parameters
    ----------
    viewer
        The viewer, or its model without a window.
    changed
        Called when predictions are added or removed.
    """

    def __init__(self, viewer: "napari.Viewer", changed: Callable[[], None] = lambda: None) -> None:
        self._viewer, self._changed = viewer, changed
        self.model: AnyModel | None = None
        self.image: Image | None = None
        self.spacing = SPACING
        self.requests = Requests()
        self._origins: dict[PointsLayer, Origins] = {}
        viewer.layers.events.removed.connect(self._forget)

    def close(self) -> None:
        """Drop waiting requests and disconnect from all layers."""
        self._viewer.layers.events.removed.disconnect(self._forget)
        self.requests.stop()
        for origins in self._origins.values():
            origins.close()
        self._origins.clear()

    def missing(self) -> str:
        """Say what is needed before points can be classified; empty if nothing."""
        if self.image is None:
            return "Open an image first"
        if self._viewer.dims.ndisplay != 2:
            return "Switch to the 2-D view first"
        return "" if self.model is not None else "Train or load a model first"

    def click(self, position: World) -> PointRequest:
        """Queue the point of the image at a world position.

        Raises
        ------
        InputError
            If the position is outside the image.
        """
        image, model = self._ready()
        where = layers.from_world(image, position)
        if not is_inside(where, image_shape(image)).all():
            raise InputError(f"this point is outside the image {image.name!r}; click on the image")
        where[:-2] = np.rint(where[:-2])
        request = PointRequest(image, model, where[np.newaxis], POINT_SIZE, click=True)
        self.requests.add(request)
        return request

    def lattice(self, corners: Sequence[World]) -> PointGrid:
        """Lay a grid into the rectangle between four corners in world coordinates.

        Raises
        ------
        InputError
            If the corners are not in one plane of the image.
        """
        return PointGrid.within(
            self._outline(corners)[:, -2:], self.spacing, image_shape(self._ready()[0])[-2:]
        )

    def rectangle(self, corners: Sequence[World]) -> PointRequest:
        """Queue a grid of points in the rectangle between four corners in world coordinates.

        Raises
        ------
        InputError
            If there are no points or too many, or the corners are not in one plane.
        """
        image, model = self._ready()
        lattice = self.lattice(corners)
        if len(lattice) > LIMIT:
            spacing = lattice.coarser(LIMIT)
            raise InputError(messages.too_many_points(len(lattice), LIMIT, spacing))
        leading = np.rint(self._outline(corners)[0, :-2])
        if not len(lattice) or not is_inside(leading, image_shape(image)[:-2]).all():
            raise InputError(
                f"no grid point is on the image {image.name!r}; drag a rectangle over the image"
            )
        points = lattice.points()
        # In the order of prediction, so that each square is shown as soon as it is ready.
        points = points[by_squares(points)]
        where = np.column_stack([np.tile(leading, (len(points), 1)), points])
        size = min(POINT_SIZE, 0.4 * self.spacing)
        request = PointRequest(image, model, where, size, click=False)
        self.requests.add(request)
        return request

    def show(self, request: PointRequest, found: Predictions) -> None:
        """Show the predictions that are new since the last call, unless the request was undone."""
        new = found[len(request.probabilities) :]
        if not len(new) or request not in self.requests:
            return
        layer = self._layer(request)
        predictions.append(layer, request, new)
        self._origins[layer].claim(request, len(new))
        request.probabilities = found.copy()

    def finish(self, request: PointRequest) -> str:
        """End a request, and describe the result."""
        self.requests.finish(request)
        found, names = request.probabilities, request.model.scheme.names
        asked, threshold = len(request.coordinates), request.model.document.threshold
        if not len(found):
            return "cancelled"
        if request.click:
            return messages.one_prediction(found[0], names, threshold)
        told = messages.many_predictions(found, names, threshold)
        cut = "" if len(found) == asked else f"cancelled after {len(found):,} of {asked:,}. "
        return f"{cut}{told}"

    def fail(self, request: PointRequest) -> None:
        """Remove a request that failed, and those behind it."""
        self.requests.remove(request)
        self.requests.stop()

    def predictions(self) -> PointsLayer | None:
        """Give the layer with the predictions for this image and model, or None."""
        if self.image is None or self.model is None:
            return None
        return predictions.find(self._viewer, self.image, self.model.scheme)

    def can_undo(self) -> bool:
        """Tell whether there is a click or rectangle to undo."""
        asked = self.requests.of(self.image)
        return any(each.state is not RequestState.DONE or self._rows(each) for each in asked)

    def undo(self) -> str:
        """Undo the last click or rectangle on the image, and say so."""
        for request in reversed(self.requests.of(self.image)):
            rows, waited = self._rows(request), request.state is not RequestState.DONE
            self.requests.remove(request)
            for layer, which in rows:
                layer.remove(which)
            if rows or waited:
                return f"undid the last {'click' if request.click else 'rectangle'}"
        return "there is nothing to undo"

    def clear(self) -> str:
        """Remove all predictions of the image, including those in progress."""
        for request in self.requests.of(self.image):
            self.requests.remove(request)
        layer = self.predictions()
        n = 0 if layer is None else len(layer.data)
        if layer is not None and n:
            layer.remove(list(range(n)))
        return f"{count(n, 'point')} removed"

    def convert(self) -> str:
        """Turn the selected predictions, or all, into labels of the annotation layer.

        Returns
        -------
        str
            What was done.

        Raises
        ------
        InputError
            If there are none, or the annotation layer cannot take them.
        """
        layer, image, shared = self.predictions(), self.image, session(self._viewer)
        if layer is None or image is None or not len(layer.data):
            raise InputError("there are no predictions yet; click on the image first")
        rows = predictions.chosen(layer)
        labels = [str(label) for label in layer.features[CLASS_COLUMN].iloc[rows]]
        target = shared.target
        if target is None or target not in self._viewer.layers:
            scheme = layers.scheme_of(layer)
            assert scheme is not None
            target = annotation_layer(self._viewer, image, scheme)
            shared.target = target
        else:
            predictions.check(self._viewer, target, image, labels)
            layers.link(self._viewer, target, image)
        predictions.convert(layer, rows, image, target)
        return f"{count(len(rows), 'point')} moved to {target.name!r}"

    def _forget(self, event: Any) -> None:
        """Drop what belongs to a removed layer."""
        origins = self._origins.pop(event.value, None)
        if origins is not None:
            origins.close()
        for request in self.requests.of(event.value):
            self.requests.remove(request)
        self._changed()

    def _ready(self) -> tuple[Image, "AnyModel"]:
        if self.image is None or self.model is None:
            raise InputError(self.missing())
        return self.image, self.model

    def _rows(self, request: PointRequest) -> list[tuple[PointsLayer, list[int]]]:
        """Find the points of a request, layer by layer."""
        found = [(layer, origins.rows(request)) for layer, origins in self._origins.items()]
        return [(layer, rows) for layer, rows in found if rows]

    def _layer(self, request: PointRequest) -> PointsLayer:
        scheme = request.model.scheme
        layer = predictions.find(self._viewer, request.image, scheme)
        if layer is None:
            layer = predictions.make(self._viewer, request.image, scheme)
        if layer not in self._origins:
            self._origins[layer] = Origins(layer, self._changed)
        return layer

    def _outline(self, corners: Sequence[World]) -> NDArray[np.float64]:
        image, _ = self._ready()
        outline = np.array([layers.from_world(image, corner) for corner in corners])
        if np.ptp(outline[:, :-2], axis=0).max(initial=0) > SAME_PLANE:
            raise InputError(
                "a rectangle must lie in one plane of the image; show its y and x axes, or click"
            )
        return outline
