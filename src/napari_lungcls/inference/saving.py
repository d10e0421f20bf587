"""Saving a painted map under another name: block by block, with progress, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_lungcls.inference.geojson import SUFFIX, steps, write_geojson
from napari_lungcls.inference.map_data import blocks
from napari_lungcls.inference.stores import open_store

if TYPE_CHECKING:
    from napari_lungcls.inference.map_data import MapData

BLOCK = 1024
"""Edge of the blocks, in cells, that are held at once."""

Progress = Callable[[int, int], None]
"""Takes the steps done and in all."""


def save_map(
    painted: MapData,
    path: Path,
    *,
    overwrite: bool,
    progress: Progress | None,
    cancelled: Callable[[], bool],
) -> Path | None:
    """Write a map; see `PaintedMap.save`."""
    try:
        if path.suffix.lower() == SUFFIX:
            tick = _Ticks(steps(painted.header), progress, cancelled)
            return write_geojson(painted, path, overwrite=overwrite, tick=tick)
        return _save_cells(painted, path, overwrite, progress, cancelled)
    except _Cancelled:
        return None


def _save_cells(
    painted: MapData,
    path: Path,
    overwrite: bool,
    progress: Progress | None,
    cancelled: Callable[[], bool],
) -> Path:
    store = open_store(path, painted.header, overwrite=overwrite)
    try:
        places = list(blocks(painted.header.shape, BLOCK))
        tick = _Ticks(len(places) + store.finishing_steps, progress, cancelled)
        for index, rows, columns in places:
            place = (*index, rows, columns)
            cells = None
            if painted.probabilities is not None:
                cells = np.asarray(painted.probabilities[(slice(None), *place)])
            store.write(index, rows, columns, np.asarray(painted.classes[place]), cells)
            tick()
        store.finish(tick)
    finally:
        store.abandon()
    return path


class _Cancelled(Exception):
    """Saving was cancelled."""


class _Ticks:
    """Counts steps, reports them, and ends the work when it is cancelled."""

    def __init__(
        self, total: int, progress: Progress | None, cancelled: Callable[[], bool]
    ) -> None:
        self._done, self._total = 0, total
        self._progress, self._cancelled = progress, cancelled
        self._report()

    def __call__(self) -> None:
        self._done += 1
        self._report()

    def _report(self) -> None:
        if self._cancelled():
            raise _Cancelled
        if self._progress is not None:
            self._progress(self._done, self._total)
