"""Running the network over a region of a pyramid level, tile by tile."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.images.geometry import (
    STAGE_STRIDES,
    align_down,
    align_up,
    cell_count,
    interpolation_weights,
    middle,
)
from napari_lungcls.network.engines import Painting
from napari_lungcls.network.engines.interpolation import Taps, Weights
from napari_lungcls.network.engines.protocol import FINE, HALO, ReadGrid, Term
from napari_lungcls.network.spec import NetworkSpec

GRID = 32
"""Tiles begin at multiples of the deepest stage's stride, so that cells fall on one grid."""

Place = tuple[int, int, int, int]
"""First row and column, height and width of a part of a level."""
Read = Callable[[int, int, int, int], NDArray[Any]]
Span = tuple[float, float]
Positions = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Rows and columns of a grid of zoomed positions, ascending."""


@dataclass(frozen=True)
class StageCells:
    """Maps of one stage over a region of a level.

    Attributes
    ----------
    values
        `(rows, columns, summed)`.
    top, left
        Zoomed pixel on which the first cell is centred.
    stride
        Zoomed pixels between cells.
    """

    values: Any
    top: int
    left: int
    stride: int

    def term(self, y: NDArray[np.float64], x: NDArray[np.float64], tile: int | None) -> Term:
        """Say how the cells are read at the grid of zoomed positions `y` × `x`.

        Parameters
        ----------
        y, x
            Positions of the points.
        tile
            Edge of the tiles over whose cells the network averages; None when it reads its
            cells at the point.
        """
        rows, columns = self.values.shape[:2]
        return Term(
            self.values,
            self._weights(y - self.top, rows, tile),
            self._weights(x - self.left, columns, tile),
        )

    def _weights(self, position: NDArray[np.float64], count: int, tile: int | None) -> Weights:
        if tile is None:
            return Taps.of(position / self.stride, count)
        # Cells of a tile begin at its first pixel, half a tile before the point.
        first = position - middle(tile)
        cells = range(cell_count(tile, self.stride))
        weights = [interpolation_weights(first / self.stride + i, count) for i in cells]
        mean = np.mean(weights, axis=0, dtype=np.float32)
        return np.asarray(mean)


def region_cells(
    painting: Painting,
    spec: NetworkSpec,
    read: Read,
    zoom: int,
    span: tuple[Span, Span],
    lattices: Sequence[Positions] | None = None,
) -> tuple[list[StageCells], list[Any]]:
    """Compute the maps of every stage over a region of one level.

    Parameters
    ----------
    painting
        The network.
    spec
        Its shape.
    read
        Reads a region of the image at the zoom, see `ZoomedPlane.read`.
    zoom
        The network's own name of the zoom.
    span
        First and last zoomed position that will be asked for, along y and x.
    lattices
        Where all stages are read at once. Without them all cells are kept.

    Returns
    -------
    cells
        One per stage if there are no lattices, reaching past both ends of the region.
    sums
        For each lattice `(len(y), len(x), summed)` what all stages say there.
    """
    (top, bottom), (left, right) = (_ends(*side) for side in span)
    stages = [stage for at, stage in spec.reads if at == zoom]
    # What is read from every tile: positions of the lattices, or all cells of the fine stages.
    wanted: list[tuple[int, Positions, Any]] = []
    sums, kept = [], {}
    for y, x in lattices or ():
        sums.append(painting.zeros((len(y), len(x), spec.summed)))
        wanted += [(stage, (y, x), sums[-1]) for stage in stages]
    if lattices is None:
        for stage in (stage for stage in stages if stage in FINE):
            s = STAGE_STRIDES[stage]
            # Up to the end, which belongs to the next tile.
            y, x = (
                np.arange(*ends, s, dtype=np.float64) for ends in ((top, bottom), (left, right))
            )
            kept[stage] = painting.zeros((len(y), len(x), spec.summed))
            wanted.append((stage, (y, x), kept[stage]))
    places = list(tile_places(painting.tile, *span))
    for place in places:
        y0, x0, height, width = place[0] + HALO, place[1] + HALO, *place[2:]
        here = (y0, y0 + height - 2 * HALO), (x0, x0 + width - 2 * HALO)
        within = [_within(stage, positions, out, here) for stage, positions, out in wanted]
        within = [each for each in within if len(each.y) and len(each.x)]
        if lattices is not None and not within:
            continue
        found = painting.head_maps(read(*place), zoom, within)
        for stage, maps in found.items():
            if len(places) == 1:
                kept[stage] = maps
                continue
            # One cell more than the tile is wide: the next one's first, or the region's
            # last, which the halo also surrounds.
            s = STAGE_STRIDES[stage]
            if stage not in kept:
                shape = ((bottom - top) // s + 1, (right - left) // s + 1, spec.summed)
                kept[stage] = painting.zeros(shape)
            i, j = (y0 - top) // s, (x0 - left) // s
            kept[stage][i : i + maps.shape[0], j : j + maps.shape[1]] = maps
    cells = [StageCells(values, top, left, STAGE_STRIDES[stage]) for stage, values in kept.items()]
    return cells, sums


def tile_places(tile: int, y: Span, x: Span) -> Iterator[Place]:
    """Cut a region into tiles, and say what of the level is to be read for each."""
    (top, bottom), (left, right) = _ends(*y), _ends(*x)
    for y0, x0 in product(range(top, bottom, tile), range(left, right, tile)):
        height, width = min(tile, bottom - y0), min(tile, right - x0)
        yield y0 - HALO, x0 - HALO, height + 2 * HALO, width + 2 * HALO


def _within(stage: int, at: Positions, out: Any, tile: tuple[Span, Span]) -> ReadGrid:
    """Give what of a grid of positions lies in a tile."""
    rows, columns = (
        slice(*np.searchsorted(side, ends)) for side, ends in zip(at, tile, strict=True)
    )
    (top, _), (left, _) = tile
    return ReadGrid(stage, at[0][rows] - top, at[1][columns] - left, out[rows, columns])


def _ends(first: float, last: float) -> tuple[int, int]:
    """Widen a range of positions to whole cells of the deepest stage, beyond the last one."""
    return align_down(math.floor(first), GRID), align_up(math.floor(last) + 1, GRID)
