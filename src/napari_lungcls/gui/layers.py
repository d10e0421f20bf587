"""Layers of napari and what lies behind them: their places, images and classes. No Qt."""

from collections.abc import Sequence
from typing import Any

import napari
import numpy as np
import pandas as pd
from napari.layers import Image, Layer
from napari.layers import Points as PointsLayer
from numpy.typing import ArrayLike, NDArray

from napari_lungcls.annotation import ClassScheme
from napari_lungcls.annotation.columns import CLASS_COLUMN
from napari_lungcls.errors import InputError
from napari_lungcls.gui.image_id import ImageId, find, identify
from napari_lungcls.images.geometry import map_offset
from napari_lungcls.inference.map_data import MapHeader

KEY = "lungcls"
"""Under this key of a layer's metadata stands what this plugin knows about it."""


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
    if not is_straight(image):
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
    if is_straight(image):
        return {
            "scale": image.scale * step,
            "translate": image.translate + image.scale * first,
            **known,
        }
    return {"scale": step, "translate": first, "affine": to_world(image), **known}


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
    first, last = to_world(points), to_world(image)
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


def pictures(viewer: "napari.Viewer | None", ndim: int | None = None) -> list[Image]:
    """List the images that are open, without the probabilities that were painted.

    Parameters
    ----------
    viewer
        The viewer; there may be none.
    ndim
        How many axes they must have; any number by default.
    """
    return [
        layer
        for layer in (() if viewer is None else viewer.layers)
        if isinstance(layer, Image) and KEY not in layer.metadata and ndim in (None, layer.ndim)
    ]


def image_id_of(layer: Layer) -> ImageId | None:
    """Give what a layer remembers of its image; None if it has never had one."""
    known = layer.metadata.get(KEY, {}).get("image")
    return known if isinstance(known, ImageId) else None


def image_of(viewer: "napari.Viewer", layer: Layer) -> Image | None:
    """Give the image that a points or map layer belongs to, if it is open."""
    known = layer.metadata.get(KEY, {}).get("image")
    if isinstance(known, ImageId):
        return find(known, pictures(viewer, layer.ndim))
    # Maps know the name only.
    return next((image for image in pictures(viewer) if image.name == known), None)


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
    if np.array_equal(to_world(layer), to_world(image)) and layer.units == image.units:
        return
    for name in ("scale", "rotate", "shear", "translate", "affine", "units", "axis_labels"):
        setattr(layer, name, getattr(image, name))


def is_straight(layer: Layer) -> bool:
    """Tell whether scale and translate alone say where a layer is."""
    n = layer.ndim
    return (
        np.array_equal(np.asarray(layer.rotate), np.eye(n))
        and not np.any(layer.shear)
        and np.array_equal(np.asarray(layer.affine), np.eye(n + 1))
    )


def to_world(layer: Layer) -> NDArray[np.float64]:
    """Give the matrix from a layer's data to the world, `(ndim + 1, ndim + 1)`."""
    n = layer.ndim
    matrix = np.eye(n + 1)
    matrix[:n, n] = layer.data_to_world(np.zeros(n))
    for axis, unit in enumerate(np.eye(n)):
        matrix[:n, axis] = np.asarray(layer.data_to_world(unit)) - matrix[:n, n]
    return matrix


def pixel_edge(layer: Layer) -> float:
    """Give the edge of a pixel in world units: that of a square of the same area."""
    sides = to_world(layer)[: layer.ndim, layer.ndim - 2 : layer.ndim]
    return float(np.sqrt(np.prod(np.linalg.norm(sides, axis=0))))
