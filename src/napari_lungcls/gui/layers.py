"""Layers of napari and what lies behind them: places, coordinates, classes. No Qt."""

from collections.abc import Sequence
from typing import Any

import napari
import numpy as np
import pandas as pd
from napari.layers import Image, Layer
from napari.layers import Points as PointsLayer
from numpy.typing import ArrayLike, NDArray

from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.annotation.points import CLASS_COLUMN, INDEX_COLUMN
from napari_lungcls.errors import InputError
from napari_lungcls.imaging.geometry import map_offset
from napari_lungcls.names import KnownNames
from napari_lungcls.painting.header import MapHeader

KEY = "lungcls"
"""Under this key of a layer's metadata stands what this plugin knows about it."""

POINT_SIZE = 10.0


def place(image: Layer) -> dict[str, Any]:
    """Give the keyword arguments that put a layer where `image` is, counting its pixels.

    Returns
    -------
    dict
        `scale`, `translate`, `units`, `axis_labels`, and for an image that is turned,
        sheared or moved by an affine also those.
    """
    found: dict[str, Any] = {
        "scale": tuple(image.scale),
        "translate": tuple(image.translate),
        "units": image.units,
        "axis_labels": image.axis_labels,
    }
    if not _is_straight(image):
        found |= {"rotate": image.rotate, "shear": image.shear, "affine": image.affine}
    return found


def map_place(image: Layer | None, header: MapHeader) -> dict[str, Any]:
    """Give the keyword arguments that put a layer of cells where a map belongs.

    Parameters
    ----------
    image
        The image that was painted; None when only the map's file is known.
    header
        What the map says about itself.
    """
    if image is None:
        units = ["pixel"] * (len(header.shape) - 2) + [header.unit] * 2
        return {"scale": header.scale, "translate": header.translate, "units": units}
    known = {"units": image.units, "axis_labels": image.axis_labels}
    if _is_straight(image):
        return {"scale": header.scale, "translate": header.translate, **known}
    step = np.ones(image.ndim)
    step[-2:] = header.stride
    # The header counts in an image that is scaled and moved, but not turned.
    first = np.rint((np.asarray(header.translate) - image.translate) / image.scale)
    first[-2:] = np.asarray(header.origin) + map_offset(header.stride)
    return {"scale": step, "translate": first, "affine": _to_world(image), **known}


