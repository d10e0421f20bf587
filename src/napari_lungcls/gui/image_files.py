"""Image files as layers: lazy, in the place that the file states."""

from typing import Any

import dask.array as da
import numpy as np

from napari_lungcls.errors import InputError
from napari_lungcls.gui import LayerData
from napari_lungcls.images.opening import open_image
from napari_lungcls.images.stack import ImageStack

RGB = ("#ff0000", "#00ff00", "#0000ff")

WHOLE = 2**24
"""Pixels up to which a plane is read in one piece."""

TILE = 2048
"""Edge in pixels of the pieces of larger planes, rounded to whole chunks of the file."""


def file_layers(path: str, part: str = "") -> list[LayerData]:
    """Open one image of a file: a grey or RGB layer, or one grey layer for each channel.

    Parameters
    ----------
    path
        The file, with the choice of an image behind it where it has several.
    part
        What the file calls that image, to tell its layers from those of the others.

    Raises
    ------
    InputError
        When it cannot be used.
    """
    try:
        stack = open_image(path)
    except InputError as error:
        # Neither grey nor three colours: perhaps it has other channels.
        stack = _first_channel(path, error)
    else:
        if not stack.channel_names or _is_true_colour(stack):
            return [image_layer(stack, part)]
    names = [name or str(i) for i, name in enumerate(stack.channel_names)]
    return [
        image_layer(channel, f"{part} {name}".strip(), colour)
        for channel, name, colour in zip(stack.each_channel(), names, _colours(stack), strict=True)
    ]


def _first_channel(path: str, error: InputError) -> ImageStack:
    try:
        stack = open_image(path, "0")
    except InputError:
        raise error from None
    if len(stack.channel_names) < 2:
        raise error
    return stack


def _is_true_colour(stack: ImageStack) -> bool:
    """Tell whether three channels are red, green and blue of a photograph.

    Fluorescence has channels with names or colours of its own, or more than 8 bits.
    """
    colours = tuple(colour.lower() for colour in stack.channel_colours)
    names = tuple(name.lower() for name in stack.channel_names)
    photograph = colours == RGB or names in (("red", "green", "blue"), ("r", "g", "b"))
    return stack.dtype == np.uint8 and (photograph or not any((*names, *colours)))


def _colours(stack: ImageStack) -> list[Any]:
    """Give the colour of each channel, where the file has none as napari does."""
    from napari.utils.colormaps import CMYBGR, MAGENTA_GREEN

    count = len(stack.channel_names)
    usual = MAGENTA_GREEN if count == 2 else CMYBGR
    given = stack.channel_colours or ("",) * count
    if len(set(given)) < count:  # Some programs write one colour for all.
        given = ("",) * count
    return [colour or usual[i % len(usual)] for i, colour in enumerate(given)]


def image_layer(stack: ImageStack, part: str = "", colour: Any = None) -> LayerData:
    """Turn an image into the layer data that napari adds; pixels are read when looked at.

    Parameters
    ----------
    stack
        The image.
    part
        Follows its name: which image of a file, or which channel.
    colour
        Of a channel; it is laid over the others.
    """
    levels = [_as_dask(level, stack.ndim) for level in stack.levels]
    options: dict[str, Any] = {
        "name": f"{stack.name} {part}".strip(),
        "rgb": stack.rgb,
        "multiscale": len(levels) > 1,
        "scale": stack.scale,
        "translate": stack.translate,
        "units": (stack.unit,) * stack.ndim,
    }
    if stack.axis_names:
        options["axis_labels"] = stack.axis_names
    if colour is not None:
        options |= {"colormap": colour, "blending": "additive"}
    return levels if len(levels) > 1 else levels[0], options, "image"


def _as_dask(level: Any, ndim: int) -> Any:
    """Wrap an array on disk so that napari can slice it as it likes, plane by plane."""
    shape, stored = level.shape, getattr(level, "chunks", None) or (1,) * len(level.shape)
    pieces = [1] * (ndim - 2) + list(shape[ndim - 2 :])
    if shape[ndim - 2] * shape[ndim - 1] > WHOLE:
        for axis in (ndim - 2, ndim - 1):
            pieces[axis] = max(1, round(TILE / stored[axis])) * stored[axis]
    return da.from_array(level, chunks=tuple(pieces), name=False, asarray=False)  # type: ignore[no-untyped-call]
