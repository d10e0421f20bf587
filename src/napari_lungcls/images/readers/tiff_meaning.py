"""What the numbers of a TIFF mean: intensities, whatever way the file stores them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.images.readers.orientation import Turned

MIN_IS_WHITE, MIN_IS_BLACK, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6

# What decodes to RGB by itself: JPEG in all its spellings, JPEG 2000, WebP, JPEG XL and XR, PNG.
_DECODED_TO_RGB = {6, 7, 34892, 33007, 34712, 33005, 50001, 50002, 52546, 22610, 34934, 34933}
_APERIO_YCBCR = 33003

Convert = Callable[[NDArray[Any]], NDArray[Any]]


class Converted:
    """An array whose numbers are turned into intensities while they are read.

    Parameters
    ----------
    array
        Anything with `shape`, `dtype` and indexing by whole numbers and slices.
    convert
        Works on a region of any shape, and adds a last axis where there are `colours`.
    dtype
        Of what it gives.
    colours
        Length of the axis that it adds; 0 if it adds none.
    """

    def __init__(self, array: Any, convert: Convert, dtype: Any, colours: int = 0) -> None:
        self.array, self._convert = array, convert
        self.dtype = np.dtype(dtype)
        added = (colours,) if colours else ()
        self.shape = (*array.shape, *added)
        stored = getattr(array, "chunks", None)
        self.chunks = None if stored is None else (*stored, *added)

    def __getitem__(self, key: tuple[int | slice, ...]) -> NDArray[Any]:
        """Read a region; an entry for every axis."""
        ndim = len(self.array.shape)
        region = self._convert(np.asarray(self.array[key[:ndim]]))
        found: NDArray[Any] = region[(..., *key[ndim:])]
        return found


def intensities(array: Any, page: tifffile.TiffPage, *, lookup: bool, source: str) -> Any:
    """Turn the numbers of a level into intensities: 0 is black, 8 bits or more.

    Parameters
    ----------
    array
        The numbers as they are stored.
    page
        Says what they mean.
    lookup
        Whether a palette is but a look-up table over intensities, as ImageJ and OME have it.
    source
        Names the file in errors.

    Returns
    -------
    array
        Grey of 1 to 7 bits spans 0 to 255, MinIsWhite is inverted, palettes become RGB (a
        last axis). All else stays as it is.

    Raises
    ------
    InputError
        When they are no intensities: CMYK, Lab, complex numbers and others.
    """
    kind = int(page.photometric)
    dtype = np.dtype(array.dtype)
    if page.compression == _APERIO_YCBCR or (
        kind == YCBCR and page.compression not in _DECODED_TO_RGB
    ):
        raise InputError(f"{source}: has YCbCr colours as they are; save it as RGB or grey")
    if kind not in (MIN_IS_WHITE, MIN_IS_BLACK, RGB, PALETTE, YCBCR):
        name = tifffile.PHOTOMETRIC(kind).name.lower()
        raise InputError(f"{source}: has {name} colours; save it as RGB or grey")
    if kind == PALETTE and not lookup:
        return _palette(array, page, source)
    bits = page.bitspersample if isinstance(page.bitspersample, int) else 8
    steps: list[Convert] = []
    if bits < 8:
        top = 2**bits - 1
        table = np.rint(np.arange(top + 1) * (255 / top)).astype(np.uint8)
        steps.append(lambda v: table[v.astype(np.uint8)])
        dtype = np.dtype(np.uint8)
    if kind == MIN_IS_WHITE:
        if dtype.kind != "u":
            raise InputError(
                f"{source}: says that its least value is white, but holds {dtype}; save it as "
                "uint8 or uint16 with black as 0"
            )
        white = dtype.type(255 if bits < 8 else 2**bits - 1)
        steps.append(lambda v: white - v)
    if not steps:
        return array

    def convert(region: NDArray[Any]) -> NDArray[Any]:
        for step in steps:
            region = step(region)
        return region

    return Converted(array, convert, dtype)


def turned(array: Any, axes: Sequence[str], page: tifffile.TiffPage) -> Any:
    """Turn a level as the tag `Orientation` says; `axes` name the axes of the array."""
    orientation = page.tags.valueof("Orientation", 1)
    if orientation not in range(2, 9):
        return array
    return Turned(array, axes.index("y"), axes.index("x"), int(orientation))


def _palette(array: Any, page: tifffile.TiffPage, source: str) -> Converted:
    colours = page.colormap
    if colours is None or colours.ndim != 2 or len(colours) != 3:
        raise InputError(f"{source}: has palette colours without a palette; save it as RGB")
    # TIFF keeps them in 16 bits, made of 8 by every program.
    table = np.ascontiguousarray((colours >> 8).astype(np.uint8).T)

    def look_up(indices: NDArray[Any]) -> NDArray[Any]:
        if indices.size and int(indices.max()) >= len(table):
            raise ValueError("it has colours that are not in its palette")
        return table[indices.astype(np.intp)]

    return Converted(array, look_up, np.uint8, colours=3)
