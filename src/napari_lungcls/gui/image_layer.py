"""Image layers as the core sees them: channels, colours and pixel size. No Qt."""

import math
import os
import warnings
import weakref
from collections.abc import Sequence
from typing import Any

import dask.array as da
import napari
import numpy as np
from napari.layers import Image, Labels, Layer
from napari.utils.colormaps import CMYBGR, MAGENTA_GREEN

from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.gui.layers import image_of, is_straight, to_world
from napari_lungcls.images.axes import axis_name
from napari_lungcls.images.opening import SUPPORTED, as_stack, open_image
from napari_lungcls.images.pixel_size import MICROMETRE
from napari_lungcls.images.readers.arrays import pixel_edges
from napari_lungcls.images.stack import ImageStack

COLOURS = "lungcls-colours"
"""Metadata key for weak references to the layers that are the colours of an image."""

FEW = range(2, 5)
"""Lengths of an unnamed first axis that may be one of channels."""


def channel_axis(layer: Layer) -> int | None:
    """Give the axis of an image that is named as a channel axis, or None."""
    if getattr(layer, "rgb", True):
        return None
    found = [i for i, name in enumerate(layer.axis_labels[:-2]) if axis_name(name) in ("c", "s")]
    return found[0] if found else None


def may_be_channels(layer: Layer) -> bool:
    """Tell whether the first axis is unnamed and as short as a channel axis."""
    if getattr(layer, "rgb", True) or layer.ndim < 3 or channel_axis(layer) is not None:
        return False
    return layer.axis_labels[0] == f"-{layer.ndim}" and _first(layer).shape[0] in FEW


def refusal(layer: Layer) -> str:
    """Say in one line why an image cannot be used as it is; empty if it can."""
    axis = channel_axis(layer)
    if axis is None:
        return ""
    return (
        f"layer {layer.name!r}: its axis {layer.axis_labels[axis]!r} holds "
        f"{_first(layer).shape[axis]} channels, not planes; split it into one layer per channel "
        "with the button below Image"
    )


def split(viewer: "napari.Viewer", layer: Image, axis: int) -> list[Image]:
    """Replace an image that has a channel axis by one layer per channel.

    Nothing is read. As in napari, the layers are blended additively; unlike with napari's
    *Split Stack*, they keep units, axis names and affine transforms.

    Returns
    -------
    list of Image
        In the order of the channels.
    """
    count = _first(layer).shape[axis]
    options = _place_without(layer, axis)
    cycle = MAGENTA_GREEN if count == 2 else CMYBGR if count > 2 else ["gray"]
    made = [
        Image(
            _taken(layer, axis, i),
            name=f"{layer.name} {i}",
            rgb=False,
            multiscale=layer.multiscale,
            colormap=cycle[i % len(cycle)],
            blending="additive",
            **options,
        )
        for i in range(count)
    ]
    index = viewer.layers.index(layer)
    for channel in reversed(made):
        channel._set_source(layer.source)
        viewer.layers.insert(index + 1, channel)
    viewer.layers.remove(layer)
    viewer.layers.selection.active = made[0]
    return made


def companions(viewer: "napari.Viewer", image: Image) -> list[Image]:
    """List the grayscale images that may be channels of one image, including itself.

    They have the same shape, data type, levels and position.
    """
    if image.rgb:
        return [image]
    place = to_world(image)
    return [
        layer
        for layer in viewer.layers
        if layer == image
        or (
            isinstance(layer, Image)
            and not layer.rgb
            and _shapes(layer) == _shapes(image)
            and layer.dtype == image.dtype
            and layer.units == image.units
            and np.array_equal(to_world(layer), place)
        )
    ]


def colours_of(image: Image) -> tuple[Image, ...]:
    """Give the layers used as red, green and blue; only the image itself if it is grayscale."""
    found = tuple(layer for ref in image.metadata.get(COLOURS, ()) if (layer := ref()) is not None)
    return found or (image,)


def choose_colours(image: Image, layers: Sequence[Image]) -> None:
    """Use one to three layers as the colours of an image, in all windows."""
    others = {key: value for key, value in image.metadata.items() if key != COLOURS}
    # napari hands plugins proxies of layers, which are short-lived.
    refs = [weakref.ref(getattr(layer, "__wrapped__", layer)) for layer in layers]
    image.metadata = others if list(layers) == [image] else others | {COLOURS: refs}


