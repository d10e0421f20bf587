"""Pixel sizes as files state them, turned into micrometres."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

from napari_lungcls.errors import LungclsWarning

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


def micrometres(unit: str | None) -> float | None:
    """Give the micrometres in one `unit` of length, or None when it is no such unit.

    Capitals, plurals and a final dot do not matter.
    """
    if unit is None:
        return None
    name = unit.strip().lower().removesuffix(".")
    plural = len(name) > len("inch") and name.endswith("s")  # "ms" is no length.
    return _MICROMETRES.get(name) or (_MICROMETRES.get(name[:-1]) if plural else None)


def ngff_name(unit: str) -> str | None:
    """Give the name of a unit of length as OME-Zarr spells it, or None for no length."""
    factor = micrometres(unit)
    return None if factor is None else _NAMES[factor][0]


def plausible(pixel_size: float) -> bool:
    """Tell whether a resolution that nobody vouches for can be that of a microscope.

    The tags of TIFF are filled by every program that saves a picture. What lies between
    5 nm and 20 µm is believed. Print defaults, 72 to 1200 dots per inch, are 353 µm to
    21 µm and are not.
    """
    return _PLAUSIBLE[0] <= pixel_size <= _PLAUSIBLE[1]


def square(y: float | None, x: float | None, source: str) -> float | None:
    """Give the one pixel size of a plane, or None when it is unknown.

    Parameters
    ----------
    y, x
        Micrometres per pixel along each axis; None, not finite or not positive is unknown.
        One of them known stands for both.
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
    """Turn what a file says about sizes into what an `ImageStack` wants to know.

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
