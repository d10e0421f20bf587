"""Patches as training and answering see them: tiles, read when asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from napari_lungcls.images.geometry import middle, reflect, window_start
from napari_lungcls.images.pyramid import BlockCache
from napari_lungcls.learning.drawing import MIXED_RUNS
from napari_lungcls.learning.examples import Crops, Side
from napari_lungcls.learning.patches.parts import PatchData
from napari_lungcls.learning.splits import Rows
from napari_lungcls.network.tiles import Tiles

CACHE_BYTES = 192 * 2**20
"""Patches that are kept between reads; what is shuffled together fits twice."""


class PatchSet:
    """Labelled patches of a data set; see `Examples`.

    Parameters
    ----------
    data
        The patches.
    codes
        `(n,)` classes.
    limit
        Bytes of patches that are kept in memory.
    """

    def __init__(
        self, data: PatchData, codes: NDArray[np.int64], *, limit: int = CACHE_BYTES
    ) -> None:
        self._data, self._codes = data, codes
        self._starts = np.cumsum([0, *map(len, data.parts)])
        self._cache = BlockCache(limit)
        height, width = data.size
        patch = height * width * 3 * np.dtype(data.dtype).itemsize
        together = max(part.pixels.run_length for part in data.parts)
        self._run = max(1, min(together, limit // (2 * MIXED_RUNS * patch)))

    @property
    def codes(self) -> NDArray[np.int64]:
        """`(n,)` classes."""
        return self._codes

    @property
    def run_length(self) -> int:
        """How many neighbours are read together."""
        return self._run

    def crops(
        self, rows: Rows, side: Side, tile: int, edge: int, rng: np.random.Generator
    ) -> Crops:
        """Give the middle of each patch; beyond its edges its reflection."""
        pixels, places = self._squares(rows, edge)
        return Crops(pixels, rows, np.arange(len(rows)), places)

    def answering(self, side: Side, tile: int, batch: int) -> Iterator[tuple[Rows, Tiles]]:
        """Give the middle of each patch; beyond its edges its reflection."""
        for part in gen_batches(len(side), batch):
            rows = side.rows[part]
            pixels, places = self._squares(rows, tile)
            yield rows, Tiles(pixels, np.arange(len(rows)), places)

    def sample(self, side: Side, count: int) -> NDArray[np.float32]:
        """Give about `count` pixels of evenly spread patches."""
        chosen = side.rows[np.linspace(0, len(side) - 1, min(512, len(side))).astype(int)]
        height, width = self._data.size
        step = max(1, round((len(chosen) * height * width / count) ** 0.5))
        parts = [self.patches(chosen[p])[:, ::step, ::step] for p in gen_batches(len(chosen), 32)]
        return np.concatenate(parts).reshape(-1, 3).astype(np.float32)

    def patches(self, rows: NDArray[np.intp]) -> NDArray[Any]:
        """Give patches as they are, `(m, height, width, 3)`."""
        found = np.empty((len(rows), *self._data.size, 3), self._data.dtype)
        for i in np.argsort(rows, kind="stable"):
            found[i] = self._patch(int(rows[i]))
        return found

    def _squares(
        self, rows: NDArray[np.intp], edge: int
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        patches = self.patches(rows)
        centre = np.array([middle(size) for size in self._data.size])
        first = window_start(centre, edge)
        if self._data.size != (edge, edge):
            y, x = (
                reflect(np.arange(start, start + edge), size)
                for start, size in zip(first, self._data.size, strict=True)
            )
            patches = patches[:, y[:, np.newaxis], x]
        places = np.tile((centre - first).astype(np.float64), (len(rows), 1, 1))
        return patches[:, np.newaxis], places

    def _patch(self, row: int) -> NDArray[Any]:
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        place, part = row - int(self._starts[number]), self._data.parts[number]
        first = place // self._run * self._run
        block = self._cache.get((number, first))
        if block is None:
            block = part.pixels.read(first, min(first + self._run, len(part)))
            self._cache.put((number, first), block)
        patch: NDArray[Any] = block[place - first]
        return patch
