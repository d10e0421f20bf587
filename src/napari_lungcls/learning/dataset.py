"""Labelled points with the squares of level pixels around them, ready for training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.imaging.geometry import window_start
from napari_lungcls.imaging.levels import BlockCache
from napari_lungcls.imaging.stack import ImageStack, stack_dtype
from napari_lungcls.imaging.windows import batches, plane_indices, read_windows
from napari_lungcls.learning.augmentation import reach
from napari_lungcls.learning.layout import Layout, Pair
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.memory import scratch


@dataclass(frozen=True)
class PointSet:
    """Points of one or several images with the pixels around them; see `Examples`.

    Attributes
    ----------
    layout
        Where they lie, and their classes.
    squares
        `(n, zooms, c, c, 3)` level pixels around each point.
    places
        `(n, zooms, 2)` where in its square each point lies.
    """

    layout: Layout
    squares: NDArray[Any]
    places: NDArray[np.float64]
    run_length: int = 1

    def __len__(self) -> int:
        """Count the points."""
        return len(self.layout)

    @property
    def codes(self) -> NDArray[np.int64]:
        """`(n,)` classes."""
        return self.layout.codes

    def around(self, rows: NDArray[np.intp]) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Give the squares from which training windows are sampled."""
        return self.squares[rows], self.places[rows]

    def centred(
        self, rows: NDArray[np.intp], window: int
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Cut windows without turn or shift, as `read_windows` gives them.

        Returns
        -------
        windows : ndarray, (m, zooms, window, window, 3)
        places : ndarray, (m, zooms, 2)
        """
        places = self.places[rows]
        first = window_start(places, window)
        zooms = places.shape[1]
        windows = np.empty((len(rows), zooms, window, window, 3), self.squares.dtype)
        for i, row in enumerate(rows):
            for k in range(zooms):
                y, x = first[i, k]
                windows[i, k] = self.squares[row, k, y : y + window, x : x + window]
        return windows, places - first


def read_point_set(
    pairs: Sequence[Pair],
    layout: Layout,
    settings: TrainingSettings,
) -> Iterator[tuple[int, int] | PointSet]:
    """Read the squares around all points.

    Yields
    ------
    tuple of int, then PointSet
        Points read and points in all, after every batch; the set itself last.

    Raises
    ------
    InputError
        When intensities are not finite.
    """
    n, edge = len(layout), 2 * reach(settings) + 2
    shape = (n, len(settings.zooms), edge, edge, 3)
    squares = scratch(
        shape, stack_dtype(pairs[0][0].dtype), "free space there, or use fewer points"
    )
    places = np.empty((n, len(settings.zooms), 2))
    done = 0
    for (stack, points), zooms in zip(pairs, layout.effective, strict=True):
        cache = BlockCache()
        ordered = _reading_order(plane_indices(stack, points.coordinates), points.coordinates)
        for part in batches(len(ordered), 256):
            rows = ordered[part]
            windows, where = read_windows(stack, points.coordinates[rows], zooms, edge, cache=cache)
            _check_finite(windows, stack)
            squares[done + rows] = windows
            places[done + rows] = where
            yield done + part.stop, n
        done += len(points)
    yield PointSet(layout, squares, places)


def _reading_order(planes: NDArray[np.int64], coordinates: NDArray[np.float64]) -> NDArray[np.intp]:
    """Order points so that a batch needs few planes and few blocks of them."""
    coarse = coordinates[:, -2:] // 2048
    order: NDArray[np.intp] = np.lexsort((coarse[:, 1], coarse[:, 0], *planes.T[::-1]))
    return order


def _check_finite(windows: NDArray[Any], stack: ImageStack) -> None:
    if windows.dtype.kind == "f" and not np.isfinite(windows).all():
        raise InputError(
            f"{stack.source} holds NaN or infinite values near the points; fill them first, "
            "for example with the background's intensity"
        )
