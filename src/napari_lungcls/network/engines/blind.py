"""How far a cell sees, and so what it cannot know where an image holds no numbers.

The second is for libraries that lose NaN.

A convolution makes NaN of all that sees one, but not every library hands it on: MXNet's ReLU
and pooling on the CPU make 0 of it, and a hole in an image would be painted as if it were
tissue. Here the same cells are found by counting.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.imaging.geometry import STAGE_STRIDES, cell_count

STEM_RADIUS = 3 + 1 * 2
"""Level pixels that a cell after the stem sees on each side: 7 × 7, then the pool at stride 2."""


def block_radius(stage: int, block: int) -> int:
    """Give how many level pixels a cell sees on each side after a stage's block 1 or 2."""
    radius, incoming = STEM_RADIUS, STAGE_STRIDES[1]
    for each in range(1, stage + 1):
        # Two 3 × 3 convolutions a block, of which the first still walks on the stage before.
        convolutions = 2 * block if each == stage else 4
        radius += incoming + (convolutions - 1) * STAGE_STRIDES[each]
        incoming = STAGE_STRIDES[each]
    return radius


def stage_radius(stage: int) -> int:
    """Give how many level pixels a cell of a stage sees on each side of its centre."""
    return block_radius(stage, 2)


def blind_windows(windows: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which windows `(n, …)` hold a value that is no finite number."""
    if windows.dtype.kind != "f":
        return np.zeros(len(windows), np.bool_)
    finite: NDArray[np.bool_] = np.isfinite(windows).all(axis=tuple(range(1, windows.ndim)))
    return ~finite


def blind_cells(tile: NDArray[Any], stage: int) -> NDArray[np.bool_]:
    """Tell which cells of a stage see a value of the tile `(y, x, 3)` that is none.

    Returns
    -------
    ndarray of bool, (rows, columns)
    """
    wrong = ~np.isfinite(tile).all(axis=2)
    counts = np.pad(wrong.cumsum(0).cumsum(1), [(1, 0), (1, 0)])
    (top, bottom), (left, right) = (_seen(length, stage) for length in wrong.shape)
    inside = (
        counts[np.ix_(bottom, right)]
        - counts[np.ix_(top, right)]
        - counts[np.ix_(bottom, left)]
        + counts[np.ix_(top, left)]
    )
    found: NDArray[np.bool_] = inside > 0
    return found


def _seen(length: int, stage: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the ends of what each cell along an axis sees."""
    stride, radius = STAGE_STRIDES[stage], stage_radius(stage)
    centres = stride * np.arange(cell_count(length, stride))
    return np.maximum(centres - radius, 0), np.minimum(centres + radius + 1, length)
