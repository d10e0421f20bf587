"""Pixel sizes of models and images, and what to do where they differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from napari_lungcls.errors import InputError
from napari_lungcls.images.stack import ImageStack

TOLERANCE = 0.02
"""Relative difference of pixel sizes below which an image is not resampled."""

LARGEST_RATIO = 64.0
"""Ratio of pixel sizes beyond which one of the two must be wrong."""


def effective_zooms(
    zooms: Sequence[int], model_pixel_size: float | None, stack: ImageStack
) -> tuple[float, ...]:
    """Zooms at which an image shows what the model was trained to see.

    A model trained at 0.5 µm per pixel that looks at an image of 0.25 µm per pixel shrinks
    it by a further factor of two: its zooms 1 and 4 become 2 and 8 on that image.

    Parameters
    ----------
    zooms
        The network's zooms.
    model_pixel_size
        Micrometres per pixel that the model was trained at, or None if unknown.
    stack
        The image that it is to look at.

    Returns
    -------
    tuple of float
        Pixels of this image per level pixel.

    Raises
    ------
    InputError
        When the sizes are so different that one must be wrong.
    """
    if model_pixel_size is None or stack.pixel_size is None:
        return tuple(float(z) for z in zooms)
    ratio = model_pixel_size / stack.pixel_size
    if not 1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO:
        raise InputError(
            f"{stack.source} has {stack.pixel_size:g} µm per pixel and the model was trained at "
            f"{model_pixel_size:g}; one of them must be wrong",
            setting="pixel_size",
        )
    if abs(ratio - 1) <= TOLERANCE:
        ratio = 1.0
    return tuple(z * ratio for z in zooms)


def size_remark(model_pixel_size: float | None, stack: ImageStack) -> str:
    """Say what is assumed or done about the pixel size of an image; empty when it fits.

    Parameters
    ----------
    model_pixel_size
        Micrometres per pixel that the network sees at zoom 1, or None if unknown.
    stack
        The image that it is to look at.
    """
    size = stack.pixel_size
    if model_pixel_size is None:
        if size is None:
            return ""
        return (
            f"the model does not know the pixel size it was trained at; {stack.source} "
            f"({size:g} µm) is taken to have the same"
        )
    if size is None:
        return (
            f"{stack.source} does not tell its pixel size; it is taken for the model's, "
            f"{model_pixel_size:g} µm. Set the pixel size if that is wrong."
        )
    ratio = model_pixel_size / size
    if abs(ratio - 1) <= TOLERANCE:
        return ""
    change = f"shrunk {ratio:.3g} times" if ratio > 1 else f"enlarged {1 / ratio:.3g} times"
    return (
        f"{stack.source} has {size:g} µm per pixel and the model sees {model_pixel_size:g}; "
        f"the image is {change} for it"
    )


def common_pixel_size(stacks: Iterable[ImageStack]) -> float | None:
    """Return the finest known pixel size of images; coarser ones are resampled to it."""
    known = [stack.pixel_size for stack in stacks if stack.pixel_size is not None]
    return min(known) if known else None


def check_zooms(zooms: Sequence[int], effective: Sequence[float], stack: ImageStack) -> None:
    """Refuse zooms at which the image has fewer pixels than a few cells.

    Raises
    ------
    InputError
        Naming the zoom and the largest one that fits.
    """
    smallest = min(stack.plane_shape)
    for zoom, factor in zip(zooms, effective, strict=True):
        if factor > smallest / MIN_LEVEL_PIXELS:
            largest = int(smallest / MIN_LEVEL_PIXELS * zoom / factor)
            remedy = f"use zooms up to {largest}" if largest >= 1 else "give a larger image"
            raise InputError(
                f"zoom {zoom} is larger than the image allows: {stack.source} has "
                f"{stack.plane_shape[0]} × {stack.plane_shape[1]} pixels; {remedy}"
            )


MIN_LEVEL_PIXELS = 8
"""Pixels that the shorter side of a level must keep for a zoom to make sense."""
