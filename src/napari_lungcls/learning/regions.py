"""Regions: the rectangles of a plane that training, validation and test pixels come from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.images.geometry import pixels_of, to_zoomed, zoomed_size

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Region:
    """A rectangle of pixels of one plane; `bottom` and `right` are no longer part of it.

    Attributes
    ----------
    plane
        Number of the plane, as in `Layout.planes`.
    top, left, bottom, right
        In image pixels; `Region.level` gives the same in zoomed pixels.
    """

    plane: int
    top: int
    left: int
    bottom: int
    right: int

    @classmethod
    def whole(cls, plane: int, shape: Sequence[int]) -> Region:
        """Return the region that is a whole plane of this height and width."""
        return cls(plane, 0, 0, int(shape[0]), int(shape[1]))

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.bottom - self.top, self.right - self.left

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.shape[0] * self.shape[1]

    def contains(self, coordinates: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which points of its plane lie on one of its pixels.

        Parameters
        ----------
        coordinates
            `(n, 2)` positions `(y, x)` in image pixels.

        Returns
        -------
        ndarray, (n,), bool
        """
        pixel = pixels_of(coordinates)
        inside = (pixel >= (self.top, self.left)) & (pixel < (self.bottom, self.right))
        return np.asarray(inside.all(axis=1))

    def grown(self, margin: int) -> Region:
        """Return the region with a margin of so many pixels on each side."""
        return Region(
            self.plane,
            self.top - margin,
            self.left - margin,
            self.bottom + margin,
            self.right + margin,
        )

    def level(self, zoom: float, plane_shape: Sequence[int]) -> Region:
        """Return the zoomed pixels that are computed from pixels of this region alone.

        Parameters
        ----------
        zoom
            Image pixels per zoomed pixel; not necessarily an integer.
        plane_shape
            Height and width of the plane in image pixels: the last zoomed pixel of a plane may
            be covered in part.

        Returns
        -------
        Region
            In zoomed pixels of the same plane; empty where the region has less than one.
        """
        top, bottom = _level_range(self.top, self.bottom, zoom, int(plane_shape[0]))
        left, right = _level_range(self.left, self.right, zoom, int(plane_shape[1]))
        return Region(self.plane, top, left, max(top, bottom), max(left, right))


def region_of(
    regions: Sequence[Region], planes: NDArray[np.int64], coordinates: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return the index of the first region that each point lies in, −1 where there is none.

    Parameters
    ----------
    regions
        In the order of preference.
    planes, coordinates
        `(n,)` numbers of planes and `(n, 2)` positions in image pixels, as in `Layout`.

    Returns
    -------
    ndarray, (n,)
    """
    found = np.full(len(planes), -1, np.int64)
    for index in reversed(range(len(regions))):
        rows = np.flatnonzero(planes == regions[index].plane)
        found[rows[regions[index].contains(coordinates[rows])]] = index
    return found


def free_regions(
    bounds: Region, blocked: Sequence[Region], least: tuple[int, int] = (1, 1)
) -> list[Region]:
    """Find the largest rectangles that avoid others; they may overlap.

    Parameters
    ----------
    bounds
        Where to look.
    blocked
        What to avoid; those on other planes do not matter.
    least
        Least height and width of what is returned.

    Returns
    -------
    list of Region
        All that cannot be enlarged, largest first.
    """
    blocked = [b for b in blocked if b.plane == bounds.plane]
    # Only the edges of the blocked rectangles matter: between them nothing changes.
    rows = _edges(bounds.top, bounds.bottom, [(b.top, b.bottom) for b in blocked])
    columns = _edges(bounds.left, bounds.right, [(b.left, b.right) for b in blocked])
    taken = np.zeros((len(rows) - 1, len(columns) - 1), bool)
    for b in blocked:
        taken |= ((rows[:-1] >= b.top) & (rows[1:] <= b.bottom))[:, np.newaxis] & (
            (columns[:-1] >= b.left) & (columns[1:] <= b.right)
        )
    sums = np.pad(taken.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    # free[t, b, l, r]: the rectangle of cells t … b − 1, l … r − 1 holds nothing blocked.
    inside = (
        sums[None, :, None, :] - sums[:, None, None, :] - sums[None, :, :, None]
        + sums[:, None, :, None]
    )  # fmt: skip
    upward, rightward = (np.triu(np.ones((len(e),) * 2, bool), 1) for e in (rows, columns))
    free = (inside == 0) & upward[:, :, None, None] & rightward[None, None]
    largest = free.copy()
    largest[1:] &= ~free[:-1]
    largest[:, :-1] &= ~free[:, 1:]
    largest[:, :, 1:] &= ~free[:, :, :-1]
    largest[..., :-1] &= ~free[..., 1:]
    found = [
        Region(bounds.plane, int(rows[t]), int(columns[left]), int(rows[b]), int(columns[right]))
        for t, b, left, right in np.argwhere(largest)
    ]
    wide = [r for r in found if r.shape[0] >= least[0] and r.shape[1] >= least[1]]
    return sorted(wide, key=lambda r: -r.area)


def _edges(first: int, stop: int, ends: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    return np.unique(np.clip([first, stop, *(e for pair in ends for e in pair)], first, stop))


def _level_range(first: int, stop: int, zoom: float, size: int) -> tuple[int, int]:
    """Return the zoomed pixels, along an axis, that read image pixels `first … stop − 1` only."""
    if zoom >= 1:
        # An average over zoom·j … zoom·(j + 1).
        low = math.ceil(first / zoom - _ROUNDING)
        high = math.floor(stop / zoom + _ROUNDING)
    else:
        # Interpolated between the pixels before and after the centre of the zoomed pixel.
        low = math.ceil(float(to_zoomed(first, zoom)) - _ROUNDING)
        high = math.floor(float(to_zoomed(stop - 1, zoom)) + _ROUNDING) + 1
    return (0 if first <= 0 else low), (zoomed_size(size, zoom) if stop >= size else high)
