"""Painting watched block by block: shares of the classes and confidence as they come."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

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
        How many of these were left unpainted on request, by what they lie on or outside of.
    """

    done: int
    total: int
    remaining: float | None
    map: PaintedMap
    confidence: NDArray[np.float16] | None
    counts: NDArray[np.int64]
    left_out: Mapping[str, int] = field(default_factory=dict)

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
    for progress in run:
        painted = progress.map
        assert painted is not None, "only a map in memory can be watched"
        if last is None:
            counts = np.zeros(len(painted.scheme) + 1, np.int64)
            top = scratch(painted.header.shape, np.float16) if confidence else None
        if (block := progress.block) is not None:
            values = painted.classes[block.place].ravel()
            counts = counts + np.bincount(values, minlength=len(counts))
            if top is not None:
                cells = painted.probabilities[(slice(None), *block.place)]
                top[block.place] = cells.max(axis=0)
        last = PaintingStep(
            progress.done,
            progress.total,
            progress.remaining,
            painted,
            top,
            counts,
            progress.left_out,
        )
        yield last
        if progress.block is None:
            shown()
    assert last is not None, "a painting reports before its first block"
    return last