def positions(
    points: PointsLayer, image: Layer, rows: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Give points in data pixels of an image, wherever the two layers lie in the world.

    Parameters
    ----------
    points, image
        The layers.
    rows
        Which points; all by default.

    Returns
    -------
    ndarray, (n, ndim), float64

    Raises
    ------
    InputError
        When the layers have different axes.
    """
    data = np.asarray(points.data, np.float64)
    return _moved(data if rows is None else data[np.asarray(rows)], points, image)


def to_layer(coordinates: ArrayLike, image: Layer, layer: Layer) -> NDArray[np.float64]:
    """Give positions in data pixels of an image as data of another layer, the way back.

    Raises
    ------
    InputError
        When the layers have different axes.
    """
    return _moved(np.asarray(coordinates, np.float64), image, layer)


def from_world(image: Layer, position: Sequence[float]) -> NDArray[np.float64]:
    """Give the data pixel `(…, y, x)` of an image under a position in the viewer's world."""
    return np.asarray(image.world_to_data(position), np.float64)[-image.ndim :]


def annotation_layer(
    viewer: "napari.Viewer", image: Image, scheme: ClassScheme, name: str | None = None
) -> PointsLayer:
    """Add an empty layer for labels, in the place of an image and in the colours of a scheme."""
    layer = PointsLayer(
        np.empty((0, image.ndim)),
        ndim=image.ndim,
        name=name or f"{image.name} points",
        size=POINT_SIZE,
        **place(image),
        **class_arguments([], scheme),
        metadata={KEY: {"kind": "points", "scheme": scheme, "image": image.name}},
    )
    viewer.add_layer(layer)
    return layer


def class_arguments(labels: Sequence[str | None], scheme: ClassScheme) -> dict[str, Any]:
    """Give the keyword arguments of a points layer that show classes in their colours."""
    return {
        "features": pd.DataFrame({CLASS_COLUMN: categories(labels, scheme)}),
        "feature_defaults": {CLASS_COLUMN: scheme.names[0]},
        "face_color": CLASS_COLUMN,
        "face_color_cycle": colour_cycle(scheme),
    }


def categories(labels: Sequence[str | None], scheme: ClassScheme) -> pd.Categorical:
    """Give the classes of points as a scheme spells and orders them; empty ones are missing."""
    known, names = KnownNames(scheme.names, "class"), scheme.names
    places = {label: known.place(label) for label in set(labels) if isinstance(label, str)}
    spelled: dict[str | None, str] = {
        label: names[place] for label, place in places.items() if place is not None
    }
    return pd.Categorical([spelled.get(label) for label in labels], categories=list(names))


def colour_cycle(scheme: ClassScheme) -> dict[str, str]:
    """Give the colour of every class as napari's points layers take it."""
    return dict(zip(scheme.names, scheme.colors, strict=True))


def fill(layer: PointsLayer, points: Points, scheme: ClassScheme) -> None:
    """Put points, in data of the layer, in the place of all that it has."""
    features = points.table.drop(columns=INDEX_COLUMN, errors="ignore").reset_index(drop=True)
    labels = [""] * len(points) if points.labels is None else list(points.labels)
    features[CLASS_COLUMN] = categories(labels, scheme)
    layer.data = points.coordinates
    layer.features = features
    set_scheme(layer, scheme)


def core_points(layer: PointsLayer, image: Layer | None = None) -> Points:
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
        When the layers have different axes, or a feature is named like a coordinate.
    """
    where = np.asarray(layer.data, np.float64) if image is None else positions(layer, image)
    columns = {str(name): layer.features[name].to_numpy(dtype=object) for name in layer.features}
    labels = columns.pop(CLASS_COLUMN, None)
    if labels is not None:
        labels = np.array(["" if pd.isna(label) else str(label) for label in labels], object)
    points = Points.build(where, labels).with_columns(**columns)
    return Points(
        points.coordinates, points.labels, points.table, f"layer {layer.name!r}", points.columns
    )


def scheme_of(layer: Layer) -> ClassScheme | None:
    """Give the classes of a points or map layer, as far as they can be told."""
    known = layer.metadata.get(KEY, {}).get("scheme")
    if isinstance(known, ClassScheme):
        return known
    features = getattr(layer, "features", None)
    if not isinstance(layer, PointsLayer) or features is None or CLASS_COLUMN not in features:
        return None
    column = features[CLASS_COLUMN]
    kinds = column.dtype.categories if isinstance(column.dtype, pd.CategoricalDtype) else column
    return ClassScheme.for_labels([str(kind) for kind in kinds if not pd.isna(kind)])


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
    layer.face_color = CLASS_COLUMN
    layer.face_color_cycle = colour_cycle(scheme)
    layer.refresh_colors()
    layer.metadata.setdefault(KEY, {"kind": "points"})["scheme"] = scheme


def set_next_class(layer: PointsLayer, name: str) -> None:
    """Choose the class that the next new point gets; points that are selected keep theirs."""
    defaults = {str(column): layer.feature_defaults[column].iloc[0] for column in layer.features}
    layer.feature_defaults = defaults | {CLASS_COLUMN: name}


def image_of(viewer: "napari.Viewer", layer: Layer) -> Image | None:
    """Give the image that a points or map layer belongs to: the one it names, if it is open."""
    name = layer.metadata.get(KEY, {}).get("image")
    images = [found for found in viewer.layers if isinstance(found, Image)]
    return next((image for image in images if image.name == name), None)


def _is_straight(layer: Layer) -> bool:
    """Tell whether scale and translate alone say where a layer is."""
    n = layer.ndim
    return (
        np.array_equal(np.asarray(layer.rotate), np.eye(n))
        and not np.any(layer.shear)
        and np.array_equal(np.asarray(layer.affine), np.eye(n + 1))
    )


def _to_world(layer: Layer) -> NDArray[np.float64]:
    """Give the matrix from a layer's data to the world, `(ndim + 1, ndim + 1)`."""
    n = layer.ndim
    matrix = np.eye(n + 1)
    matrix[:n, n] = layer.data_to_world(np.zeros(n))
    for axis, unit in enumerate(np.eye(n)):
        matrix[:n, axis] = np.asarray(layer.data_to_world(unit)) - matrix[:n, n]
    return matrix


def _moved(data: NDArray[np.float64], start: Layer, end: Layer) -> NDArray[np.float64]:
    if start.ndim != end.ndim:
        raise InputError(
            f"layer {start.name!r} has {start.ndim} axes and layer {end.name!r} has {end.ndim}; "
            "choose layers that belong together"
        )
    first, last = _to_world(start), _to_world(end)
    if np.array_equal(first, last):
        return data.copy()
    matrix = np.linalg.solve(last, first)
    n = start.ndim
    return data @ matrix[:n, :n].T + matrix[:n, n]
