"""Painting watched block by block: shares of the classes and confidence as they come."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.inference.map_data import Block
from napari_lungcls.inference.painted import PaintedMap
from napari_lungcls.inference.run import PaintingProgress
from napari_lungcls.utils.memory import scratch


@dataclass(frozen=True, eq=False)
class PaintingStep:
    """Progress of a painting in memory.

    Attributes
    ----------
    done, total
        Blocks painted, and in all.
    remaining
        Seconds that are left, None before the first block.
    map
        The map, which is being filled.
    confidence
        Top probability of every cell, being filled, or None if not requested.
    counts
        Cells by value so far, `(classes + 1,)`; the first were visited and left unpainted.
    left_out
        How many of these were left unpainted on request.
    """

    done: int
    total: int
    remaining: float | None
    map: PaintedMap
    confidence: NDArray[np.float16] | None
    counts: NDArray[np.int64]
    left_out: int = 0

    @property
    def visited(self) -> float:
        """Share of the map's cells that the painter has come by, 0 to 1."""
        cells = float(np.prod(self.map.header.shape, dtype=np.float64))
        return float(self.counts.sum()) / cells

    @property
    def shares(self) -> dict[str, float]:
        """Class name to its share of the painted cells; all 0 before there are any."""
        painted = max(1, int(self.counts[1:].sum()))
        names = self.map.scheme.names
        return {name: float(n) / painted for name, n in zip(names, self.counts[1:], strict=True)}


def painting_steps(
    run: Generator[PaintingProgress, None, PaintedMap],
    *,
    confidence: bool,
    shown: Callable[[], None] = lambda: None,
    kept: Callable[[Block], NDArray[np.bool_]] | None = None,
) -> Generator[PaintingStep, None, PaintingStep]:
    """Count and rate what is painted, block by block, in the painter's thread.

    Parameters
    ----------
    run
        A painting in memory; with probabilities when `confidence` is asked for.
    confidence
        Whether to keep the top probability of every cell.
    shown
        Called after the first step; it may wait until the empty map is on display. A window
        that adds layers while a network computes stands still for twice as long.
    kept
        Tells which cells of a block, `(h, w)`, shall stay painted; all if not given.

    Yields
    ------
    PaintingStep

    Returns
    -------
    PaintingStep
        The last.
    """
    last: PaintingStep | None = None
    top: NDArray[np.float16] | None = None
    left_out = 0
    for progress in run:
        painted = progress.map
        assert painted is not None, "only a map in memory can be watched"
        if last is None:
            counts = np.zeros(len(painted.scheme) + 1, np.int64)
            top = scratch(painted.header.shape, np.float16) if confidence else None
        if (block := progress.block) is not None:
            if kept is not None:
                left_out += _leave_out(painted, block, ~kept(block))
            values = painted.classes[block.place].ravel()
            counts = counts + np.bincount(values, minlength=len(counts))
            if top is not None:
                cells = painted.probabilities[(slice(None), *block.place)]
                top[block.place] = cells.max(axis=0)
        last = PaintingStep(
            progress.done, progress.total, progress.remaining, painted, top, counts, left_out
        )
        yield last
        if progress.block is None:
            shown()
    assert last is not None, "a painting reports before its first block"
    return last


def _leave_out(painted: PaintedMap, block: Block, cells: NDArray[np.bool_]) -> int:
    """Take back what was painted on some cells of a block, and count them."""
    painted.classes[block.place][cells] = 0
    if painted.probabilities is not None:
        painted.probabilities[(slice(None), *block.place)][:, cells] = 0
    return int(np.count_nonzero(cells))
