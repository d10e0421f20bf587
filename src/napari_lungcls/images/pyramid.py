"""Planes at a zoom: area averages, read region by region from the best pyramid level."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray
from scipy.sparse import csr_array

from napari_lungcls.images.geometry import (
    reflect,
    to_image,
    to_zoomed,
    window_start,
    zoomed_size,
)
from napari_lungcls.images.stack import ImageStack, Plane, plane_indices, stack_dtype
from napari_lungcls.utils.memory import byte_cache

STRIP_BYTES = 32 * 2**20
"""Bytes of image held in memory at once while averaging."""

BLOCK = 512
"""Edge of the cached blocks, in pixels of the pyramid level that is read."""

SMALLEST_BLOCK = 64
"""Smallest edge of the cached blocks, in zoomed pixels."""


class ZoomedPlane:
    """One plane seen at one zoom, readable like an image of its own.

    Parameters
    ----------
    plane
        The plane at full resolution.
    zoom
        Image pixels per zoomed pixel; not necessarily an integer (see `geometry`).
    cache
        Keeps averaged blocks for repeated reads of the same places, as around points; painting
        reads everything once and needs none.

    Notes
    -----
    Values keep the type of the image: averages of integers are rounded, as in the pyramid
    of a multiscale file, so that windows and painted tiles see the same values.
    """

    def __init__(self, plane: Plane, zoom: float = 1.0, cache: BlockCache | None = None) -> None:
        self.plane = plane
        self.zoom = float(zoom)
        self.cache = cache
        height, width = plane.shape
        self.shape = (zoomed_size(height, zoom), zoomed_size(width, zoom))
        self.dtype = stack_dtype(plane.stack.dtype)
        self._source, self._factor = _nearest(plane.stack.factors, self.zoom)
        # Coarse blocks are small: reading a few windows must not mean reading most of the image.
        self.block = int(max(SMALLEST_BLOCK, BLOCK // max(1.0, self._factor)))

    def read(self, top: int, left: int, height: int, width: int) -> NDArray[Any]:
        """Read a region; the image is reflected at its edges.

        Parameters
        ----------
        top, left
            First zoomed pixel, possibly negative.
        height, width
            Size in zoomed pixels.

        Returns
        -------
        ndarray, (height, width, 3)
            Grey images give three equal channels.
        """
        rows = reflect(np.arange(top, top + height), self.shape[0])
        columns = reflect(np.arange(left, left + width), self.shape[1])
        r0, r1 = int(rows.min()), int(rows.max()) + 1
        c0, c1 = int(columns.min()), int(columns.max()) + 1
        region = self._inside(r0, r1, c0, c1)
        for axis, (wanted, first) in enumerate(((rows, r0), (columns, c0))):
            region = _folded_out(region, wanted - first, axis)
        if region.shape[-1] == 1:
            region = np.repeat(region, 3, axis=-1)
        return region

    def _inside(self, r0: int, r1: int, c0: int, c1: int) -> NDArray[Any]:
        if self.cache is None:
            return self._average(r0, r1, c0, c1)
        out: NDArray[Any] | None = None
        edge = self.block
        for i in range(r0 // edge, (r1 - 1) // edge + 1):
            for j in range(c0 // edge, (c1 - 1) // edge + 1):
                block = self._block(i, j)
                if out is None:
                    out = np.empty((r1 - r0, c1 - c0, block.shape[-1]), block.dtype)
                a0, b0 = i * edge, j * edge
                y0, y1 = max(r0, a0), min(r1, a0 + edge)
                x0, x1 = max(c0, b0), min(c1, b0 + edge)
                out[y0 - r0 : y1 - r0, x0 - c0 : x1 - c0] = block[
                    y0 - a0 : y1 - a0, x0 - b0 : x1 - b0
                ]
        assert out is not None
        return out

    def _block(self, i: int, j: int) -> NDArray[Any]:
        assert self.cache is not None
        # The stack itself and not its id, which may be reused once the stack is gone.
        key = (self.plane.stack, self.plane.index, self.zoom, i, j)
        block = self.cache.get(key)
        if block is None:
            (height, width), edge = self.shape, self.block
            block = self._average(
                i * edge, min(height, (i + 1) * edge), j * edge, min(width, (j + 1) * edge)
            )
            self.cache.put(key, block)
        return block

    def _average(self, r0: int, r1: int, c0: int, c1: int) -> NDArray[Any]:
        """Average a region inside the plane, strip by strip."""
        factor = self._factor
        limits = self._source_shape()
        if factor == 1 and r1 <= limits[0] and c1 <= limits[1]:
            return self.plane.read(slice(r0, r1), slice(c0, c1), self._source)
        n = int(factor)
        whole = n == factor > 1 and r1 * n <= limits[0] and c1 * n <= limits[1]
        if whole and self.dtype.kind == "u":
            return self._whole_average(r0, r1, c0, c1, n)
        columns, x0 = _resampling(c0, c1, factor, limits[1])
        source_row_bytes = columns.shape[1] * 3 * 4
        step = max(1, int(STRIP_BYTES / (source_row_bytes * max(1.0, factor))))
        strips = []
        for start in range(r0, r1, step):
            rows, y0 = _resampling(start, min(r1, start + step), factor, limits[0])
            source = self.plane.read(
                slice(y0, y0 + rows.shape[1]),
                slice(x0, x0 + columns.shape[1]),
                self._source,
            )
            strips.append(_resample(source, rows, columns))
        return _as_type(np.concatenate(strips), self.dtype)

    def _whole_average(self, r0: int, r1: int, c0: int, c1: int, n: int) -> NDArray[Any]:
        """Average squares of `n` × `n` integers: exact sums, and much faster."""
        small = np.uint16 if self.dtype == np.uint8 and n <= 256 else np.uint32
        step = max(1, STRIP_BYTES // ((c1 - c0) * n * n * 3 * 4))
        out = np.empty((r1 - r0, c1 - c0, 3 if self.plane.stack.rgb else 1), self.dtype)
        columns = slice(c0 * n, c1 * n)
        for start in range(r0, r1, step):
            stop = min(r1, start + step)
            source = self.plane.read(slice(start * n, stop * n), columns, self._source)
            lines = source.reshape(stop - start, n, -1).sum(axis=1, dtype=small)
            # numpy sums long rows with vector instructions, so transpose columns into rows.
            turned = lines.reshape((stop - start) * (c1 - c0), -1).T.copy()
            squares = turned.reshape(n, out.shape[2], -1).sum(axis=0, dtype=np.uint64)
            means = np.rint(squares / n**2).astype(out.dtype)
            out[start - r0 : stop - r0] = means.T.reshape(stop - start, c1 - c0, -1)
        return out

    def _source_shape(self) -> tuple[int, int]:
        shape = self.plane.stack.levels[self._source].shape
        axis = len(shape) - (3 if self.plane.stack.rgb else 2)
        return int(shape[axis]), int(shape[axis + 1])


class BlockCache:
    """The most recently used blocks of levels, up to a number of bytes; threads may share it."""

    def __init__(self, limit: int = 256 * 2**20) -> None:
        self._lock = Lock()
        self._blocks: LRUCache[object, NDArray[Any]] = byte_cache(limit, lambda b: b.nbytes)

    def get(self, key: object) -> NDArray[Any] | None:
        """Return the block, now the most recent one, or None."""
        with self._lock:
            return self._blocks.get(key)

    def put(self, key: object, block: NDArray[Any]) -> None:
        """Keep a block and let the oldest go."""
        with self._lock:
            self._blocks[key] = block


def read_windows(
    stack: ImageStack,
    coordinates: NDArray[np.float64],
    zooms: Sequence[float],
    size: int,
    *,
    cache: BlockCache | None = None,
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Read a square window around every point, at every zoom.

    Windows start at whole zoomed pixels, so nothing is interpolated. The exact place of each
    point in its window is returned as well; it is at most half a pixel from the middle. The
    image is reflected at its edges.

    Parameters
    ----------
    stack
        The image.
    coordinates
        `(n, ndim)` positions `(…, y, x)` in pixels; the nearest plane is taken.
    zooms
        Image pixels per zoomed pixel.
    size
        Edge of the windows in zoomed pixels.
    cache
        Blocks kept between calls.

    Returns
    -------
    windows : ndarray, (n, zooms, size, size, 3)
        In the type of the image.
    places : ndarray, (n, zooms, 2)
        `(y, x)` of each point in its window, in zoomed pixels.
    """
    n = len(coordinates)
    windows = np.empty((n, len(zooms), size, size, 3), stack_dtype(stack.dtype))
    places = np.empty((n, len(zooms), 2))
    cache = cache or BlockCache()
    planes = plane_indices(stack, coordinates)
    for k, zoom in enumerate(zooms):
        where = to_zoomed(coordinates[:, -2:], zoom)
        first = window_start(where, size)
        places[:, k] = where - first
        for i in _reading_order(planes, first):
            level = ZoomedPlane(stack.plane(planes[i]), zoom, cache)
            windows[i, k] = level.read(int(first[i, 0]), int(first[i, 1]), size, size)
    return windows, places


