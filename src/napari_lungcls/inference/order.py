"""The order in which blocks are painted: what somebody looks at comes first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.inference.grid import Block

InView = Callable[[], Sequence[float] | None]
"""Gives the cell `(…, y, x)` of the map that is looked at, or None when that is unknown."""


def nearest_first(blocks: Sequence[Block], in_view: InView) -> Iterator[Block]:
    """Give every block once, each time the one nearest to what is looked at then.

    Planes count first: all blocks of the plane in view come before those of the next plane,
    and of these the block around the cell in view, then its neighbours.

    Parameters
    ----------
    blocks
        All blocks.
    in_view
        Asked before each block. While it gives None, blocks come in their order.
    """
    planes = np.array([block.index for block in blocks], float).reshape(len(blocks), -1)
    edges = np.array(
        [[b.rows.start, b.rows.stop - 1, b.columns.start, b.columns.stop - 1] for b in blocks],
        float,
    )
    left = np.arange(len(blocks))
    while len(left):
        first = 0
        if (seen := in_view()) is not None:
            first = int(np.argmin(_distance(planes[left], edges[left], np.asarray(seen, float))))
        yield blocks[left[first]]
        left = np.delete(left, first)


def with_next(blocks: Iterator[Block]) -> Iterator[tuple[Block, Block | None]]:
    """Give every block with the one after it, None after the last."""
    block = next(blocks, None)
    while block is not None:
        after = next(blocks, None)
        yield block, after
        block = after


_Numbers = NDArray[np.float64]


def _distance(planes: _Numbers, edges: _Numbers, seen: _Numbers) -> _Numbers:
    """Rank blocks: by plane, then by how far the cell in view is from the block."""
    over = [
        np.maximum(np.maximum(edges[:, i] - where, where - edges[:, i + 1]), 0)
        for i, where in ((0, seen[-2]), (2, seen[-1]))
    ]
    within: _Numbers = np.hypot(*over)
    apart: _Numbers = np.abs(planes - seen[:-2]).sum(axis=1)
    return apart * float(1 + 2 * edges.max(initial=1)) + within
