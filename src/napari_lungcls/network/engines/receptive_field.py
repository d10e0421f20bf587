"""Receptive fields: how far a cell sees, and which cells see something."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.images.geometry import STAGE_STRIDES

Bools = NDArray[np.bool_]
Ends = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Of each cell along an axis: the first that it sees, and the first behind that."""

STEM_RADIUS = 3 + 1 * 2
"""Zoomed pixels that a cell after the stem sees on each side: 7 × 7, then the pool at stride 2."""


def block_radius(stage: int, block: int) -> int:
    """Give how many zoomed pixels a cell sees on each side after a stage's block 1 or 2."""
    radius, incoming = STEM_RADIUS, STAGE_STRIDES[1]
    for each in range(1, stage + 1):
        # Two 3 × 3 convolutions a block, of which the first still walks on the stage before.
        convolutions = 2 * block if each == stage else 4
        radius += incoming + (convolutions - 1) * STAGE_STRIDES[each]
        incoming = STAGE_STRIDES[each]
    return radius


def stage_radius(stage: int) -> int:
    """Give how many zoomed pixels a cell of a stage sees on each side of its centre."""
    # Two 3 × 3 convolutions at every pixel, and the 7 × 7 of the stem.
    return {-1: 2, 0: 3}.get(stage) or block_radius(stage, 2)


def sees_any(there: Bools, rows: Ends, columns: Ends) -> Bools:
    """Tell which cells see something.

    Parameters
    ----------
    there
        `(y, x)` where something is.
    rows, columns
        What cells see along either axis, inside `there`.

    Returns
    -------
    ndarray of bool, (cells along y, cells along x)
    """
    counts = np.zeros((there.shape[0] + 1, there.shape[1] + 1), np.int32)
    # Sums from the corner on: those between two lines are a difference.
    there.cumsum(axis=0, dtype=np.int32).cumsum(axis=1, out=counts[1:, 1:])
    (top, bottom), (left, right) = rows, columns
    between = counts[bottom] - counts[top]
    found: Bools = between.take(right, axis=1) > between.take(left, axis=1)
    return found