def _reading_order(planes: NDArray[np.int64], first: NDArray[np.int64]) -> NDArray[np.intp]:
    """Sort points so that neighbours are read together and share cached blocks."""
    blocks = first // BLOCK
    order: NDArray[np.intp] = np.lexsort((blocks[:, 1], blocks[:, 0], *planes.T[::-1]))
    return order


def _folded_out(region: NDArray[Any], index: NDArray[np.int64], axis: int) -> NDArray[Any]:
    """Take `index` along an axis; consecutive runs, the common case, are copied as one slice."""
    count = region.shape[axis]
    if len(index) == count and (index == np.arange(count)).all():
        return region
    start = int(np.flatnonzero(index == 0)[0]) if (index == 0).any() else len(index)
    straight = int((index[start:] == np.arange(len(index) - start)).cumprod().sum())
    source, shape = np.moveaxis(region, axis, 0), list(region.shape)
    shape[axis] = len(index)
    out = np.empty(shape, region.dtype)
    target = np.moveaxis(out, axis, 0)
    target[start : start + straight] = source[:straight]
    for side in (slice(0, start), slice(start + straight, None)):
        target[side] = source[index[side]]
    return out


def _nearest(factors: tuple[float, ...], zoom: float) -> tuple[int, float]:
    """Choose the pyramid level to average from, and the remaining factor.

    The coarsest level that is not coarser than the zoom wins; levels with an integer factor,
    which averages whole pixels, are preferred over those with a fraction.
    """
    usable = [(i, zoom / f) for i, f in enumerate(factors) if f <= zoom * (1 + 1e-9)]
    if not usable:
        return 0, zoom
    whole = [(i, r) for i, r in usable if abs(r - round(r)) < 1e-9]
    index, factor = (whole or usable)[-1]
    return index, float(round(factor)) if whole else factor


