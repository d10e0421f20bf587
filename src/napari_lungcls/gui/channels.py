"""Channels of an image in the viewer: told from planes, split into layers, mixed to colours."""

import weakref
from collections.abc import Sequence
from typing import Any

import dask.array as da
import napari
import numpy as np
from napari.layers import Image, Layer
from napari.utils.colormaps import CMYBGR, MAGENTA_GREEN

from napari_lungcls.errors import InputError
from napari_lungcls.gui.layers import is_straight, to_world
from napari_lungcls.images.axes import axis_name
from napari_lungcls.images.opening import as_stack
from napari_lungcls.images.stack import ImageStack

COLOURS = "lungcls-colours"
"""Under this key of its metadata an image remembers the layers that are its colours."""

FEW = range(2, 5)
"""Lengths of a first axis without a name that may well be channels."""


def channel_axis(layer: Layer) -> int | None:
    """Give the axis of an image that is called one of channels, or None."""
    if getattr(layer, "rgb", True):
        return None
    found = [i for i, name in enumerate(layer.axis_labels[:-2]) if axis_name(name) in ("c", "s")]
    return found[0] if found else None


def may_be_channels(layer: Layer) -> bool:
    """Tell whether the first axis, which nobody named, is as short as one of channels."""
    if getattr(layer, "rgb", True) or layer.ndim < 3 or channel_axis(layer) is not None:
        return False
    return layer.axis_labels[0] == f"-{layer.ndim}" and _first(layer).shape[0] in FEW


def refusal(layer: Layer) -> str:
    """Say in one line why an image cannot be used as it is; empty when it can."""
    axis = channel_axis(layer)
    if axis is None:
        return ""
    return (
        f"layer {layer.name!r}: its axis {layer.axis_labels[axis]!r} holds "
        f"{_first(layer).shape[axis]} channels, which are no planes; split it into one layer "
        "for each channel, below Image"
    )


def split(viewer: "napari.Viewer", layer: Image, axis: int) -> list[Image]:
    """Put one layer for each channel in the place of an image with an axis of channels.

    Nothing is read. As napari does it, the layers add up to one picture in several colours;
    unlike its *Split Stack* they keep units, names of axes and affine transforms.

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
    """List the grey images that may be channels of the same image, itself among them.

    They have its shape, type and levels, and lie in its place.
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
    """Give the layers that are red, green and blue of an image; only itself if it is grey."""
    found = tuple(layer for ref in image.metadata.get(COLOURS, ()) if (layer := ref()) is not None)
    return found or (image,)


def choose_colours(image: Image, layers: Sequence[Image]) -> None:
    """Make one to three layers the colours of an image, for all windows."""
    others = {key: value for key, value in image.metadata.items() if key != COLOURS}
    # Plugins are handed proxies of layers, which nobody keeps.
    refs = [weakref.ref(getattr(layer, "__wrapped__", layer)) for layer in layers]
    image.metadata = others if list(layers) == [image] else others | {COLOURS: refs}


def stack_of(image: Any) -> ImageStack:
    """Take a layer as an image in the colours that were chosen for it; else as `as_stack`.

    Raises
    ------
    InputError
        When it is no image, or has an axis of channels.
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
    stack = ImageStack(
        levels,
        channels=",".join(map(str, range(len(colours)))),
        channel_axis=-1,
        pixel_size=plain.pixel_size,
        scale=plain.scale,
        translate=plain.translate,
        unit=plain.unit,
        name=plain.name,
        source=plain.source,
    )
    stack.channels = ",".join(layer.name for layer in colours)
    return stack


class _Colours:
    """Grey arrays of equal shape seen as one array `(…, y, x, channel)`, read where asked."""

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
    """Give the keyword arguments that put a layer where another is, without one of its axes."""
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
    """Give the names of the axes that stay; None where they were not named."""
    if all(label == str(i - layer.ndim) for i, label in enumerate(layer.axis_labels)):
        return None
    return [layer.axis_labels[i] for i in kept]
