"""Planes at a zoom: area averages, read region by region from the nearest pyramid level."""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray
from scipy.sparse import csr_array

from napari_lungcls.images.geometry import level_size, reflect, to_image
from napari_lungcls.images.stack import Plane, stack_dtype
from napari_lungcls.utils.memory import byte_cache

STRIP_BYTES = 32 * 2**20
"""Bytes of image that are held at once while a coarse level is averaged."""

BLOCK = 512
"""Edge of the blocks that a cache keeps, in pixels of the pyramid level that is read."""

SMALLEST_BLOCK = 64
"""Least edge of the blocks in level pixels."""


class Level:
    """One plane at one zoom, as an image of its own.

    Parameters
    ----------
    plane
        The plane at full resolution.
    zoom
        Image pixels per level pixel; not necessarily an integer (see `geometry`).
    cache
        Keeps averaged blocks for reads that come back to the same places; for points, not
        for painting, which reads everything once.

    Notes
    -----
    Values keep the type of the image: averages of integers are rounded, as in the pyramid
    of a multiscale file, so that windows and painted tiles see the same numbers.
    """

    def __init__(self, plane: Plane, zoom: float = 1.0, cache: BlockCache | None = None) -> None:
        self.plane = plane
        self.zoom = float(zoom)
        self.cache = cache
        height, width = plane.shape
        self.shape = (level_size(height, zoom), level_size(width, zoom))
        self.dtype = stack_dtype(plane.stack.dtype)
        self._source, self._factor = _nearest(plane.stack.factors, self.zoom)
        # Coarse blocks are small: a few windows must not cost a good part of the image.
        self.block = int(max(SMALLEST_BLOCK, BLOCK // max(1.0, self._factor)))

    def read(self, top: int, left: int, height: int, width: int) -> NDArray[Any]:
        """Read a region; where it leaves the image, the image is reflected.

        Parameters
        ----------
        top, left
            First level pixel, possibly negative.
        height, width
            Size in level pixels.

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
        # The stack itself, not its id: another stack may get that when this one is gone.
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
        """Average a region inside the level, strip by strip."""
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
        """Average squares of `n` × `n` whole numbers: sums are exact, and much faster."""
        small = np.uint16 if self.dtype == np.uint8 and n <= 256 else np.uint32
        step = max(1, STRIP_BYTES // ((c1 - c0) * n * n * 3 * 4))
        out = np.empty((r1 - r0, c1 - c0, 3 if self.plane.stack.rgb else 1), self.dtype)
        columns = slice(c0 * n, c1 * n)
        for start in range(r0, r1, step):
            stop = min(r1, start + step)
            source = self.plane.read(slice(start * n, stop * n), columns, self._source)
            lines = source.reshape(stop - start, n, -1).sum(axis=1, dtype=small)
            # numpy adds up long rows many values at a time, so the columns are turned into rows.
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


def _folded_out(region: NDArray[Any], index: NDArray[np.int64], axis: int) -> NDArray[Any]:
    """Take `index` along an axis; where it counts up, as it mostly does, whole lines at once."""
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
    """Choose the pyramid level to average from, and the factor that is left to average.

    Among the levels that are not coarser than the zoom the coarsest one wins, and of those
    an integer factor, which averages whole pixels, before a fraction.
    """
    usable = [(i, zoom / f) for i, f in enumerate(factors) if f <= zoom * (1 + 1e-9)]
    if not usable:
        return 0, zoom
    whole = [(i, r) for i, r in usable if abs(r - round(r)) < 1e-9]
    index, factor = (whole or usable)[-1]
    return index, float(round(factor)) if whole else factor


def _resampling(first: int, stop: int, factor: float, limit: int) -> tuple[csr_array, int]:
    """Weights that turn source pixels into level pixels `first … stop − 1` along one axis.

    Shrinking (factor ≥ 1) weighs each source pixel by its overlap with the level pixel;
    enlarging interpolates linearly between pixel centres. Where a pyramid was cut off at
    its end, its last pixel also stands for what is missing.

    Returns
    -------
    weights
        Sparse (stop − first, source pixels), rows adding up to 1.
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
