"""Points as a layer of napari, and such a layer as points: the only converter between them. No Qt.

The data of a layer that belongs to an image are pixels of that image, as in a points file,
wherever the layer lies.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import napari
import numpy as np
import pandas as pd
from napari import current_viewer
from napari.layers import Image, Layer
from napari.layers import Points as PointsLayer
from napari.utils.notifications import show_info

from napari_lungcls.annotation import ClassScheme, Points, read_points
from napari_lungcls.annotation.columns import (
    CLASS_COLUMN,
    IMAGE_COLUMN,
    INDEX_COLUMN,
    PIXELS_COLUMN,
    SOURCE_COLUMN,
)
from napari_lungcls.annotation.points import points_of_features
from napari_lungcls.errors import InputError
from napari_lungcls.gui import LayerData
from napari_lungcls.gui.image_id import ImageId, find, identify, is_other
from napari_lungcls.gui.layers import KEY, image_id_of, pictures, place, positions
from napari_lungcls.gui.point_sizes import POINT_SIZE
from napari_lungcls.gui.session import session
from napari_lungcls.utils.names import Folder, KnownNames, comparable

SUFFIX = ".lungcls.csv"
"""Points files with this suffix are ours; napari itself opens every other `.csv`."""

ADDED = " points"
"""What annotation layers are called after their image, and so the files of them."""

RINGS: dict[str, Any] = {
    "symbol": "ring",
    "border_color": "#000000",
    "border_width": 0.04,
    "antialiasing": 0.6,
    "size": POINT_SIZE,
}
"""How labelled points look: the tissue under a point is seen, and the colour on any tissue."""


def read_points_layers(path: str) -> list[LayerData]:
    """Read a points file as a layer, on its image if that is open and the file names it.

    Otherwise the points wait for their image: nobody but the user can tell which it is.

    Raises
    ------
    InputError
        When the file cannot be used.
    """
    points, viewer = read_points(path), current_viewer()
    known, images = belonging(points, path), pictures(viewer, points.ndim)
    if viewer is not None:
        session(viewer)  # It keeps the points on their image.
        if find(known, images) is None:
            another = suggested(known, images)
            why = (
                f" The image {another.name!r} has other pixels than the one they were set on."
                if another is not None and is_other(another, known)
                else ""
            )
            show_info(
                f"Choose the image of these {len(points)} points in Plugins > Lung "
                f"classification > Label points.{why}"
            )
    return [layer_data(points, layer_name(path), belongs=known, images=images)]


def layer_data(
    points: Points,
    name: str = "points",
    scheme: ClassScheme | None = None,
    belongs: ImageId | None = None,
    images: Sequence[Image] = (),
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
    belongs = belongs or ImageId("")
    image, labels = find(belongs, images), points.labels
    scheme = scheme or ClassScheme.for_labels([] if labels is None else labels)
    known: dict[str, Any] = {"kind": "points", "image": belongs}
    if image is not None:
        known["image"] = identify(image, images)
    seen = image or suggested(belongs, images)
    options = {} if seen is None else place(seen)
    if belongs.pixels:
        points = _without_pixels(points)
    features = _features(points, scheme)
    defaults = {str(name): _shared(features[name]) for name in features}
    if labels is not None:
        points.select(np.array([bool(comparable(label)) for label in labels], bool)).codes(scheme)
        known["scheme"] = scheme
        options |= class_colors(scheme)
        defaults[CLASS_COLUMN] = scheme.names[0]
    options |= {"features": features, "feature_defaults": defaults}
    options |= {"name": name, "ndim": points.ndim, "metadata": {KEY: known}, **RINGS}
    return points.coordinates, options, "points"


def to_points(layer: PointsLayer, image: Layer | None = None) -> Points:
    """Give what a points layer holds as a table of points.

    Parameters
    ----------
    layer
        The layer.
    image
        The image whose data pixels the coordinates shall count; the layer's own by default.

    Raises
    ------
    InputError
        When the points belong to another image, or a feature is named like a coordinate.
    """
    where = layer.data if image is None else positions(layer, image)
    return points_of_features(where, layer.features, layer.name)


def points_to_save(data: Any, attributes: Mapping[str, Any]) -> Points:
    """Give what napari hands to a writer as a table of points.

    Parameters
    ----------
    data, attributes
        Of the layer. If it belongs to no image, its points lie where they are seen on those that
        are open; see `positions`.

    Raises
    ------
    InputError
        When it has no point, a feature is named like a coordinate, or the layer could belong to
        several open images that lie in different places.
    """
    name, viewer = attributes.get("name", "points"), current_viewer()
    if not len(data):
        raise InputError(f"layer {name!r} has no points; add some before saving it")
    layer = next((layer for layer in (viewer.layers if viewer else ()) if layer.data is data), None)
    if layer is not None and image_id_of(layer) is None:
        found = [positions(layer, image) for image in pictures(viewer, layer.ndim)]
        if any(not np.allclose(where, found[0]) for where in found):
            raise InputError(
                f"layer {name!r} belongs to no image, and several are open; choose it in the "
                "Label window, then save it"
            )
        data = found[0] if found else data
    points = points_of_features(data, attributes.get("features"), name)
    known = None if layer is None else image_id_of(layer)
    return points if known is None else with_pixels(points, known)


def with_pixels(points: Points, image: ImageId) -> Points:
    """Add the fingerprint of their image to points, for their file, if it is known."""
    return points.with_columns(**{PIXELS_COLUMN: image.pixels}) if image.pixels else points


def annotation_layer(
    viewer: "napari.Viewer", image: Image, scheme: ClassScheme, name: str | None = None
) -> PointsLayer:
    """Add an empty layer for labels, in the place of an image and in the colours of a scheme."""
    nothing, known = Points.build(np.empty((0, image.ndim)), []), identify(image, pictures(viewer))
    return add_points_layer(viewer, nothing, name or image.name + ADDED, scheme, known)


def add_points_layer(
    viewer: "napari.Viewer", points: Points, name: str, scheme: ClassScheme, known: ImageId
) -> PointsLayer:
    """Add points as a layer, on their image if that is open.

    Parameters
    ----------
    viewer
        The viewer.
    points
        The points, in data pixels of their image.
    name
        Name of the layer.
    scheme
        The classes; if it lacks one of the points, they get a scheme of their own.
    known
        The image that the points belong to.
    """
    images = pictures(viewer, points.ndim)
    scheme = scheme.including(points.labels)
    layer = viewer.add_layer(Layer.create(*layer_data(points, name, scheme, known, images)))
    assert isinstance(layer, PointsLayer)
    return layer


def fill(layer: PointsLayer, points: Points, scheme: ClassScheme) -> None:
    """Put points, in data of the layer, in the place of all that it has."""
    layer.data = points.coordinates
    layer.features = _features(points, scheme)
    set_scheme(layer, scheme)


def class_colors(scheme: ClassScheme) -> dict[str, Any]:
    """Give the attributes of a points layer that show classes in their colours."""
    cycle = dict(zip(scheme.names, scheme.colors, strict=True))
    return {"face_color": CLASS_COLUMN, "face_color_cycle": cycle}


def categories(labels: Sequence[Any], scheme: ClassScheme) -> pd.Categorical:
    """Give the classes of points as a scheme spells and orders them; empty ones are missing."""
    known, names = KnownNames(scheme.names, "class"), scheme.names
    places = {label: known.place(label) for label in set(labels) if isinstance(label, str)}
    spelled: dict[str | None, str] = {
        label: names[place] for label, place in places.items() if place is not None
    }
    return pd.Categorical([spelled.get(label) for label in labels], categories=list(names))


def appended(
    features: pd.DataFrame,
    defaults: Mapping[str, Any],
    labels: Sequence[str],
    source: str,
    scheme: ClassScheme,
) -> pd.DataFrame:
    """Give the features of a layer with rows for new labels at their end.

    Parameters
    ----------
    features
        `(n, …)` features of the layer.
    defaults
        What a new point has in the other columns.
    labels
        `(m,)` classes of the new points.
    source
        What they have in the column `source`.
    scheme
        The classes of the layer.
    """
    n, m = len(features), len(labels)
    old = {
        name: list(features[name]) if name in features else [""] * n
        for name in dict.fromkeys((*features, CLASS_COLUMN, SOURCE_COLUMN))
    }
    new: dict[str, Any] = {CLASS_COLUMN: labels, SOURCE_COLUMN: [source] * m}
    columns: dict[str, Any] = {}
    for name, cells in old.items():
        columns[name] = [*cells, *new.get(name, [defaults.get(name, "")] * m)]
        if name not in new:
            columns[name] = pd.Series(columns[name], dtype=features[name].dtype)
    columns[CLASS_COLUMN] = categories(columns[CLASS_COLUMN], scheme)
    return pd.DataFrame(columns)


def set_scheme(layer: PointsLayer, scheme: ClassScheme) -> None:
    """Give a points layer the classes of a scheme: categories, colours and the next class.

    Points keep the class of the same name; a class that the scheme does not have is cleared.
    """
    features = layer.features.copy()
    old = features[CLASS_COLUMN] if CLASS_COLUMN in features else [None] * len(features)
    names = set(scheme.names)
    features[CLASS_COLUMN] = categories([c if c in names else None for c in old], scheme)
    following = layer.feature_defaults.get(CLASS_COLUMN)
    chosen = str(following.iloc[0]) if following is not None and len(following) else ""
    layer.features = features
    set_next_class(layer, chosen if chosen in names else scheme.names[0])
    for name, value in class_colors(scheme).items():
        setattr(layer, name, value)
    layer.refresh_colors()
    layer.metadata.setdefault(KEY, {"kind": "points"})["scheme"] = scheme


def set_next_class(layer: PointsLayer, name: str) -> None:
    """Choose the class that the next new point gets; points that are selected keep theirs."""
    defaults = {str(column): layer.feature_defaults[column].iloc[0] for column in layer.features}
    layer.feature_defaults = defaults | {CLASS_COLUMN: name}


def belonging(points: Points, path: str) -> ImageId:
    """Say which image the points of a file belong to.

    The columns `image` and `image_pixels` tell; without them the file's name is a suggestion
    and no more.
    """
    prints = points.column(PIXELS_COLUMN)
    pixels = str(prints[0]) if prints is not None and len(set(prints)) == 1 else ""
    named = points.column(IMAGE_COLUMN)
    if named is not None and any(named):
        folder = Path(path).parent
        if len(set(map(Folder(folder).key, set(named)))) == 1:
            file = PurePosixPath(comparable(named[0])).name
            return ImageId(file, called=str(named[0]), folder=str(folder), pixels=pixels)
    return ImageId(layer_name(path).removesuffix(ADDED), pixels=pixels)


def suggested(known: ImageId, images: Sequence[Image]) -> Image | None:
    """Give the only image of the name that is remembered, to be suggested."""
    alike = [image for image in images if comparable(image.name) == comparable(known.name)]
    return alike[0] if len(alike) == 1 else None


def layer_name(path: str) -> str:
    """Name a layer after its file."""
    name = os.path.basename(path)
    suffix = SUFFIX if name.lower().endswith(SUFFIX) else os.path.splitext(name)[1]
    return name[: len(name) - len(suffix)] or "points"


def _features(points: Points, scheme: ClassScheme) -> pd.DataFrame:
    features = points.table.drop(columns=INDEX_COLUMN, errors="ignore").reset_index(drop=True)
    if points.labels is not None:
        features[CLASS_COLUMN] = categories(list(points.labels), scheme)
    return features


def _without_pixels(points: Points) -> Points:
    """Leave the fingerprint out: the layer knows its image, and saving adds it again."""
    columns = tuple(name for name in points.columns if name != PIXELS_COLUMN)
    table = points.table.drop(columns=PIXELS_COLUMN, errors="ignore")
    return replace(points, table=table, columns=columns)


def _shared(values: "pd.Series[Any]") -> str:
    """Give a new point what all points say, such as the animal, and nothing where they differ."""
    return str(values.iloc[0]) if values.nunique() == 1 else ""
