"""Windows: the squares of level pixels around points, one for each zoom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.images.geometry import is_inside, to_level, window_start
from napari_lungcls.images.pyramid import BLOCK, BlockCache, Level
from napari_lungcls.images.stack import ImageStack, stack_dtype


def read_windows(
    stack: ImageStack,
    coordinates: NDArray[np.float64],
    zooms: Sequence[float],
    size: int,
    *,
    out: NDArray[Any] | None = None,
    cache: BlockCache | None = None,
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Read a square of level pixels around every point, at every zoom.

    Windows begin at whole level pixels, so nothing is interpolated; where exactly the
    point lies in its window is returned beside it, at most half a pixel from the middle.
    Beyond the image's edge its reflection is seen.

    Parameters
    ----------
    stack
        The image.
    coordinates
        `(n, ndim)` positions `(…, y, x)` in pixels; the nearest plane is taken.
    zooms
        Image pixels per level pixel.
    size
        Edge of the windows in level pixels.
    out
        Where to put the windows, for example a memory-mapped array; made if not given.
    cache
        Blocks kept between calls.

    Returns
    -------
    windows : ndarray, (n, zooms, size, size, 3)
        In the type of the image.
    places : ndarray, (n, zooms, 2)
        `(y, x)` of each point in its window, in level pixels.
    """
    n = len(coordinates)
    if out is None:
        out = np.empty((n, len(zooms), size, size, 3), stack_dtype(stack.dtype))
    places = np.empty((n, len(zooms), 2))
    cache = cache or BlockCache()
    planes = plane_indices(stack, coordinates)
    for k, zoom in enumerate(zooms):
        where = to_level(coordinates[:, -2:], zoom)
        first = window_start(where, size)
        places[:, k] = where - first
        for i in _reading_order(planes, first):
            level = Level(stack.plane(planes[i]), zoom, cache)
            out[i, k] = level.read(int(first[i, 0]), int(first[i, 1]), size, size)
    return out, places


def batches(n: int, size: int) -> Iterator[slice]:
    """Cut `n` things into slices of at most `size`."""
    for start in range(0, n, size):
        yield slice(start, min(n, start + size))


def plane_indices(stack: ImageStack, coordinates: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the nearest plane of each point, `(n, ndim − 2)`."""
    # Half way past the last plane is still on it, but would be rounded to the next.
    last = np.asarray(stack.leading, np.int64) - 1
    return np.clip(np.rint(coordinates[:, :-2]).astype(np.int64), 0, last)


def check_inside(
    stack: ImageStack, coordinates: NDArray[np.float64], points: str = "the points"
) -> None:
    """Refuse points that are not in the image.

    Raises
    ------
    InputError
        Naming the first point outside, or the wrong number of axes.
    """
    if coordinates.ndim != 2:
        raise InputError(
            f"{points}: coordinates have the shape (n, {stack.ndim}), one row for each point, "
            f"not {coordinates.shape}"
        )
    if coordinates.shape[1] != stack.ndim:
        raise InputError(
            f"{points}: the coordinates have {coordinates.shape[1]} axes, but {stack.source} has "
            f"{stack.ndim} {stack.shape}; give one coordinate per image axis, without colour"
        )
    bad = ~is_inside(coordinates, stack.shape)
    if (rows := np.flatnonzero(bad.any(axis=1))).size:
        where = ", ".join(f"{v:g}" for v in coordinates[rows[0]])
        lie = f"and {rows.size - 1} more lie" if rows.size > 1 else "lies"
        raise InputError(
            f"{points}: point {rows[0] + 1} at ({where}) {lie} outside {stack.source}, which has "
            f"shape {stack.shape}; are the coordinates data pixels (…, y, x) of this image?"
        )


def _reading_order(planes: NDArray[np.int64], first: NDArray[np.int64]) -> NDArray[np.intp]:
    """Order points so that neighbours are read together and blocks serve several of them."""
    blocks = first // BLOCK
    order: NDArray[np.intp] = np.lexsort((blocks[:, 1], blocks[:, 0], *planes.T[::-1]))
    return order
