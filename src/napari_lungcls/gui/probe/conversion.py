"""Turning predictions into labels: from their layer to an annotation layer. No Qt."""

from collections.abc import Sequence

import napari
import numpy as np
from napari.layers import Image
from napari.layers import Points as PointsLayer

from napari_lungcls.annotation import ClassScheme
from napari_lungcls.annotation.columns import CLASS_COLUMN, MODEL, SOURCE_COLUMN
from napari_lungcls.errors import InputError
from napari_lungcls.gui import layers
from napari_lungcls.gui.points_layer import appended, set_scheme
from napari_lungcls.utils.names import KnownNames


def chosen(predictions: PointsLayer) -> list[int]:
    """Give the rows to convert: the selected ones, or all when none is selected."""
    return sorted(predictions.selected_data) or list(range(len(predictions.data)))


def check(
    viewer: "napari.Viewer", target: PointsLayer, image: Image, labels: Sequence[str]
) -> ClassScheme | None:
    """Give the scheme of a layer that is to take labels, or None when it has no classes yet.

    Raises
    ------
    InputError
        When the layer belongs to another image or waits for it, or its scheme lacks a class.
    """
    if layers.waits(viewer, target):
        raise InputError(
            f"the labels go to {target.name!r}, which waits for its image; choose that in the "
            "label window first"
        )
    other = layers.image_of(viewer, target)
    if other is not None and other is not image:
        raise InputError(
            f"the labels go to {target.name!r}, which belongs to the image {other.name!r}; in the "
            f"label window choose a layer of {image.name!r}, or a new one"
        )
    scheme = layers.scheme_of(target)
    known = KnownNames(() if scheme is None else scheme.names, "class")
    missing = sorted(label for label in set(labels) if known.place(label) is None)
    if missing and scheme is not None:
        raise InputError(
            f"the layer {target.name!r} has no class {', '.join(missing)}, only "
            f"{', '.join(scheme.names)}; add the class to its scheme, or choose another layer "
            "in the label window"
        )
    return scheme


def convert(
    predictions: PointsLayer, rows: Sequence[int], image: Image, target: PointsLayer
) -> None:
    """Move predictions to the end of an annotation layer, in one step.

    Who watches `target.events` hears of one assignment of data, when the new points have
    their classes: one step to undo.

    Parameters
    ----------
    predictions
        The layer they are taken from.
    rows
        Which points of it.
    image
        The image that both layers belong to.
    target
        The annotation layer; it has passed `check` and is linked to the image.

    Raises
    ------
    InputError
        When the layers have different axes.
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
        # Features bring defaults of their own, but what the next label is to be stays.
        first = {CLASS_COLUMN: scheme.names[0], SOURCE_COLUMN: ""}
        target.feature_defaults = first | defaults
        if before is None:
            set_scheme(target, scheme)
    target.data = target.data
    predictions.remove(list(rows))
