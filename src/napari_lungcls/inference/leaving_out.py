"""Cells of a map that are left empty though they could be painted, such as those on bare glass."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.images.geometry import middle_pixels
from napari_lungcls.images.tissue import WithoutGlass
from napari_lungcls.inference.damage import BlockReport, Painted, paint_readable
from napari_lungcls.inference.grid import MapGrid
from napari_lungcls.inference.map_data import Block

if TYPE_CHECKING:
    from napari_lungcls.images.masks import Mask

GLASS = "bare glass"
"""What cells lie on that are left out because there is no tissue."""


@dataclass(frozen=True, eq=False)
class KeptCells:
    """Tells which cells of a map are painted: those inside of all masks.

    Attributes
    ----------
    grid
        The cells.
    masks
        Parts of the image that alone are painted, by what lies outside of each.
    left_out
        Which of these left cells out so far, and how many.
    """

    grid: MapGrid
    masks: Mapping[str, Mask]
    left_out: Counter[str] = field(default_factory=Counter)

    def __call__(self, block: Block) -> NDArray[np.bool_]:
        """Tell which cells `(h, w)` of a block lie inside, by their middle pixels."""
        plane = self.grid.image_plane(block.index)
        middles = cell_middles(self.grid, block)
        pixels = middles.reshape(-1, 2)
        found = np.ones(len(pixels), bool)
        for outside, mask in self.masks.items():
            before = int(np.count_nonzero(found))
            found &= mask.inside(plane, pixels)
            self.left_out[outside] += before - int(np.count_nonzero(found))
        return found.reshape(middles.shape[:2])


def kept_cells(grid: MapGrid, within: Mask | None, *, no_glass: bool) -> KeptCells | None:
    """Keep the cells inside a mask, or those that lie on no bare glass, or both; None for all."""
    masks: dict[str, Mask] = {}
    if within is not None:
        masks[f"outside of {within.description}"] = within
    if no_glass:
        masks[GLASS] = WithoutGlass(grid.stack)
    return KeptCells(grid, masks) if masks else None


def open_within(within: Mask | str | os.PathLike[str] | None, grid: MapGrid) -> Mask | None:
    """Open what alone is painted, unless it is a mask already.

    Raises
    ------
    InputError
        When the file cannot be read, or does not fit the image.
    """
    if not isinstance(within, str | os.PathLike):
        return within
    # Here, as windows open without it.
    from napari_lungcls.images.masks import mask_from_file
    from napari_lungcls.inference.formats import is_map

    if is_map(Path(within)):
        raise InputError(
            f"{within}: is a painted map; give polygons, or an image in which all but 0 is inside",
            setting="within",
        )
    return mask_from_file(within, grid.stack.shape, "within")


def hash_of_cells(grid: MapGrid, within: Mask) -> str:
    """Hash which cells of a map lie inside a mask, whatever kind of file it is from."""
    kept, found = KeptCells(grid, {"": within}), hashlib.sha256()
    for block in grid.blocks():
        found.update(np.packbits(kept(block)).tobytes())
    return found.hexdigest()


def paint_kept(
    paint: Callable[[Block, bool], Painted], block: Block, stride: int, kept: KeptCells | None
) -> tuple[Painted, BlockReport]:
    """Paint the cells of a block that are kept; see `paint_readable`.

    A block without any is not computed, and nothing of the image is read for it.

    Parameters
    ----------
    paint, block, stride
        As there.
    kept
        Tells which are; all if not given.
    """
    inside = None if kept is None else kept(block)
    if inside is not None and not inside.any():
        return (np.zeros(inside.shape, np.uint8), None), BlockReport({}, 0, seen=False)
    cells, damage = paint_readable(paint, block, stride)
    report = BlockReport.of(cells[0], damage)
    return cells if inside is None else leave_out(cells, inside), report


def leave_out(cells: Painted, kept: NDArray[np.bool_]) -> Painted:
    """Return the cells of a block with 0 where they are not kept."""
    classes, probabilities = cells
    if probabilities is not None:
        probabilities = np.where(kept, probabilities, np.float16(0))
    return np.where(kept, classes, np.uint8(0)), probabilities


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