def _resampling(first: int, stop: int, factor: float, limit: int) -> tuple[csr_array, int]:
    """Weights that turn source pixels into zoomed pixels `first … stop − 1` along one axis.

    Shrinking (factor ≥ 1) weights each source pixel by its overlap with the zoomed pixel;
    enlarging interpolates linearly between pixel centres. If the pyramid level was cropped,
    its last pixel also fills the missing part.

    Returns
    -------
    weights
        Sparse (stop − first, source pixels), with rows that sum to 1.
    start
        The source pixel of the first column.
    """
    target = np.arange(first, stop)
    if factor >= 1:
        low = np.minimum(target * factor, limit - 1)
        high = np.minimum((target + 1) * factor, limit)
        start, end = int(low[0] + 1e-9), min(limit, int(np.ceil(high[-1] - 1e-9)))
        taps = int(np.ceil(factor)) + 1
        pixel = np.floor(low + 1e-9).astype(np.int64)[:, np.newaxis] + np.arange(taps)
        weight = np.minimum(pixel + 1, high[:, np.newaxis]) - np.maximum(pixel, low[:, np.newaxis])
    else:
        centre = np.clip(to_image(target, factor), 0, limit - 1)
        start, end = int(centre[0]), min(limit, int(centre[-1]) + 2)
        pixel = np.floor(centre).astype(np.int64)[:, np.newaxis] + np.arange(2)
        weight = 1 - np.abs(centre[:, np.newaxis] - pixel)
    weight = np.where((pixel < end) & (weight > 1e-9), weight, 0.0)
    weight = weight / weight.sum(axis=1, keepdims=True)
    row = np.broadcast_to(np.arange(len(target))[:, np.newaxis], pixel.shape)
    used = weight > 0
    matrix = csr_array(
        (weight[used].astype(np.float32), (row[used], pixel[used] - start)),
        shape=(len(target), end - start),
    )
    return matrix, start


def _resample(source: NDArray[Any], rows: csr_array, columns: csr_array) -> NDArray[np.float32]:
    """Apply the weights of both axes to `(y, x, channel)`; returns float32."""
    height, width, channels = source.shape
    shrunk = rows @ source.reshape(height, width * channels).astype(np.float32)
    turned = shrunk.reshape(-1, width, channels).transpose(1, 0, 2).reshape(width, -1)
    result = columns @ np.ascontiguousarray(turned)
    out: NDArray[np.float32] = result.reshape(columns.shape[0], -1, channels).transpose(1, 0, 2)
    return out


def _as_type(values: NDArray[np.float32], dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind == "u":
        return np.rint(values).astype(dtype)
    return values
