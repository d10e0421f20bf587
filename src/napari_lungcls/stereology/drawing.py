"""Drawing systematic uniform random places in a plane, and an order for them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.images.masks import Mask
from napari_lungcls.stereology.column_reading import Pair

AT_ONCE = 2**20
"""Crossings of grid lines that are looked at together."""

ASIDE = 0.25
"""Share of the order that lies at least, or nearly, between a place and its repeat."""


@dataclass(frozen=True, eq=False)
class SampledImage:
    """An image, or what is needed of it, in which points are to be drawn.

    Attributes
    ----------
    name
        As the column `image` is to name it.
    shape
        `(…, y, x)` in pixels.
    mask
        Where points may lie; everywhere if None.
    pixel_size
        Micrometres per pixel, or None if unknown.

    Examples
    --------
    >>> stack = lc.open_image("section.ome.tif")
    >>> lc.SampledImage("section.ome.tif", stack.shape).shape
    (192, 192)
    """

    name: str
    shape: tuple[int, ...]
    mask: Mask | None = None
    pixel_size: float | None = None

    @property
    def area(self) -> float:
        """Square pixels, over all planes, in which points may lie."""
        if self.mask is None:
            return float(math.prod(self.shape))
        return sum(self.mask.area(plane) for plane in np.ndindex(*self.shape[:-2]))


@dataclass(frozen=True)
class Fields:
    """Square fields of `size` pixels whose corners are `apart` pixels from each other."""

    size: int
    apart: float

    def numbers(self, pixels: NDArray[np.int64], start: NDArray[np.float64]) -> NDArray[np.int64]:
        """Find the field of each pixel `(n, 2)`, numbered along both axes `(n, 2)`; −1 outside."""
        # The last corner floor(start + i·apart) that is not behind the pixel.
        i = np.ceil((pixels + 1 - start) / self.apart).astype(np.int64) - 1
        inside = pixels - np.floor(start + i * self.apart) < self.size
        return np.where(inside.all(axis=1, keepdims=True), i + 1, -1)


@dataclass(frozen=True, eq=False)
class DrawnPlane:
    """Places in one plane: pixels `(n, 2)` and the numbers of their fields `(n,)`."""

    image: SampledImage
    plane: tuple[int, ...]
    offset: NDArray[np.float64]
    pixels: NDArray[np.int64]
    fields: NDArray[np.int64]


def lattice(extent: int, spacing: float, offset: float) -> NDArray[np.int64]:
    """Give the pixels `(n,)` along an axis in which the grid lines lie.

    Line `i` lies `offset + i·spacing` pixels from the edge of the first pixel. With a spacing of
    1 at least and an offset that is uniform in `[0, spacing)`, each pixel is hit with the
    probability `1 / spacing`.
    """
    count = max(0, math.ceil((extent - offset) / spacing))
    found = np.floor(offset + np.arange(count) * spacing).astype(np.int64)
    inside: NDArray[np.int64] = found[found < extent]
    return inside


def draw_plane(
    image: SampledImage,
    plane: tuple[int, ...],
    spacing: Pair,
    square: Fields | None,
    rng: np.random.Generator,
) -> DrawnPlane:
    """Draw the places of one plane."""
    offset = rng.random(2) * spacing
    start = rng.random(2) * (square.apart if square else 1.0)
    rows, along = (
        lattice(extent, apart, float(first))
        for extent, apart, first in zip(image.shape[-2:], spacing, offset, strict=True)
    )
    step = max(1, AT_ONCE // max(1, len(along)))
    parts = [
        _places(image, plane, rows[first : first + step], along, square, start)
        for first in range(0, len(rows), step)
    ]
    if not parts:
        return DrawnPlane(image, plane, offset, np.empty((0, 2), np.int64), np.empty(0, np.int64))
    pixels, fields = (np.concatenate(part) for part in zip(*parts, strict=True))
    return DrawnPlane(image, plane, offset, pixels, fields)


def _places(
    image: SampledImage,
    plane: tuple[int, ...],
    rows: NDArray[np.int64],
    along: NDArray[np.int64],
    square: Fields | None,
    start: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the crossings of some grid lines that lie in fields and mask, and their fields."""
    pixels = np.stack(np.meshgrid(rows, along, indexing="ij"), axis=-1).reshape(-1, 2)
    fields = np.zeros(len(pixels), np.int64)
    if square is not None:
        both = square.numbers(pixels, start)
        width = math.ceil(image.shape[-1] / square.apart) + 2
        fields = np.where(both[:, 0] < 0, -1, both[:, 0] * width + both[:, 1])
        pixels, fields = pixels[fields >= 0], fields[fields >= 0]
    if image.mask is not None:
        inside = image.mask.inside(plane, pixels)
        pixels, fields = pixels[inside], fields[inside]
    return pixels, fields


def shuffled(
    n: int, repeat_fraction: float, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Give the places `(m,)` in random order, and for repeats the row that had them first.

    Places that are repeated come in the first half at first, and again after a quarter of the
    whole at least, when nobody remembers them.
    """
    chosen = rng.choice(n, round(repeat_fraction * n), replace=False)
    first = rng.random(n)
    first[chosen] *= 0.5
    again = first[chosen] + ASIDE
    again += (1 - again) * rng.random(len(chosen))
    order = np.argsort(np.concatenate([first, again]), kind="stable")
    rows = np.concatenate([np.arange(n), chosen])[order]
    row_of_first = np.empty(n, np.intp)
    row_of_first[rows[order < n]] = np.flatnonzero(order < n)
    return rows, np.where(order < n, -1, row_of_first[rows])
