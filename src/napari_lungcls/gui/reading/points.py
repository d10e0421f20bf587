"""Labelled points as a layer: colours of their classes, place of their image."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from napari_lungcls.annotation import ClassScheme, Points, read_points
from napari_lungcls.annotation.points import CLASS_COLUMN, INDEX_COLUMN
from napari_lungcls.gui.readers import LayerData
from napari_lungcls.gui.reading.images import is_called, open_images
from napari_lungcls.names import Folder, comparable

if TYPE_CHECKING:
    from napari.layers import Image

SUFFIX = ".lungcls.csv"
"""Points files with this suffix are ours; napari itself opens every other `.csv`."""

ADDED = " points"
"""What annotation layers are called after their image, and so the files of them."""


def read_points_layers(path: str) -> list[LayerData]:
    """Read a points file as a layer, in the place of its image if that is open.

    Raises
    ------
    InputError
        When the file cannot be used.
    """
    points = read_points(path)
    image = image_for(points, path, open_images(points.ndim))
    return [points_layer(points, layer_name(path), image=image)]


def points_layer(
    points: Points,
    name: str = "points",
    scheme: ClassScheme | None = None,
    image: "Image | None" = None,
) -> LayerData:
    """Turn points into the layer data that napari adds.

    The layer's feature `class` is categorical in the order of the scheme, also where a class
    has no point yet. The column `index` is left out: napari counts anew when it saves.

    Parameters
    ----------
    points
        The points, in data pixels of their image.
    name
        Name of the layer.
    scheme
        Classes, colours and their order; without one, the smallest preset that has all
        classes of the points, else a scheme of those classes.
    image
        The image that the points belong to; the layer takes its place.

    Raises
    ------
    InputError
        When a point's class is not in `scheme`.
    """
    from napari_lungcls.gui.layers import KEY, POINT_SIZE, categories, colour_cycle, place

    labels = points.labels
    scheme = scheme or ClassScheme.for_labels([] if labels is None else labels)
    features = points.table.drop(columns=INDEX_COLUMN, errors="ignore").reset_index(drop=True)
    defaults = {name: _shared(features[name]) for name in features}
    options: dict[str, Any] = {"name": name, "size": POINT_SIZE}
    if image is not None:
        options |= place(image)
    if labels is not None:
        points.select(np.array([bool(comparable(label)) for label in labels], bool)).codes(scheme)
        features[CLASS_COLUMN] = categories(list(labels), scheme)
        defaults[CLASS_COLUMN] = scheme.names[0]
        options |= {"face_color": CLASS_COLUMN, "face_color_cycle": colour_cycle(scheme)}
        known = {"kind": "points", "scheme": scheme, "image": image.name if image else None}
        options["metadata"] = {KEY: known}
    options |= {"features": features, "feature_defaults": defaults}
    return points.coordinates, options, "points"


def image_for(points: Points, path: str, images: "Sequence[Image]") -> "Image | None":
    """Find the open image that points belong to.

    It is the image that the column `image` names, or the one that the file is called after.
    If neither says anything, it is the only image that is open.

    Parameters
    ----------
    points
        What the file holds.
    path
        The file.
    images
        The open images with as many axes.
    """
    named = points.column("image")
    if named is not None and any(named):
        folder = Path(path).parent
        if len(set(map(Folder(folder).key, set(named)))) > 1:
            return None
        return next((image for image in images if is_called(image, named[0], folder)), None)
    name = layer_name(path)
    called = {comparable(name), comparable(name.removesuffix(ADDED))}
    found = next((image for image in images if comparable(image.name) in called), None)
    return found or (images[0] if len(images) == 1 else None)


def layer_name(path: str) -> str:
    """Name a layer after its file."""
    name = os.path.basename(path)
    suffix = SUFFIX if name.lower().endswith(SUFFIX) else os.path.splitext(name)[1]
    return name[: len(name) - len(suffix)] or "points"


def _shared(values: "pd.Series[Any]") -> str:
    """Give a new point what all points say, such as the animal, and nothing where they differ."""
    return str(values.iloc[0]) if values.nunique() == 1 else ""
