"""Masks: parts of an image, read from other images or from polygons when they are asked."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.images.opening import open_image
from napari_lungcls.images.polygon_masks import read_polygons
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.utils.printable import printable

BLOCK = 1024
"""Edge of the squares in which a mask is read."""

POLYGONS = (".geojson", ".json", ".csv")
"""Suffixes of files that hold polygons."""


class Mask(Protocol):
    """Part of an image in which points may lie."""

    @property
    def description(self) -> str:
        """What it was read from."""

    def inside(self, plane: Sequence[int], pixels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which pixels `(n, 2)` of a plane lie in it, `(n,)`."""

    def area(self, plane: Sequence[int]) -> float:
        """Count the pixels of a plane that lie in it."""


def mask_from_file(
    path: str | os.PathLike[str], shape: Sequence[int], setting: str = "mask"
) -> Mask:
    """Open a mask of an image; it is read where it is asked.

    Parameters
    ----------
    path
        An image, in which all but 0 is inside: labels as napari and Fiji save them, TIFF, PNG,
        OME-Zarr. It has the size of the image, or is smaller by a whole number along both axes.
        Or polygons: GeoJSON as QuPath writes it, or the shapes that napari saves as CSV.
    shape
        `(…, y, x)` of the image in pixels. A mask of one plane holds for all planes.
    setting
        What it is given as, for messages.

    Raises
    ------
    InputError
        When it cannot be read, or does not fit the image.
    """
    file = Path(path)
    if file.suffix.lower() in POLYGONS:
        return read_polygons(file, shape, setting=setting)
    stack = open_image(path)
    factor = shape[-1] // stack.plane_shape[1]
    full = tuple(factor * size for size in stack.plane_shape)
    if full != tuple(shape[-2:]) or stack.leading not in ((), tuple(shape[:-2])):
        raise InputError(
            f"{file}: the mask has the shape {stack.shape} and the image {tuple(shape)}; make one "
            "of the same size, or of one that goes into it a whole number of times, or draw "
            "polygons",
            setting=setting,
        )
    return ImageMask(stack, printable(file.name), factor)


@dataclass(frozen=True, eq=False)
class ImageMask:
    """All pixels of an image but those that are 0 in every channel; NaN is outside.

    Attributes
    ----------
    stack
        With as many planes as the image, or one for all of them.
    description
        Name of the file.
    factor
        Pixels of the image along an edge of a pixel of the mask.
    """

    stack: ImageStack
    description: str
    factor: int = 1

    def inside(self, plane: Sequence[int], pixels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which pixels `(n, 2)` of a plane lie in it, `(n,)`."""
        found, own = np.zeros(len(pixels), np.bool_), pixels // self.factor
        for rows, columns, chosen in near(own):
            part = self._read(plane, rows, columns)
            y, x = own[chosen, 0] - rows.start, own[chosen, 1] - columns.start
            there = (y < part.shape[0]) & (x < part.shape[1])
            found[chosen[there]] = part[y[there], x[there]]
        return found

    def area(self, plane: Sequence[int]) -> float:
        """Count the pixels of a plane that lie in it."""
        height, width = self.stack.plane_shape
        count = sum(
            np.count_nonzero(self._read(plane, slice(y, y + BLOCK), slice(x, x + BLOCK)))
            for y, x in product(range(0, height, BLOCK), range(0, width, BLOCK))
        )
        return float(count * self.factor**2)

    def _read(self, plane: Sequence[int], rows: slice, columns: slice) -> NDArray[np.bool_]:
        height, width = self.stack.plane_shape
        rows = slice(rows.start, min(rows.stop, height))
        columns = slice(columns.start, min(columns.stop, width))
        index = plane if self.stack.leading else ()
        pixels = self.stack.plane(index).read(rows, columns)
        found: NDArray[np.bool_] = ((pixels != 0) & (pixels == pixels)).any(axis=-1)
        return found


def near(pixels: NDArray[np.int64]) -> Iterator[tuple[slice, slice, NDArray[np.intp]]]:
    """Give the parts of a mask around pixels `(n, 2)`, and which of them lie in each.

    There is one part where they lie together, else one for each square of `BLOCK` pixels.
    """
    if not len(pixels):
        return
    # Along the pixels: numpy is slow along an axis of two.
    (row, column), number = pixels.T, np.arange(len(pixels))
    if max(np.ptp(row), np.ptp(column)) < 2 * BLOCK:
        parts = [number]
    else:
        square = row // BLOCK * (column.max() // BLOCK + 1) + column // BLOCK
        number = np.argsort(square, kind="stable")
        parts = np.split(number, np.flatnonzero(np.diff(square[number])) + 1)
    for chosen in parts:
        y, x = row[chosen], column[chosen]
        yield (
            slice(int(y.min()), int(y.max()) + 1),
            slice(int(x.min()), int(x.max()) + 1),
            chosen,
        )
