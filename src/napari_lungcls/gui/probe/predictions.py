"""The points layer that shows answers, and which request each of its points came from. No Qt."""

from collections.abc import Callable
from typing import Any

import napari
import numpy as np
import pandas as pd
from napari.layers import Image
from napari.layers import Points as PointsLayer
from numpy.typing import NDArray

from napari_lungcls.annotation import ClassScheme
from napari_lungcls.annotation.columns import CLASS_COLUMN
from napari_lungcls.gui import layers
from napari_lungcls.gui.image_id import identify
from napari_lungcls.gui.points_layer import POINT_SIZE, categories, class_colors
from napari_lungcls.gui.probe.requests import Request
from napari_lungcls.network.decision import predicted_class

KIND = "predictions"
CONFIDENCE = "confidence"
LEAST_ON_SCREEN = 6
"""Screen pixels: a point must still show its colour when a whole section is in view."""


def find(viewer: "napari.Viewer", image: Image, scheme: ClassScheme) -> PointsLayer | None:
    """Give the layer of predictions that an image already has for these classes."""
    for layer in viewer.layers:
        known = layer.metadata.get(layers.KEY, {})
        is_such = known.get("kind") == KIND and known.get("scheme") == scheme
        if is_such and layers.belongs_to(layer, image):
            return layer
    return None


def make(viewer: "napari.Viewer", image: Image, scheme: ClassScheme) -> PointsLayer:
    """Add an empty layer of predictions in the place of an image.

    The face shows the class, the edge how sure the network is: white when it is, black when
    it guesses. Squares, as points set by hand are discs.
    """
    defaults = {CLASS_COLUMN: scheme.names[0]} | dict.fromkeys(
        (CONFIDENCE, *_probability_columns(scheme)), 0.0
    )
    layer = PointsLayer(
        np.empty((0, image.ndim)),
        ndim=image.ndim,
        name=f"{image.name} predictions",
        symbol="square",
        size=POINT_SIZE,
        border_color=CONFIDENCE,
        border_colormap="gray",
        border_contrast_limits=(1 / len(scheme), 1.0) if len(scheme) > 1 else (0.0, 1.0),
        border_width=0.15,
        canvas_size_limits=(LEAST_ON_SCREEN, 10_000),
        metadata={
            layers.KEY: {
                "kind": KIND,
                "scheme": scheme,
                "image": identify(image, layers.pictures(viewer)),
            }
        },
        **layers.place(image),
        **class_colors(scheme),
        features=_features(np.empty((0, len(scheme)), np.float32), scheme, None),
        feature_defaults=defaults,
    )
    add_quietly(viewer, layer, instead_of=image)
    return layer


def add_quietly(viewer: "napari.Viewer", layer: PointsLayer, instead_of: Image) -> None:
    """Add a layer and leave what is selected, unless that is the image or nothing.

    napari tells in the status bar about the selected layer only: then it is the new one.
    """
    selection = viewer.layers.selection
    before = set(selection)
    viewer.add_layer(layer)
    if before - {instead_of}:
        selection.clear()
        selection.update(before)


def append(layer: PointsLayer, request: Request, probabilities: NDArray[np.float32]) -> None:
    """Put the next answers to a request at the end of a layer."""
    scheme, threshold = request.model.scheme, request.model.document.threshold
    rows = slice(len(request.probabilities), len(request.probabilities) + len(probabilities))
    features = pd.concat(
        [layer.features, _features(probabilities, scheme, threshold)], ignore_index=True
    )
    sizes = np.append(layer.size, np.full(len(probabilities), request.size))
    layer.data = np.vstack([layer.data, request.coordinates[rows]])
    layer.features = features
    layer.size = sizes


def _features(
    probabilities: NDArray[np.float32], scheme: ClassScheme, threshold: float | None
) -> pd.DataFrame:
    codes = predicted_class(probabilities, threshold)
    columns = {
        CLASS_COLUMN: categories([scheme.names[code] for code in codes], scheme),
        CONFIDENCE: probabilities.max(axis=1, initial=0.0),
    }
    return pd.DataFrame(
        columns | dict(zip(_probability_columns(scheme), probabilities.T, strict=True))
    )


def _probability_columns(scheme: ClassScheme) -> list[str]:
    return [f"p_{name}" for name in scheme.names]


class Origins:
    """Which request each point of a layer came from, also when points are taken away by hand."""

    def __init__(self, layer: PointsLayer, changed: Callable[[], None]) -> None:
        self._layer, self._changed = layer, changed
        self._numbers = np.zeros(len(layer.data), np.int64)
        layer.events.data.connect(self._follow)

    def close(self) -> None:
        """Listen no more."""
        self._layer.events.data.disconnect(self._follow)

    def claim(self, request: Request, count: int) -> None:
        """Note that the last `count` points are answers to a request."""
        self._numbers[len(self._numbers) - count :] = request.number

    def rows(self, request: Request) -> list[int]:
        """Give the points that a request brought and that are still there."""
        return [int(row) for row in np.flatnonzero(self._numbers == request.number)]

    def _follow(self, event: Any) -> None:
        """Take out what was removed; what others add comes from no request, which is 0."""
        action, count = str(event.action), len(event.value)
        if action == "removed" and count:
            self._numbers = np.delete(self._numbers, list(event.data_indices))
        if action in ("added", "removed", "changed"):
            more = max(0, count - len(self._numbers))
            self._numbers = np.pad(self._numbers[:count], (0, more))
            self._changed()
