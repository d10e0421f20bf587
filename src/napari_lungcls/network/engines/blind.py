"""What a cell cannot know where an image holds no numbers, for libraries that lose NaN.

A convolution makes NaN of all that sees one, but not every library hands it on: MXNet's ReLU
and pooling on the CPU make 0 of it, and a hole in an image would be painted as if it were
tissue. Here the same cells are found by counting.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.imaging.geometry import STAGE_STRIDES, cell_count
from napari_lungcls.network.engines.reach import Ends, sees_any, stage_radius


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
    rows, columns = (_seen(length, stage) for length in wrong.shape)
    return sees_any(wrong, rows, columns)


def _seen(length: int, stage: int) -> Ends:
    """Return the ends of what each cell along an axis sees."""
    stride, radius = STAGE_STRIDES[stage], stage_radius(stage)
    centres = stride * np.arange(cell_count(length, stride))
    return np.maximum(centres - radius, 0), np.minimum(centres + radius + 1, length)
