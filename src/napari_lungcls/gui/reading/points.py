"""Labelled points as a layer: colours of their classes, place of their image."""

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from napari_lungcls.annotation import ClassScheme, Points, read_points
from napari_lungcls.annotation.columns import CLASS_COLUMN, IMAGE_COLUMN, INDEX_COLUMN
from napari_lungcls.gui.image_id import ImageId, find, identify
from napari_lungcls.gui.readers import LayerData
from napari_lungcls.gui.reading.images import open_images
from napari_lungcls.utils.names import Folder, comparable

if TYPE_CHECKING:
    from napari.layers import Image

SUFFIX = ".lungcls.csv"
"""Points files with this suffix are ours; napari itself opens every other `.csv`."""

ADDED = " points"
"""What annotation layers are called after their image, and so the files of them."""


def read_points_layers(path: str) -> list[LayerData]:
    """Read a points file as a layer, on its image if that is open and the file names it.

    Otherwise the points wait for their image: nobody but the user can tell which it is.

    Raises
    ------
    InputError
        When the file cannot be used.
    """
    from napari import current_viewer
    from napari.utils.notifications import show_info

    from napari_lungcls.gui.session import session

    points, viewer = read_points(path), current_viewer()
    known, images = belonging(points, path), open_images(points.ndim)
    if viewer is not None:
        session(viewer)  # It keeps the points on their image.
        if find(known, images) is None:
            show_info(
                f"Choose the image of these {len(points)} points in Plugins > Lung "
                "classification > Label points"
            )
    return [points_layer(points, layer_name(path), belongs=known, images=images)]


def points_layer(
    points: Points,
    name: str = "points",
    scheme: ClassScheme | None = None,
    belongs: ImageId | None = None,
    images: "Sequence[Image]" = (),
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
    belongs
        The image that the points belong to, as far as it is known.
    images
        The open images with as many axes; the layer is put on its own, or while it waits
        on the one of the same name.

    Raises
    ------
    InputError
        When a point's class is not in `scheme`.
    """
    from napari_lungcls.gui.layers import KEY, POINT_SIZE, categories, colour_cycle, place

    belongs = belongs or ImageId("")
    image = find(belongs, images)
    labels, known = points.labels, {"kind": "points", "image": belongs}
    scheme = scheme or ClassScheme.for_labels([] if labels is None else labels)
    features = points.table.drop(columns=INDEX_COLUMN, errors="ignore").reset_index(drop=True)
    defaults = {name: _shared(features[name]) for name in features}
    options: dict[str, Any] = {"name": name, "size": POINT_SIZE, "metadata": {KEY: known}}
    if image is not None:
        known["image"] = identify(image, images)
    if (seen := image or suggested(belongs, images)) is not None:
        options |= place(seen)
    if labels is not None:
        points.select(np.array([bool(comparable(label)) for label in labels], bool)).codes(scheme)
        features[CLASS_COLUMN] = categories(list(labels), scheme)
        defaults[CLASS_COLUMN] = scheme.names[0]
        options |= {"face_color": CLASS_COLUMN, "face_color_cycle": colour_cycle(scheme)}
        known["scheme"] = scheme
    options |= {"features": features, "feature_defaults": defaults}
    return points.coordinates, options, "points"


def belonging(points: Points, path: str) -> ImageId:
    """Say which image the points of a file belong to.

    The column `image` tells; without it the file's name is a suggestion and no more.
    """
    named = points.column(IMAGE_COLUMN)
    if named is not None and any(named):
        folder = Path(path).parent
        if len(set(map(Folder(folder).key, set(named)))) == 1:
            file = PurePosixPath(comparable(named[0])).name
            return ImageId(file, called=str(named[0]), folder=str(folder))
    return ImageId(layer_name(path).removesuffix(ADDED))


def suggested(known: ImageId, images: "Sequence[Image]") -> "Image | None":
    """Give the only image of the name that is remembered, to be suggested."""
    alike = [image for image in images if comparable(image.name) == comparable(known.name)]
    return alike[0] if len(alike) == 1 else None


def layer_name(path: str) -> str:
    """Name a layer after its file."""
    name = os.path.basename(path)
    suffix = SUFFIX if name.lower().endswith(SUFFIX) else os.path.splitext(name)[1]
    return name[: len(name) - len(suffix)] or "points"


def _shared(values: "pd.Series[Any]") -> str:
    """Give a new point what all points say, such as the animal, and nothing where they differ."""
    return str(values.iloc[0]) if values.nunique() == 1 else ""
