"""Counting on painted maps: cells as points, and surfaces along straight test lines.

The rows, columns and both diagonals of a map are test lines. Where two cells of a line, `stride`
cells apart, are air and tissue, the line has met a surface; the length between them is tested
length. The number of surfaces over that length is unbiased (Tomkeieff 1945 [M]) as long as septa
and airspaces are at least as thick as the two cells are apart: two surfaces between them are none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation.schemes import Phase
from napari_lungcls.errors import InputError
from napari_lungcls.inference.map_data import MapData, blocks
from napari_lungcls.stereology.phase_map import AIR, TISSUE, Bytes, PhaseMap, cell_size_um
from napari_lungcls.stereology.plane_counts import STEPS, PlaneCounts

BLOCK = 1024
"""Edge of the blocks, in cells, that are held at once."""

STRIDES = (1, 2, 4)
"""Distances, in cells along a line, at which cells are compared."""

Counts = NDArray[np.int64]


def count_map(
    painted: MapData,
    phases: Sequence[Phase],
    *,
    image: str = "",
    mask: Any = None,
    cell_um: tuple[float, float] | None = None,
    strides: Sequence[int] = STRIDES,
    block: int = BLOCK,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> list[PlaneCounts] | None:
    """Count cells, surfaces and tested length on every plane of a map, block by block.

    Parameters
    ----------
    painted
        The map; each cell is read once.
    phases
        `air`, `tissue` or `none` for each class, in the order of the codes. Test lines pass over
        cells that are none, not painted or masked; a length counts where both its cells are air
        or tissue.
    image
        Name to give the counts.
    mask
        Cells that count: bool `(…, h, w)` in map cells with numpy slicing, a function of the
        plane's index, rows and columns (`masks.mask_of_cells` makes one of image pixels), or None.
    cell_um
        Height and width of a cell in µm; None takes them from the map.
    strides
        Distances, in cells along a line, at which cells are compared. Lines start at every cell
        at all of them.
    block
        Edge of the blocks, in cells, that are held at once; the counts do not depend on it.
    progress
        Called with the blocks done and in all.
    cancelled
        Asked after every block.

    Returns
    -------
    list of PlaneCounts or None
        One for each plane in their order; None if cancelled.

    Raises
    ------
    InputError
        When phases, mask, strides or cell size do not fit, or the map is damaged.
    """
    source = PhaseMap(painted, phases, mask)
    cell = cell_size_um(painted.header, cell_um)
    if not strides or min(strides) < 1 or len(set(strides)) < len(strides):
        raise InputError(f"should be different whole numbers from 1, not {strides}",
                         setting="strides")  # fmt: skip
    shape = painted.header.shape
    in_plane = prod(-(-size // block) for size in shape[-2:])
    todo = in_plane * prod(shape[:-2])
    plane, found = _Plane(source, tuple(strides)), []
    for done, part in enumerate(blocks(shape, block), start=1):
        if cancelled():
            return None
        plane.add(part.index, part.rows, part.columns)
        if done % in_plane == 0:
            found.append(plane.counts(image, part.index, cell))
            plane = _Plane(source, tuple(strides))
        if progress is not None:
            progress(done, todo)
    return None if cancelled() else found


class _Plane:
    """Counts of one plane, its blocks being added row by row, each row from the left."""

    def __init__(self, source: PhaseMap, strides: tuple[int, ...]) -> None:
        self.source, self.strides = source, strides
        k = len(source.phases)
        self.cells = np.zeros(k, np.int64)
        self.probabilities = None if source.painted.probabilities is None else np.zeros(k)
        # Pairs of cells by stride and direction: air and air, tissue and tissue, a surface.
        self.pairs = np.zeros((len(strides), len(STEPS), 3), np.int64)
        self._seen = _SeenCells(max(strides), source.painted.header.shape[-1])

    def add(self, index: tuple[int, ...], rows: slice, columns: slice) -> None:
        """Add a block."""
        classes = self.source.classes(index, rows, columns)
        self.cells += np.bincount(classes.ravel(), minlength=len(self.cells) + 1)[1:]
        if self.probabilities is not None:
            place = (slice(None), *index, rows, columns)
            shares = np.asarray(self.source.painted.probabilities[place])
            # float16 has 24 bits after the point: these sums are exact, in any order.
            self.probabilities += shares[:, classes > 0].sum(axis=1, dtype=np.float64)
        wide = self._seen.around(self.source.phase(classes), columns)
        for i, stride in enumerate(self.strides):
            self.pairs[i] += count_pairs(wide, self._seen.halo, stride)

    def counts(self, image: str, index: tuple[int, ...], cell: tuple[float, float]) -> PlaneCounts:
        """Give the counts in µm; no block may be missing."""
        steps = np.hypot(*(np.array(STEPS) * cell).T)
        reach = np.outer(self.strides, steps)
        return PlaneCounts(
            image=image,
            plane=index,
            cell_um=cell,
            phases=tuple(self.source.phases),
            strides=self.strides,
            cells=self.cells,
            probabilities=self.probabilities,
            intersections=self.pairs[..., 2],
            length_um=reach * self.pairs.sum(axis=-1),
            air_um=reach * (self.pairs[..., 0] + self.pairs[..., 2] / 2),
        )


class _SeenCells:
    """The last rows and columns that were read, so that no cell is read twice."""

    def __init__(self, halo: int, width: int) -> None:
        self.halo = halo
        self._above = np.zeros((halo, halo + width), np.uint8)
        self._below = self._above.copy()
        self._left = np.zeros((0, halo), np.uint8)

    def around(self, phase: Bytes, columns: slice) -> Bytes:
        """Put `halo` rows above a block and as many columns left of it: `NONE` off the map."""
        halo = self.halo
        if columns.start == 0:
            self._above, self._below = self._below, self._above
            self._left = np.zeros((phase.shape[0], halo), np.uint8)
        wide = np.empty((halo + phase.shape[0], halo + phase.shape[1]), np.uint8)
        wide[:halo] = self._above[:, columns.start : columns.stop + halo]
        wide[halo:, :halo] = self._left
        wide[halo:, halo:] = phase
        self._left = wide[halo:, -halo:].copy()
        self._below[:, columns.start + halo : columns.stop + halo] = wide[-halo:, halo:]
        return wide


def count_pairs(wide: Bytes, halo: int, stride: int) -> Counts:
    """Count pairs of cells of a block that lie `stride` steps apart, in each direction.

    A pair belongs to the block that has the lower right corner of the box around it, so that
    each belongs to exactly one.

    Parameters
    ----------
    wide
        Phases of a block with `halo` rows above and columns to the left of it.

    Returns
    -------
    ndarray, (4, 3), int64
        By direction as in `STEPS`: pairs of air, of tissue, of both.
    """
    height, width = wide.shape[0] - halo, wide.shape[1] - halo

    def moved(up: int, left: int) -> Bytes:
        y, x = halo - up * stride, halo - left * stride
        return wide[y : y + height, x : x + width]

    ends = ((0, 0), (0, 1)), ((0, 0), (1, 1)), ((0, 0), (1, 0)), ((0, 1), (1, 0))
    return np.array([_count_ends(moved(*one), moved(*other)) for one, other in ends], np.int64)


def _count_ends(one: Bytes, other: Bytes) -> list[int]:
    both, either = one & other, one | other
    pairs = (both == AIR, both == TISSUE, either == AIR | TISSUE)
    return [int(np.count_nonzero(pair)) for pair in pairs]
