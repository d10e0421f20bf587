"""Painting watched block by block: shares of the classes, confidence, words. No Qt."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.memory import scratch
from napari_lungcls.painting.painted import PaintedMap
from napari_lungcls.painting.run import PaintingProgress


@dataclass(frozen=True, eq=False)
class Step:
    """Where painting stands.

    Attributes
    ----------
    done, total
        Blocks painted, and in all.
    remaining
        Seconds that are left, None before the first block.
    map
        The map, which is being filled.
    confidence
        Top probability of every cell, being filled, or None when nobody asked for it.
    counts
        Cells by value so far, `(classes + 1,)`; the first were visited and left unpainted.
    """

    done: int
    total: int
    remaining: float | None
    map: PaintedMap
    confidence: NDArray[np.float16] | None
    counts: NDArray[np.int64]

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
) -> Generator[Step, None, Step]:
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
    Step

    Returns
    -------
    Step
        The last.
    """
    last: Step | None = None
    top: NDArray[np.float16] | None = None
    for progress in run:
        painted = progress.map
        assert painted is not None, "only a map in memory can be watched"
        if last is None:
            counts = np.zeros(len(painted.scheme) + 1, np.int64)
            top = scratch(painted.header.shape, np.float16) if confidence else None
        if (block := progress.block) is not None:
            place: Any = (*block.index, block.rows, block.columns)
            values = painted.classes[place].ravel()
            counts = counts + np.bincount(values, minlength=len(counts))
            if top is not None:
                top[place] = painted.probabilities[(slice(None), *place)].max(axis=0)
        last = Step(progress.done, progress.total, progress.remaining, painted, top, counts)
        yield last
        if progress.block is None:
            shown()
    assert last is not None, "a painting reports before its first block"
    return last


def outcome(last: Step, seconds: float) -> str:
    """Say in words how a painting ended."""
    if last.done < last.total:
        return f"Cancelled: {percent(last.visited)} painted. The layer keeps what is there."
    blind = int(last.counts[0])
    left_out = f" {blind:,} cells see no valid pixels and stay empty." if blind else ""
    return f"Painted {cells(last.map.header.shape)} in {seconds:.1f}\N{NO-BREAK SPACE}s.{left_out}"


def cells(shape: tuple[int, ...]) -> str:
    """Say how many cells a map has: `512 × 512 cells in 20 planes`."""
    planes = int(np.prod(shape[:-2], dtype=np.int64))
    flat = f"{shape[-2]:,} × {shape[-1]:,} cells"
    return flat if planes == 1 else f"{flat} in {planes:,} planes"


def size(count: int) -> str:
    """Say how much `count` bytes are: `3.4 MB`."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= unit:
            return (
                f"{count / unit:.3g} {name}" if count < 1000 * unit else f"{count // unit:,} {name}"
            )
    return f"{count} bytes"


def percent(share: float) -> str:
    """Write a share as `37 %`; what is begun is not 0, what is not complete is not 100."""
    if 0 < share < 0.01:
        return "under 1 %"
    return f"{min(round(100 * share), 99) if share < 1 else 100} %"
