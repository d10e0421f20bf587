"""Cells of a map that are left empty though they could be painted, such as those on bare glass."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.images.geometry import middle_pixels
from napari_lungcls.images.tissue import WithoutGlass
from napari_lungcls.inference.damage import Painted
from napari_lungcls.inference.grid import MapGrid
from napari_lungcls.inference.map_data import Block

Kept = Callable[[Block], NDArray[np.bool_]]
"""Tells which cells of a block, `(h, w)`, are painted."""


def cell_middles(grid: MapGrid, block: Block) -> NDArray[np.int64]:
    """Give the image pixels `(h, w, 2)` in the middle of a block's cells."""
    y, x = (
        np.minimum(part.start + middle_pixels(side.start, side.stop, grid.stride), size - 1)
        for part, side, size in (
            (grid.rows, block.rows, grid.stack.plane_shape[0]),
            (grid.columns, block.columns, grid.stack.plane_shape[1]),
        )
    )
    return np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1).astype(np.int64)


def without_glass(grid: MapGrid) -> Kept:
    """Keep all cells but those on bare glass around the tissue; see `images.tissue`."""
    mask = WithoutGlass(grid.stack)

    def kept(block: Block) -> NDArray[np.bool_]:
        pixels = cell_middles(grid, block)
        inside = mask.inside(grid.image_plane(block.index), pixels.reshape(-1, 2))
        return inside.reshape(pixels.shape[:2])

    return kept


def leave_out(cells: Painted, kept: NDArray[np.bool_]) -> None:
    """Take back what was painted on cells of a block that are not kept."""
    classes, probabilities = cells
    classes[~kept] = 0
    if probabilities is not None:
        probabilities[:, ~kept] = 0
