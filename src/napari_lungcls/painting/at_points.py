"""What a painted map says at points: the figures that a map deserves, not its windows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.imaging.geometry import map_cell
from napari_lungcls.imaging.stack import ImageStack
from napari_lungcls.imaging.windows import check_inside, plane_indices
from napari_lungcls.network.document import ModelDocument
from napari_lungcls.network.engines import Engine
from napari_lungcls.network.fitting import check_image
from napari_lungcls.painting.grid import MapGrid
from napari_lungcls.painting.painter import Painter


def painted_at_points(
    engine: Engine,
    document: ModelDocument,
    stack: ImageStack,
    coordinates: NDArray[np.float64],
    *,
    stride: int,
    points: str = "the points",
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """Paint the blocks that hold points, and read the cell under each point.

    Parameters
    ----------
    engine, document
        The network and what its model file says about it.
    stack
        The image.
    coordinates
        `(n, ndim)` positions `(…, y, x)` in pixels.
    stride
        Image pixels between cells.
    points
        What to call them in messages.

    Yields
    ------
    rows : ndarray of int
        Which points.
    probabilities : ndarray, (m, classes), float32
        Those of the cells, exactly as `run_painting` over the whole image writes them.

    Raises
    ------
    InputError
        When points lie outside, model and image do not go together, or the cell of a point
        is not painted because it sees intensities that are no numbers.
    """
    check_inside(stack, coordinates, points)
    grid = MapGrid.over(stack, stride)
    zooms = check_image(stack, document)
    painter = Painter(
        engine.painting(),
        engine.spec,
        zooms,
        temperature=document.temperature,
        threshold=document.threshold,
    )
    planes = plane_indices(stack, coordinates)
    cells = np.clip(map_cell(coordinates[:, -2:], stride), 0, np.asarray(grid.shape[-2:]) - 1)
    for block in grid.blocks():
        inside = (
            np.all(planes == np.asarray(block.index, np.int64), axis=1)
            & (cells[:, 0] >= block.rows.start)
            & (cells[:, 0] < block.rows.stop)
            & (cells[:, 1] >= block.columns.start)
            & (cells[:, 1] < block.columns.stop)
        )
        rows = np.flatnonzero(inside)
        if not len(rows):
            continue
        classes, odds = painter.block(grid, block)
        assert odds is not None
        y, x = cells[rows, 0] - block.rows.start, cells[rows, 1] - block.columns.start
        if (blind := np.flatnonzero(classes[y, x] == 0)).size:
            raise InputError(
                f"{points}: the cell of point {rows[blind[0]] + 1} sees NaN or infinite values "
                f"of {stack.source}; fill them, or remove the point"
            )
        yield rows, odds[:, y, x].T.astype(np.float32)
