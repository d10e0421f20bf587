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
from napari_lungcls.annotation.columns import CLASS_COLUMN, INDEX_COLUMN
from napari_lungcls.annotation.points import points_of_features
from napari_lungcls.errors import InputError
from napari_lungcls.gui.image_id import ImageId, find, identify
from napari_lungcls.images.geometry import map_offset
from napari_lungcls.inference.map_data import MapHeader
from napari_lungcls.utils.names import KnownNames

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
    step = np.ones(image.ndim)
    step[-2:] = header.stride
    # The header has the scale of the time of painting; cells lie on pixels, whatever it is now.
    first = np.rint((np.asarray(header.translate) - image.translate) / header.scale)
    first[-2:] = np.asarray(header.origin) + map_offset(header.stride)
    if _is_straight(image):
        return {
            "scale": image.scale * step,
            "translate": image.translate + image.scale * first,
            **known,
        }
    return {"scale": step, "translate": first, "affine": _to_world(image), **known}


def positions(
    points: PointsLayer, image: Layer, rows: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Give points in data pixels of an image.

    Points that belong to the image count its pixels already, wherever the layers lie. The
    points of other programs are taken to lie where they are seen, except those of a file
    that nobody has moved: like all points files it counts pixels.

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
        When the layers have different axes, or the points belong to another image.
    """
    if problem := mismatch(points, image):
        raise InputError(problem)
    data = np.asarray(points.data, np.float64)
    data = data if rows is None else data[np.asarray(rows)]
    first, last = _to_world(points), _to_world(image)
    unmoved = points.source.path is not None and np.array_equal(first, np.eye(len(first)))
    if image_id_of(points) is not None or unmoved or np.array_equal(first, last):
        return data.copy()
    matrix, n = np.linalg.solve(last, first), points.ndim
    return data @ matrix[:n, :n].T + matrix[:n, n]


def mismatch(points: PointsLayer, image: Layer) -> str:
    """Say why points cannot be those of an image, in one line; empty when they can."""
    if points.ndim != image.ndim:
        return (
            f"layer {points.name!r} has {points.ndim} axes and layer {image.name!r} has "
            f"{image.ndim}; choose layers that belong together"
        )
    known = image_id_of(points)
    if known is None or belongs_to(points, image):
        return ""
    if known.token is None:
        return f"layer {points.name!r} waits for its image; choose it in the Label window"
    return (
        f"layer {points.name!r} belongs to the image {known.name!r}, not to {image.name!r}; "
        "choose layers that belong together"
    )


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
        metadata={
            KEY: {
                "kind": "points",
                "scheme": scheme,
                "image": identify(image, pictures(viewer)),
            }
        },
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
        When the points belong to another image, or a feature is named like a coordinate.
    """
    where = np.asarray(layer.data, np.float64) if image is None else positions(layer, image)
    return points_of_features(where, layer.features, layer.name)


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


def pictures(viewer: "napari.Viewer") -> list[Image]:
    """List the images that are open, without the probabilities that were painted."""
    return [
        layer for layer in viewer.layers if isinstance(layer, Image) and KEY not in layer.metadata
    ]


def image_id_of(layer: Layer) -> ImageId | None:
    """Give what a layer remembers of its image; None if it has never had one."""
    known = layer.metadata.get(KEY, {}).get("image")
    return known if isinstance(known, ImageId) else None


def image_of(viewer: "napari.Viewer", layer: Layer) -> Image | None:
    """Give the image that a points or map layer belongs to, if it is open."""
    known, images = layer.metadata.get(KEY, {}).get("image"), pictures(viewer)
    if isinstance(known, ImageId):
        return find(known, [image for image in images if image.ndim == layer.ndim])
    # Maps know the name only.
    return next((image for image in images if image.name == known), None)


def belongs_to(layer: Layer, image: Layer) -> bool:
    """Tell whether a layer's points are those of an image, also where napari hands out proxies."""
    known = image_id_of(layer)
    return known is not None and known.token == image.unique_id


def waits(viewer: "napari.Viewer", layer: Layer) -> bool:
    """Tell whether a layer holds labels of an image that is not open, or not known."""
    return is_labels(layer) and image_id_of(layer) is not None and image_of(viewer, layer) is None


def is_labels(layer: Layer) -> bool:
    """Tell whether a layer may hold labels: points that the plugin made for more do not."""
    known = layer.metadata.get(KEY, {})
    return isinstance(layer, PointsLayer) and known.get("kind", "points") == "points"


def link(viewer: "napari.Viewer", layer: PointsLayer, image: Image) -> None:
    """Make points those of an image: they count its pixels, and lie on it.

    Raises
    ------
    InputError
        When the layers have different axes.
    """
    known = layer.metadata.setdefault(KEY, {"kind": "points"})
    if image_id_of(layer) is None:
        data = positions(layer, image)
        if not np.array_equal(data, layer.data):
            layer.data = data
    elif layer.ndim != image.ndim:
        raise InputError(mismatch(layer, image))
    known["image"] = identify(image, pictures(viewer))
    put_on(layer, image)


def put_on(layer: PointsLayer, image: Layer) -> None:
    """Put a layer that counts pixels of an image where the image is."""
    if np.array_equal(_to_world(layer), _to_world(image)) and layer.units == image.units:
        return
    for name in ("scale", "rotate", "shear", "translate", "affine", "units", "axis_labels"):
        setattr(layer, name, getattr(image, name))


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
