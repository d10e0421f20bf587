"""Pixel sizes: reading them from files, and comparing those of a model and an image."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence

from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.images.stack import ImageStack

MICROMETRE = "micrometer"
"""How OME-Zarr and this package spell the unit."""

_NAMES = {
    1e-6: ("picometer", "picometre", "pm"),
    1e-4: ("angstrom", "Å", "å", "ångström"),
    1e-3: ("nanometer", "nanometre", "nm"),
    1.0: ("micrometer", "micrometre", "micron", "um", "µm", "μm", "\\u00b5m"),
    1e3: ("millimeter", "millimetre", "mm"),
    1e4: ("centimeter", "centimetre", "cm"),
    25.4e3: ("inch", "inches", "in", '"'),
    1e6: ("meter", "metre", "m"),
}
_MICROMETRES = {name: factor for factor, names in _NAMES.items() for name in names}

_PLAUSIBLE = (0.005, 20.0)

MIN_ZOOMED_PIXELS = 8
"""Pixels that the shorter side of an image must keep for a zoom to make sense."""

TOLERANCE = 0.02
"""Relative difference of pixel sizes below which an image is not resampled."""

LARGEST_RATIO = 64.0
"""Ratio of pixel sizes above which one of them must be wrong."""


def effective_zooms(
    zooms: Sequence[int], model_pixel_size: float | None, stack: ImageStack
) -> tuple[float, ...]:
    """Zooms at which an image looks to the model as its training images did.

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
        Pixels of this image per zoomed pixel.

    Raises
    ------
    InputError
        When the sizes differ so much that one must be wrong.
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
    """Describe what is assumed or done about the pixel size of an image; empty if it fits.

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
    """Raise an error for zooms at which the image would be too small.

    Raises
    ------
    InputError
        Naming the zoom and the largest one that fits.
    """
    smallest = min(stack.plane_shape)
    for zoom, factor in zip(zooms, effective, strict=True):
        if factor > smallest / MIN_ZOOMED_PIXELS:
            largest = int(smallest / MIN_ZOOMED_PIXELS * zoom / factor)
            remedy = f"use zooms up to {largest}" if largest >= 1 else "give a larger image"
            raise InputError(
                f"zoom {zoom} is larger than the image allows: {stack.source} has "
                f"{stack.plane_shape[0]} × {stack.plane_shape[1]} pixels; {remedy}"
            )


def micrometres(unit: str | None) -> float | None:
    """Return the micrometres in one `unit` of length, or None if it is no unit of length.

    Case, plurals and a final dot are ignored.
    """
    if unit is None:
        return None
    name = unit.strip().lower().removesuffix(".")
    plural = len(name) > len("inch") and name.endswith("s")  # "ms" is no length.
    return _MICROMETRES.get(name) or (_MICROMETRES.get(name[:-1]) if plural else None)


def ngff_name(unit: str) -> str | None:
    """Return the OME-Zarr name of a unit of length, or None if it is no unit of length."""
    factor = micrometres(unit)
    return None if factor is None else _NAMES[factor][0]


def plausible(pixel_size: float) -> bool:
    """Return whether a resolution from an unreliable source can be that of a microscope.

    Every program that saves a picture fills the resolution tags of TIFF. Values from 5 nm to
    20 µm are accepted. Print defaults, 72 to 1200 dots per inch, are 353 µm to 21 µm and are
    rejected.
    """
    return _PLAUSIBLE[0] <= pixel_size <= _PLAUSIBLE[1]


def square(y: float | None, x: float | None, source: str) -> float | None:
    """Return a single pixel size for a plane, or None if it is unknown.

    Parameters
    ----------
    y, x
        Micrometres per pixel along each axis; None, not finite or not positive is unknown.
        If only one is known, it is used for both.
    source
        Names the file in the warning.

    Returns
    -------
    float or None
        The edge of a square as large as the pixel, with a `LungclsWarning` when the edges
        differ by more than 1 %.
    """
    known = [v for v in (y, x) if v is not None and math.isfinite(v) and v > 0]
    if not known:
        return None
    if max(known) > 1.01 * min(known):
        warnings.warn(
            f"{source}: pixels are not square, {y:g} by {x:g} µm; "
            "the model sees them as squares of the same area",
            LungclsWarning,
            stacklevel=3,
        )
    return math.sqrt(known[0] * known[-1])


def world(
    axes: Sequence[str], sizes: dict[str, float | None], source: str
) -> tuple[float | None, tuple[float, ...], str]:
    """Convert the sizes in a file into arguments of `ImageStack`.

    Parameters
    ----------
    axes
        Names of the axes of the stack, without the channel, ending in `y, x`.
    sizes
        Micrometres per pixel for some of `x`, `y`, `z`.
    source
        Names the file in warnings.

    Returns
    -------
    pixel_size
        Micrometres, or None.
    scale
        Per axis; all 1 when the pixel size is unknown.
    unit
        `micrometer` or `pixel`.
    """
    pixel_size = square(sizes.get("y"), sizes.get("x"), source)
    if pixel_size is None:
        return None, (1.0,) * len(axes), "pixel"
    return pixel_size, tuple(_positive(sizes.get(a), a, pixel_size) for a in axes), MICROMETRE


def _positive(size: float | None, axis: str, pixel_size: float) -> float:
    if size is not None and math.isfinite(size) and size > 0:
        return float(size)
    return pixel_size if axis in ("y", "x") else 1.0
