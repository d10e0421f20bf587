"""The pixel size of a layer: told from its place in the world, and set where it is unknown."""

import math
import os
import warnings

import napari
import numpy as np
from napari.layers import Image, Labels, Layer

from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.gui.layers import image_of, is_straight, to_world
from napari_lungcls.images.opening import SUPPORTED, open_image
from napari_lungcls.images.pixel_size import MICROMETRE
from napari_lungcls.images.readers.arrays import pixel_edges


def pixel_size(layer: Layer) -> float | None:
    """Give the µm per pixel of a layer, or None when the units of its plane are no lengths.

    Pixels that are not square count as squares of the same area.
    """
    y, x = pixel_edges(layer)
    return None if y is None or x is None else math.sqrt(y * x)


def stated_pixel_size(layer: Layer) -> float | None:
    """Give the µm per pixel that the file of a layer states, whoever opened it."""
    path = layer.source.path
    if path is None or not (os.path.isdir(path) or str(path).lower().endswith(SUPPORTED)):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LungclsWarning)
            return open_image(path).pixel_size
    except InputError:
        return None


def set_pixel_size(viewer: "napari.Viewer", image: Image, size: float) -> None:
    """Give an image, and what lies over it, another pixel size.

    Its world grows or shrinks around the origin along `y` and `x`. Layers in the same place,
    such as its other channels, and its maps go with it. Points follow their image by
    themselves.

    Parameters
    ----------
    viewer
        Where the image is.
    image
        The layer.
    size
        µm per pixel.
    """
    if not (np.isfinite(size) and size > 0):
        raise InputError(f"the pixel size must be positive, not {size:g}")
    known = pixel_size(image)
    factor = size / (known or _step(image))
    for layer in [image, *_belonging(viewer, image)]:
        # Units first: what follows a layer looks at it when its scale changes.
        if known is None:
            layer.units = (MICROMETRE,) * layer.ndim
        _grow(layer, factor)


def _belonging(viewer: "napari.Viewer", image: Image) -> list[Layer]:
    place = to_world(image)
    # Layers are compared, not identified: plugins are handed proxies of them.
    return [
        layer
        for layer in viewer.layers
        if isinstance(layer, Image | Labels)
        and layer != image
        and layer.ndim == image.ndim
        and layer.units == image.units
        and (image_of(viewer, layer) == image or np.array_equal(to_world(layer), place))
    ]


def _grow(layer: Layer, factor: float) -> None:
    growth = np.ones(layer.ndim)
    growth[-2:] = factor
    if is_straight(layer):
        layer.translate = layer.translate * growth
        layer.scale = layer.scale * growth
    else:
        layer.affine = np.diag([*growth, 1.0]) @ np.asarray(layer.affine)


def _step(layer: Layer) -> float:
    """Give the length of one pixel in the world, whose unit is none of length."""
    columns = to_world(layer)[: layer.ndim, layer.ndim - 2 : layer.ndim]
    return math.sqrt(np.prod(np.linalg.norm(columns, axis=0)))