def stack_of(image: Any) -> ImageStack:
    """Convert an image layer with its chosen colours to a stack; anything else as `as_stack`.

    Raises
    ------
    InputError
        If it is not an image, or has a channel axis.
    """
    if not isinstance(image, Image):
        return as_stack(image)
    if problem := refusal(image):
        raise InputError(problem)
    colours = colours_of(image)
    plain = as_stack(image)
    if colours == (image,):
        return plain
    levels = [_Colours(parts) for parts in zip(*map(_levels, colours), strict=True)]
    stack = plain.with_channels(levels, ",".join(map(str, range(len(colours)))))
    stack.channels = ",".join(layer.name for layer in colours)
    return stack


class _Colours:
    """A lazy view of arrays of equal shape as one array `(…, y, x, channel)`."""

    def __init__(self, parts: Sequence[Any]) -> None:
        self._parts = parts
        self.shape = (*parts[0].shape, len(parts))
        self.ndim = len(self.shape)
        self.dtype = np.dtype(parts[0].dtype)
        pieces = getattr(parts[0], "chunksize", None)
        self.chunks = None if pieces is None else (*pieces, 1)

    def __getitem__(self, key: tuple[int | slice, ...]) -> Any:
        place, channels = key[:-1], range(len(self._parts))[key[-1]]
        if isinstance(channels, int):
            return np.asarray(self._parts[channels][place])
        return np.stack([np.asarray(self._parts[c][place]) for c in channels], axis=-1)


def _first(layer: Layer) -> Any:
    return _levels(layer)[0]


def _levels(layer: Layer) -> list[Any]:
    return list(layer.data) if getattr(layer, "multiscale", False) else [layer.data]


def _shapes(layer: Layer) -> list[tuple[int, ...]]:
    return [tuple(level.shape) for level in _levels(layer)]


def _taken(layer: Image, axis: int, index: int) -> Any:
    place = (slice(None),) * axis + (index,)
    found = []
    for level in _levels(layer):
        lazy = level if isinstance(level, np.ndarray | da.Array) else da.from_array(level)  # type: ignore[no-untyped-call]
        found.append(lazy[place])
    return found if layer.multiscale else found[0]


def _place_without(layer: Layer, axis: int) -> dict[str, Any]:
    """Give the arguments that align a layer with another one, without one of its axes."""
    kept = [i for i in range(layer.ndim) if i != axis]
    place: dict[str, Any] = {
        "units": [layer.units[i] for i in kept],
        "axis_labels": _labels_without(layer, kept),
    }
    if is_straight(layer):
        return place | {"scale": layer.scale[kept], "translate": layer.translate[kept]}
    both = [*kept, layer.ndim]
    return place | {"affine": to_world(layer)[np.ix_(both, both)]}


def _labels_without(layer: Layer, kept: Sequence[int]) -> list[str] | None:
    """Give the names of the kept axes, or None if they are unnamed."""
    if all(label == str(i - layer.ndim) for i, label in enumerate(layer.axis_labels)):
        return None
    return [layer.axis_labels[i] for i in kept]


def pixel_size(layer: Layer) -> float | None:
    """Give the pixel size of a layer in µm, or None if its units are not lengths.

    For pixels that are not square, this is the edge of a square of the same area.
    """
    y, x = pixel_edges(layer)
    return None if y is None or x is None else math.sqrt(y * x)


def stated_pixel_size(layer: Layer) -> float | None:
    """Give the pixel size in µm that the file of a layer states, whichever reader opened it."""
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
    """Set the pixel size of an image and of the layers aligned with it.

    The layers are scaled around the world origin along `y` and `x`: the image, layers in the
    same position such as other channels, and its maps. Points follow their image on their own.

    Parameters
    ----------
    viewer
        The viewer.
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
        # Units first, because a change of scale triggers what follows the layer.
        if known is None:
            layer.units = (MICROMETRE,) * layer.ndim
        _grow(layer, factor)


def _belonging(viewer: "napari.Viewer", image: Image) -> list[Layer]:
    place = to_world(image)
    # Compared with ==, as napari hands plugins proxies of layers.
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
    """Give the edge of a pixel in world units, which are not lengths."""
    columns = to_world(layer)[: layer.ndim, layer.ndim - 2 : layer.ndim]
    return math.sqrt(np.prod(np.linalg.norm(columns, axis=0)))
