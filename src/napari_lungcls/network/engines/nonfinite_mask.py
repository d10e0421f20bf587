"""Which cells see NaN or infinity, for libraries whose layers do not propagate NaN.

A convolution turns everything that sees a NaN into NaN, but MXNet's ReLU and pooling on the CPU
turn NaN into 0, so a hole in an image would be painted as if it were tissue. Here the same cells
are found from the receptive fields.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.images.geometry import STAGE_STRIDES, cell_count
from napari_lungcls.network.engines.interpolation import corners
from napari_lungcls.network.engines.receptive_field import Ends, sees_any, stage_radius
from napari_lungcls.network.parameters import DETAIL
from napari_lungcls.network.spec import NetworkSpec
from napari_lungcls.network.tiles import Tiles

Bools = NDArray[np.bool_]


def is_holed(pixels: NDArray[Any]) -> bool:
    """Whether any intensity is NaN or infinite."""
    return pixels.dtype.kind == "f" and not np.isfinite(pixels).all()


def filled(pixels: NDArray[Any]) -> NDArray[Any]:
    """Replace every NaN and infinity by 0."""
    return np.where(np.isfinite(pixels), pixels, 0) if is_holed(pixels) else pixels


def blind_points(spec: NetworkSpec, tiles: Tiles) -> dict[int, Bools]:
    """Find the points that read a cell that sees NaN or infinity.

    Returns
    -------
    dict
        Per stage `(m, zooms)`; detail has one zoom. Empty where no point does.
    """
    if not is_holed(tiles.pixels):
        return {}
    finite = np.isfinite(tiles.pixels).all(axis=(1, 2, 3, 4))
    found = {}
    for stage in spec.stages:
        count = 1 if stage == DETAIL else len(spec.zooms)
        blind = np.zeros((len(tiles), count), np.bool_)
        for tile in np.flatnonzero(~finite):
            inside = np.flatnonzero(tiles.owner == tile)
            for zoom in range(count):
                cells = blind_cells(tiles.pixels[tile, zoom], stage)
                if spec.pooling == "mean":
                    blind[inside, zoom] = cells.any()
                    continue
                at = tiles.places[inside, zoom] / STAGE_STRIDES[stage]
                four = corners(np.zeros(len(inside), np.intp), at, *cells.shape)
                # As in a sum, where no number times 0 is none.
                blind[inside, zoom] = cells.ravel()[four.index].any(axis=0)
        found[stage] = blind
    return found


def blind_cells(tile: NDArray[Any], stage: int) -> Bools:
    """Find the cells of a stage that see NaN or infinity in the tile `(y, x, 3)`.

    Returns
    -------
    ndarray of bool, (rows, columns)
    """
    wrong = ~np.isfinite(tile).all(axis=2)
    rows, columns = (_seen(length, stage) for length in wrong.shape)
    return sees_any(wrong, rows, columns)


def _seen(length: int, stage: int) -> Ends:
    """Return the ends of what each cell along an axis sees."""
    stride, radius = STAGE_STRIDES[stage], stage_radius(stage)
    centres = stride * np.arange(cell_count(length, stride))
    return np.maximum(centres - radius, 0), np.minimum(centres + radius + 1, length)
