"""Running the trunk over a region of a level, tile by tile, and projecting it to the classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.imaging.geometry import (
    STAGE_STRIDES,
    align_down,
    align_up,
    cell_count,
    interpolation_weights,
    middle,
)
from napari_lungcls.network.engines import Painting
from napari_lungcls.network.engines.painting import HALO
from napari_lungcls.network.spec import NetworkSpec

GRID = 32
"""Tiles begin at multiples of the deepest stage's stride, so that cells fall on one grid."""

Floats = NDArray[np.float32]

Place = tuple[int, int, int, int]
"""First row and column, height and width of a part of a level."""
Read = Callable[[int, int, int, int], NDArray[Any]]


@dataclass(frozen=True)
class Cells:
    """Class maps of one stage over a region of a level.

    Attributes
    ----------
    values
        `(classes, rows, columns)`.
    top, left
        Level pixel on which the first cell is centred.
    stride
        Level pixels between cells.
    """

    values: Any
    top: int
    left: int
    stride: int

    def weights(
        self, y: NDArray[np.float64], x: NDArray[np.float64], window: int | None = None
    ) -> tuple[Floats, Floats]:
        """Weigh the cells for the grid of level positions `y` × `x`.

        Parameters
        ----------
        y, x
            Positions of the points.
        window
            Edge of the windows over whose cells the network averages; None when it reads
            its cells at the point.

        Returns
        -------
        rows, columns : ndarray, (len(y), cells along y) and (len(x), cells along x)
            `rows @ values @ columns.T` are the values at the points.
        """
        rows = self._weights(y - self.top, self.values.shape[1], window)
        return rows, self._weights(x - self.left, self.values.shape[2], window)

    def _weights(self, position: NDArray[np.float64], count: int, window: int | None) -> Floats:
        if window is None:
            return interpolation_weights(position / self.stride, count)
        # Cells of a window begin at its first pixel, half a window before the point.
        first = position - middle(window)
        cells = range(cell_count(window, self.stride))
        weights = [interpolation_weights(first / self.stride + i, count) for i in cells]
        mean: Floats = np.mean(weights, axis=0, dtype=np.float32)
        return mean


def region_cells(
    painting: Painting,
    spec: NetworkSpec,
    read: Read,
    zoom: int,
    y: tuple[float, float],
    x: tuple[float, float],
) -> Iterator[Cells]:
    """Class maps of every stage over a region of one level.

    Parameters
    ----------
    painting
        The network.
    spec
        Its shape.
    read
        Reads a region of the image at the zoom, see `Level.read`.
    zoom
        The network's own name of the zoom.
    y, x
        First and last level position that will be asked for.

    Yields
    ------
    Cells
        One per stage, reaching past both ends of the region.
    """
    top, bottom = _span(*y)
    left, right = _span(*x)
    maps = {
        stage: painting.empty((spec.classes, (bottom - top) // s + 1, (right - left) // s + 1))
        for stage in spec.stages
        for s in [STAGE_STRIDES[stage]]
    }
    for place in tile_places(painting.tile, y, x):
        y0, x0 = place[0] + HALO, place[1] + HALO
        for stage, found in painting.class_maps(read(*place), zoom).items():
            # One cell more than the tile is wide: the next one's first, or the region's
            # last, which the halo also surrounds.
            s = STAGE_STRIDES[stage]
            i, j = (y0 - top) // s, (x0 - left) // s
            maps[stage][:, i : i + found.shape[1], j : j + found.shape[2]] = found
    for stage, values in maps.items():
        yield Cells(values, top, left, STAGE_STRIDES[stage])


def tile_places(tile: int, y: tuple[float, float], x: tuple[float, float]) -> Iterator[Place]:
    """Cut a region into tiles, and say what of the level is to be read for each."""
    (top, bottom), (left, right) = _span(*y), _span(*x)
    for y0, x0 in product(range(top, bottom, tile), range(left, right, tile)):
        height, width = min(tile, bottom - y0), min(tile, right - x0)
        yield y0 - HALO, x0 - HALO, height + 2 * HALO, width + 2 * HALO


def _span(first: float, last: float) -> tuple[int, int]:
    """Widen a range of positions to whole cells of the deepest stage, at least one."""
    start = align_down(math.floor(first), GRID)
    return start, max(start + GRID, align_up(math.ceil(last), GRID))
