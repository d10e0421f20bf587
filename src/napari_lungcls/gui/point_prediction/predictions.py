"""The points layer of predictions, and turning predictions into labels. No Qt."""

from collections.abc import Callable, Sequence
from typing import Any

import napari
import numpy as np
import pandas as pd
from napari.layers import Image
from napari.layers import Points as PointsLayer
from numpy.typing import NDArray

from napari_lungcls.annotation import ClassScheme
from napari_lungcls.annotation.columns import CLASS_COLUMN, MODEL, SOURCE_COLUMN
from napari_lungcls.errors import InputError
from napari_lungcls.gui import layers
from napari_lungcls.gui.image_id import identify
from napari_lungcls.gui.point_prediction.requests import PointRequest
from napari_lungcls.gui.point_sizes import POINT_SIZE
from napari_lungcls.gui.points_layer import (
    appended,
    categories,
    class_colors,
    set_scheme,
)
from napari_lungcls.network.decision import predicted_class
from napari_lungcls.utils.names import KnownNames

KIND = "predictions"
CONFIDENCE = "confidence"

LEAST_ON_SCREEN = 6
"""Least size of a point in screen pixels, so that its colour is visible when zoomed out."""


def find(viewer: "napari.Viewer", image: Image, scheme: ClassScheme) -> PointsLayer | None:
    """Find the layer of predictions of an image for these classes."""
    for layer in viewer.layers:
        known = layer.metadata.get(layers.KEY, {})
        is_such = known.get("kind") == KIND and known.get("scheme") == scheme
        if is_such and layers.belongs_to(layer, image):
            return layer
    return None


def make(viewer: "napari.Viewer", image: Image, scheme: ClassScheme) -> PointsLayer:
    """Add an empty layer of predictions aligned with an image.

    The face colour shows the class, the edge the confidence: white if high, black if low.
    Points are squares, unlike manual points, which are discs.
    """
    numbers = dict.fromkeys((CONFIDENCE, *_probability_columns(scheme)), 0.0)
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
        feature_defaults={CLASS_COLUMN: scheme.names[0]} | numbers,
    )
    _add_unselected(viewer, layer, instead_of=image)
    return layer


def _add_unselected(viewer: "napari.Viewer", layer: PointsLayer, instead_of: Image) -> None:
    """Add a layer and keep the selection, unless only the image or nothing is selected.

    napari's status bar describes the selected layer, which is then the new one.
    """
    selection = viewer.layers.selection
    before = set(selection)
    viewer.add_layer(layer)
    if before - {instead_of}:
        selection.clear()
        selection.update(before)


def append(layer: PointsLayer, request: PointRequest, probabilities: NDArray[np.float32]) -> None:
    """Add the next predictions of a request to a layer."""
    scheme, threshold = request.model.scheme, request.model.document.threshold
    first = len(request.probabilities)
    new = _features(probabilities, scheme, threshold)
    features = pd.concat([layer.features, new], ignore_index=True)
    sizes = np.append(layer.size, np.full(len(probabilities), request.size))
    coordinates = request.coordinates[first : first + len(probabilities)]
    layer.data = np.vstack([layer.data, coordinates])
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
    single = dict(zip(_probability_columns(scheme), probabilities.T, strict=True))
    return pd.DataFrame(columns | single)


def _probability_columns(scheme: ClassScheme) -> list[str]:
    return [f"p_{name}" for name in scheme.names]


class Origins:
    """Records which request each point of a layer came from, even if points are deleted."""

    def __init__(self, layer: PointsLayer, changed: Callable[[], None]) -> None:
        self._layer, self._changed = layer, changed
        self._numbers = np.zeros(len(layer.data), np.int64)
        layer.events.data.connect(self._follow)

    def close(self) -> None:
        """Disconnect from the layer."""
        self._layer.events.data.disconnect(self._follow)

    def claim(self, request: PointRequest, count: int) -> None:
        """Record that the last `count` points came from a request."""
        self._numbers[len(self._numbers) - count :] = request.number

    def rows(self, request: PointRequest) -> list[int]:
        """Give the remaining points of a request."""
        return [int(row) for row in np.flatnonzero(self._numbers == request.number)]

    def _follow(self, event: Any) -> None:
        """Follow added and removed points; points added by others get the number 0."""
        action, count = str(event.action), len(event.value)
        if action == "removed" and count:
            self._numbers = np.delete(self._numbers, list(event.data_indices))
        if action in ("added", "removed", "changed"):
            more = max(0, count - len(self._numbers))
            self._numbers = np.pad(self._numbers[:count], (0, more))
            self._changed()


def chosen(predictions: PointsLayer) -> list[int]:
    """Give the rows to convert: the selected ones, or all if none is selected."""
    return sorted(predictions.selected_data) or list(range(len(predictions.data)))


def check(
    viewer: "napari.Viewer", target: PointsLayer, image: Image, labels: Sequence[str]
) -> ClassScheme | None:
    """Give the scheme of the layer that is to take labels, or None if it has no classes yet.

    Raises
    ------
    InputError
        If the layer belongs to another image or waits for one, or lacks a class.
    """
    if layers.waits(viewer, target):
        raise InputError(
            f"the labels go to {target.name!r}, which waits for its image; choose the image in the "
            "Label points window first"
        )
    other = layers.image_of(viewer, target)
    if other is not None and other is not image:
        raise InputError(
            f"the labels go to {target.name!r}, which belongs to the image {other.name!r}; in the "
            f"Label points window choose a layer of {image.name!r}, or a new one"
        )
    scheme = layers.scheme_of(target)
    known = KnownNames(() if scheme is None else scheme.names, "class")
    missing = sorted(label for label in set(labels) if known.place(label) is None)
    if missing and scheme is not None:
        raise InputError(
            f"the layer {target.name!r} has no class {', '.join(missing)}, only "
            f"{', '.join(scheme.names)}; add the class to its scheme, or choose another layer "
            "in the Label points window"
        )
    return scheme


def convert(
    predictions: PointsLayer, rows: Sequence[int], image: Image, target: PointsLayer
) -> None:
    """Move predictions to the end of an annotation layer in one step.

    `target.events` reports a single change of data, once the new points have their classes,
    so that it can be undone at once.

    Parameters
    ----------
    predictions
        The layer to take points from.
    rows
        Which of its points.
    image
        The image that both layers belong to.
    target
        The annotation layer; it has passed `check` and is linked to the image.

    Raises
    ------
    InputError
        If the layers have different axes.
    """
    where = layers.positions(predictions, image, rows)
    labels = [str(label) for label in predictions.features[CLASS_COLUMN].iloc[list(rows)]]
    before = layers.scheme_of(target)
    scheme = before or ClassScheme.for_labels(labels)
    defaults = {str(name): values.iloc[0] for name, values in target.feature_defaults.items()}
    features = appended(target.features, defaults, labels, MODEL, scheme)
    events = target.events
    with events.data.blocker(), events.features.blocker(), events.set_data.blocker():
        target.data = np.vstack([target.data, where])
        target.features = features
        # Setting features resets the defaults, but the class of the next point stays.
        first = {CLASS_COLUMN: scheme.names[0], SOURCE_COLUMN: ""}
        target.feature_defaults = first | defaults
        if before is None:
            set_scheme(target, scheme)
    target.data = target.data
    predictions.remove(list(rows))
