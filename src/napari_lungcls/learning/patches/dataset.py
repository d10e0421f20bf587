"""Patches as training and answering see them: squares of level pixels, read when asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.imaging.geometry import middle, reflect, window_start
from napari_lungcls.imaging.levels import BlockCache
from napari_lungcls.learning.augmentation import reach
from napari_lungcls.learning.drawing import MIXED_RUNS
from napari_lungcls.learning.patches.parts import PatchData
from napari_lungcls.learning.settings import TrainingSettings

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
    edge
        Of the squares from which training windows are sampled; beyond a patch's own edges
        its reflection is seen.
    limit
        Bytes of patches that are kept in memory.
    """

    def __init__(
        self, data: PatchData, codes: NDArray[np.int64], edge: int, *, limit: int = CACHE_BYTES
    ) -> None:
        self._data, self._codes, self._edge = data, codes, edge
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

    def around(self, rows: NDArray[np.intp]) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Give the squares from which training windows are sampled."""
        return self._squares(rows, self._edge)

    def centred(
        self, rows: NDArray[np.intp], window: int
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Give the middle of each patch, `(m, 1, window, window, 3)`, and its place there."""
        return self._squares(rows, window)

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


def squares_edge(settings: TrainingSettings) -> int:
    """Return the edge of squares that are wide enough for every turn and shift."""
    return 2 * reach(settings) + 2
