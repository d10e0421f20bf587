"""Clicks and rectangles in, predictions and words out: what the panel does, without Qt."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import napari
import numpy as np
from napari.layers import Image
from napari.layers import Points as PointsLayer
from numpy.typing import NDArray

from napari_lungcls.annotation.columns import CLASS_COLUMN
from napari_lungcls.errors import InputError
from napari_lungcls.gui import layers
from napari_lungcls.gui.image_id import image_shape
from napari_lungcls.gui.points_layer import POINT_SIZE, annotation_layer
from napari_lungcls.gui.probe import conversion, predictions, words
from napari_lungcls.gui.probe.predictions import Origins
from napari_lungcls.gui.probe.requests import Answers, Request, Requests
from napari_lungcls.gui.session import session
from napari_lungcls.images.geometry import is_inside
from napari_lungcls.inference.at_points import by_squares
from napari_lungcls.inference.point_grid import PointGrid
from napari_lungcls.utils.humanize import count

if TYPE_CHECKING:
    from napari_lungcls.model import Model

LIMIT = 10_000
"""Points of one rectangle; for more, painting is the faster way to an answer."""

SPACING = 16
"""Pixels between the points of a rectangle, at first."""

SAME_PLANE = 1e-3
"""Planes by which the corners of a rectangle may differ: rounding, no more."""

World = Sequence[float]


class Controller:
    """What was asked about the images of a viewer, and the layers that show the answers.

    Parameters
    ----------
    viewer
        The viewer, or its model without a window.
    changed
        Called when predictions have come or gone.
    """

    def __init__(self, viewer: "napari.Viewer", changed: Callable[[], None] = lambda: None) -> None:
        self._viewer, self._changed = viewer, changed
        self.model: Model | None = None
        self.image: Image | None = None
        self.spacing = SPACING
        self.requests = Requests()
        self._origins: dict[PointsLayer, Origins] = {}
        viewer.layers.events.removed.connect(self._forget)

    def close(self) -> None:
        """Drop what waits, and listen to no layer any more."""
        self._viewer.layers.events.removed.disconnect(self._forget)
        self.requests.stop()
        for origins in self._origins.values():
            origins.close()
        self._origins.clear()

    def missing(self) -> str:
        """Say what has to be done before anything can be classified; empty when nothing."""
        if self.image is None:
            return "Open an image first"
        if self._viewer.dims.ndisplay != 2:
            return "Show the image in 2-D first"
        return "" if self.model is not None else "Train a model or load one first"

    def click(self, position: World) -> Request:
        """Queue the point of the image under a position in the viewer's world.

        Raises
        ------
        InputError
            When the position lies outside the image.
        """
        image, model = self._ready()
        where = layers.from_world(image, position)
        if not is_inside(where, image_shape(image)).all():
            raise InputError(f"that is outside the image {image.name!r}; click on the image")
        where[:-2] = np.rint(where[:-2])
        request = Request(image, model, where[np.newaxis], POINT_SIZE, click=True)
        self.requests.add(request)
        return request

    def lattice(self, corners: Sequence[World]) -> PointGrid:
        """Lay the grid into the rectangle between four corners, in the viewer's world.

        Raises
        ------
        InputError
            When the corners do not lie in one plane of the image.
        """
        return PointGrid.within(
            self._outline(corners)[:, -2:], self.spacing, image_shape(self._ready()[0])[-2:]
        )

    def rectangle(self, corners: Sequence[World]) -> Request:
        """Queue a grid of points in the rectangle between four corners, in the viewer's world.

        Raises
        ------
        InputError
            When there would be no point or too many, or the corners do not lie in one plane.
        """
        image, model = self._ready()
        lattice = self.lattice(corners)
        if len(lattice) > LIMIT:
            raise InputError(words.too_many(len(lattice), LIMIT, lattice.coarser(LIMIT)))
        leading = np.rint(self._outline(corners)[0, :-2])
        if not len(lattice) or not is_inside(leading, image_shape(image)[:-2]).all():
            raise InputError(f"no point of the grid lies on the image {image.name!r}; drag over it")
        points = lattice.points()
        # In the order of the answers, so that each square is shown as soon as it is answered.
        points = points[by_squares(points)]
        where = np.column_stack([np.tile(leading, (len(points), 1)), points])
        size = min(POINT_SIZE, 0.4 * self.spacing)
        request = Request(image, model, where, size, click=False)
        self.requests.add(request)
        return request

    def show(self, request: Request, answers: Answers) -> None:
        """Show the answers that have come since the last time; none if it was undone."""
        new = answers.probabilities[len(request.probabilities) : answers.done]
        if not len(new) or request not in self.requests:
            return
        layer = self._layer(request)
        predictions.append(layer, request, new)
        self._origins[layer].claim(request, len(new))
        request.probabilities = answers.probabilities[: answers.done].copy()

    def finish(self, request: Request) -> str:
        """End a request, and say what was found."""
        self.requests.finish(request)
        found, asked, names = (
            request.probabilities,
            len(request.coordinates),
            request.model.scheme.names,
        )
        threshold = request.model.document.threshold
        if not len(found):
            return "cancelled"
        if request.click:
            return words.one_answer(found[0], names, threshold)
        told = words.many_answers(found, names, threshold)
        return (
            told if len(found) == asked else f"cancelled after {len(found):,} of {asked:,}. {told}"
        )

    def fail(self, request: Request) -> None:
        """Forget a request that could not be answered, and those behind it."""
        self.requests.remove(request)
        self.requests.stop()

    def predictions(self) -> PointsLayer | None:
        """Give the layer that shows the answers for this image and model, if there is one."""
        if self.image is None or self.model is None:
            return None
        return predictions.find(self._viewer, self.image, self.model.scheme)

    def can_undo(self) -> bool:
        """Tell whether there is a click or a rectangle to undo."""
        return any(each.state.value != "done" or self._rows(each) for each in self._asked())

    def undo(self) -> str:
        """Take back the last click or rectangle of the image, and say so."""
        for request in reversed(self._asked()):
            rows, waited = self._rows(request), request.state.value != "done"
            self.requests.remove(request)
            for layer, which in rows:
                layer.remove(which)
            if rows or waited:
                return "the click is undone" if request.click else "the rectangle is undone"
        return "there is nothing to undo"

    def clear(self) -> str:
        """Take away every prediction of the image, also what is still being worked on."""
        for request in self._asked():
            self.requests.remove(request)
        layer = self.predictions()
        n = 0 if layer is None else len(layer.data)
        if layer is not None and n:
            layer.remove(list(range(n)))
        return f"{count(n, 'point')} removed"

    def convert(self) -> str:
        """Turn predictions, the selected ones or all, into labels of the annotation layer.

        Returns
        -------
        str
            What was done.

        Raises
        ------
        InputError
            When there are none, or the annotation layer cannot take them.
        """
        layer, image, shared = self.predictions(), self.image, session(self._viewer)
        if layer is None or image is None or not len(layer.data):
            raise InputError("there are no predictions yet; click on the image first")
        rows = conversion.chosen(layer)
        labels = [str(label) for label in layer.features[CLASS_COLUMN].iloc[rows]]
        target = shared.target
        if target is None or target not in self._viewer.layers:
            scheme = layers.scheme_of(layer)
            assert scheme is not None
            target = annotation_layer(self._viewer, image, scheme)
            shared.target = target
        else:
            conversion.check(self._viewer, target, image, labels)
            layers.link(self._viewer, target, image)
        conversion.convert(layer, rows, image, target)
        return f"{count(len(rows), 'point')} moved to {target.name!r}"

    def _forget(self, event: Any) -> None:
        """Let go of what belonged to a layer that was closed."""
        origins = self._origins.pop(event.value, None)
        if origins is not None:
            origins.close()
        for request in self.requests.of(event.value):
            self.requests.remove(request)
        self._changed()

    def _ready(self) -> tuple[Image, "Model"]:
        if self.image is None or self.model is None:
            raise InputError(self.missing())
        return self.image, self.model

    def _asked(self) -> list[Request]:
        return self.requests.of(self.image)

    def _rows(self, request: Request) -> list[tuple[PointsLayer, list[int]]]:
        """Find the points of a request, layer by layer."""
        found = [(layer, origins.rows(request)) for layer, origins in self._origins.items()]
        return [(layer, rows) for layer, rows in found if rows]

    def _layer(self, request: Request) -> PointsLayer:
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
