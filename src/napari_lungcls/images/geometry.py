"""Coordinates of image pixels, zoomed pixels, network cells and map cells.

Besides `utils.corners` the only module that adds or subtracts half pixels.

All positions are of pixel centres, counted from the centre of the first pixel, which is 0.

- Zoomed pixel `j` at zoom `z` averages image pixels `z·j … z·j + z − 1`; its centre is image
  position `(j + 0.5)·z − 0.5`. Zooms may be fractions where the pixel sizes of a model and
  an image differ.
- Cell `i` of a backbone stage with stride `s` is centred on zoomed pixel `s·i`.
- Map cell `i` at stride `t` covers image pixels `t·i … t·i + t − 1`; its centre is image
  position `t·i + (t − 1)/2`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_lungcls.utils.corners import from_corner as from_corner
from napari_lungcls.utils.corners import nearest

STAGE_STRIDES = {stage: 2 ** (stage + 1) for stage in range(-1, 5)}
"""Zoomed pixels between neighbouring cells of a stage: detail, stem, `layer1` … `layer4`."""

Floats = NDArray[np.float64]


def to_zoomed(position: ArrayLike, zoom: ArrayLike) -> Floats:
    """Image positions to zoomed positions, at one zoom or at a zoom for each."""
    found: Floats = (np.asarray(position, dtype=np.float64) + 0.5) / np.asarray(zoom) - 0.5
    return found


def to_image(position: ArrayLike, zoom: float) -> Floats:
    """Zoomed positions to image positions."""
    return (np.asarray(position, dtype=np.float64) + 0.5) * zoom - 0.5


def zoomed_size(size: int, zoom: float) -> int:
    """Zoomed pixels that cover `size` image pixels; the last may be covered in part."""
    return max(1, math.ceil(size / zoom - 1e-9))


def cell_count(size: int, stride: int) -> int:
    """Cells of a stage, or of a map, along an axis of `size` pixels."""
    return -(-size // stride)


def map_positions(first: int, count: int, stride: int) -> Floats:
    """Image positions of the centres of map cells `first … first + count − 1`."""
    return np.arange(first, first + count, dtype=np.float64) * stride + map_offset(stride)


def map_offset(stride: int) -> float:
    """Image pixels from the first pixel's centre to the first map cell's centre."""
    return middle(stride)


def middle_pixels(first: int, stop: int, stride: int) -> NDArray[np.int64]:
    """Return the pixels in the middles of map cells `first … stop − 1`; of two the latter."""
    return np.arange(first, stop, dtype=np.int64) * stride + stride // 2


def map_cell(position: ArrayLike, stride: int) -> NDArray[np.int64]:
    """Return the map cell that covers an image position."""
    return np.floor(from_map_edge(position, stride)).astype(np.int64)


def from_map_edge(position: ArrayLike, stride: int) -> Floats:
    """Image positions in map cells from the outer edge of the first, which cell `i` has at `i`."""
    return (np.asarray(position, dtype=np.float64) + 0.5) / stride


def middle(size: int) -> float:
    """Position of the middle of `size` pixels; between two pixels where `size` is even."""
    return (size - 1) / 2


def window_start(position: ArrayLike, size: int) -> NDArray[np.int64]:
    """First pixel of the window whose middle is next to a position.

    The position then lies in `[middle(size), middle(size) + 1)` of its window.
    """
    return np.floor(np.asarray(position, dtype=np.float64) - middle(size)).astype(np.int64)


def is_inside(position: ArrayLike, size: ArrayLike) -> NDArray[np.bool_]:
    """Return which positions lie on one of `size` pixels, including the outer half pixels."""
    where, count = np.asarray(position, dtype=np.float64), np.asarray(size)
    return np.isfinite(where) & (where >= -0.5) & (where <= count - 0.5)


def outer_edges(size: ArrayLike) -> tuple[float, Floats]:
    """Return the positions of the outer edges of `size` pixels, first and last."""
    return -0.5, np.asarray(size, dtype=np.float64) - 0.5


def is_in_square(places: Floats, edge: int) -> NDArray[np.bool_]:
    """Return which places `(n, 2)` lie in a square of `edge` pixels, not on its outer border."""
    return np.asarray(((places > -0.5) & (places < edge - 0.5)).all(axis=1))


def pixels_of(coordinates: ArrayLike) -> NDArray[np.int64]:
    """Return the pixel that each point lies on, including the outer half pixels of a plane."""
    return np.maximum(nearest(coordinates), 0).astype(np.int64)


def interpolation_weights(position: ArrayLike, count: int) -> NDArray[np.float32]:
    """Linear interpolation between cells as a matrix; positions beyond the ends are clamped.

    Parameters
    ----------
    position
        `(n,)` positions in units of cells, 0 at the centre of the first.
    count
        Number of cells.

    Returns
    -------
    ndarray, (n, count), float32
        Rows sum to 1 and have at most two nonzero entries.
    """
    where = np.clip(np.atleast_1d(np.asarray(position, dtype=np.float64)), 0, count - 1)
    distance = np.abs(where[:, np.newaxis] - np.arange(count))
    return np.maximum(0.0, 1.0 - distance).astype(np.float32)


def reflect(index: ArrayLike, size: int) -> NDArray[np.int64]:
    """Reflect indices beyond the ends back inside, without repeating the edge (… 2 1 0 1 2 …)."""
    period = max(1, 2 * (size - 1))
    folded = np.mod(np.asarray(index, dtype=np.int64), period)
    return np.minimum(folded, period - folded) if size > 1 else np.zeros_like(folded)


def align_down(value: int, step: int) -> int:
    """Return the largest multiple of `step` that is not above `value`."""
    return value // step * step


def align_up(value: int, step: int) -> int:
    """Return the smallest multiple of `step` that is not below `value`."""
    return -(-value // step) * step
