"""Masks of an image: what is outlined in a shapes layer or painted in a labels layer. No Qt."""

import math

import numpy as np
import shapely
from napari.layers import Image, Layer, Shapes
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.images.geometry import from_corner
from napari_lungcls.images.masks import ImageMask, Mask
from napari_lungcls.images.polygon_masks import PolygonMask, ellipse
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.inference.grid import Region
from napari_lungcls.utils.printable import printable

FILLED = ("polygon", "rectangle", "ellipse")


def layer_mask(layer: Layer, image: Image, shape: tuple[int, ...]) -> Mask:
    """Make a mask of outlines or of painted labels, all but 0.

    Parameters
    ----------
    layer
        Shapes, or labels of the size of the image or of one plane.
    image
        The image.
    shape
        `(…, y, x)` of the image in pixels.

    Raises
    ------
    InputError
        If the layer does not fit the image, or nothing is outlined.
    """
    name = printable(f"layer {layer.name!r}")
    if isinstance(layer, Shapes):
        return _polygons(layer, image, shape, name)
    data = layer.data[0] if layer.multiscale else layer.data
    if tuple(data.shape) not in (shape, shape[-2:]):
        raise InputError(
            f"{name} has {' × '.join(map(str, data.shape))} pixels and the image "
            f"{' × '.join(map(str, shape))}; paint the mask on a layer of the image's size"
        )
    return ImageMask(ImageStack(data, rgb=False, source=name), name)


def extent_of(mask: Mask, shape: tuple[int, int]) -> Region | None:
    """Give the rows and columns around outlines; None where only reading the mask could tell.

    Raises
    ------
    InputError
        If no outline lies in the image.
    """
    if not isinstance(mask, PolygonMask):
        return None
    bounds = shapely.total_bounds([polygon for _, polygon in mask.polygons])
    x, y = (
        (max(0, math.floor(bounds[axis])), min(size, math.ceil(bounds[axis + 2])))
        for axis, size in ((0, shape[1]), (1, shape[0]))
    )
    if y[0] >= y[1] or x[0] >= x[1]:
        raise InputError(f"{mask.description}: no outline lies in the image; draw one on it")
    return slice(*y), slice(*x)


def _polygons(layer: Shapes, image: Image, shape: tuple[int, ...], name: str) -> PolygonMask:
    if layer.ndim not in (2, image.ndim):
        raise InputError(f"{name} has {layer.ndim} axes and the image {image.ndim}")
    found: list[tuple[tuple[int, ...] | None, shapely.Geometry]] = []
    for kind, corners in zip(layer.shape_type, layer.data, strict=True):
        if kind not in FILLED:
            continue
        pixels = _in_pixels(np.asarray(corners, np.float64), layer, image)
        outline = from_corner(pixels[:, -2:])[:, ::-1]
        outline = ellipse(outline) if kind == "ellipse" else outline
        plane = tuple(np.rint(pixels[0, :-2]).astype(int).tolist()) or None
        found.append((plane, shapely.make_valid(shapely.Polygon(outline))))
    if not found:
        raise InputError(f"{name} has no outline; draw a polygon, a rectangle or an ellipse")
    height, width = shape[-2:]
    return PolygonMask(found, (height, width), name)


def _in_pixels(corners: NDArray[np.float64], layer: Shapes, image: Image) -> NDArray[np.float64]:
    """Turn corners of a shape into data pixels of the image; 2-D ones hold for every plane."""
    world = np.array([layer.data_to_world(corner) for corner in corners])
    if layer.ndim < image.ndim:
        lead = np.asarray(image.data_to_world(np.zeros(image.ndim)))[:-2]
        world = np.column_stack([np.tile(lead, (len(world), 1)), world[:, -2:]])
    pixels = np.array([image.world_to_data(at) for at in world], np.float64)
    return pixels[:, -2:] if layer.ndim < image.ndim else pixels
