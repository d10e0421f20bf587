"""The outlines of the cells of a class, as valid polygons with holes."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

Corners = NDArray[np.int64]
"""Ends of straight pieces of outline, `(n, 2, 2)`: first and last, each `(x, y)`."""


def polygons(mask: NDArray[np.bool_]) -> list[shapely.Polygon]:
    """Outline the cells that are set; each polygon is one region joined by edges.

    Parameters
    ----------
    mask
        `(h, w)`.

    Returns
    -------
    list of Polygon
        In units of cells, `(x, y)`, from the corner of the first cell. Their areas add up
        to the number of cells. Regions that only touch at a corner are two polygons.
    """
    lines = _outline(mask)
    if not len(lines):
        return []
    faces = shapely.get_parts(shapely.polygonize(shapely.linestrings(lines)))
    x, y = _first_cells(faces)
    # The faces between the lines are regions and the holes in them.
    return list(faces[mask[y, x]])


def _outline(mask: NDArray[np.bool_]) -> Corners:
    """Give all straight pieces of outline, from one corner to the next."""
    padded = np.pad(mask, 1)
    across = padded[1:] != padded[:-1]
    down = padded[:, 1:] != padded[:, :-1]
    # A line of cell borders crosses another at a corner; there both are cut.
    corner = (across[:, 1:] | across[:, :-1]) & (down[1:] | down[:-1])
    rows = _pieces(across[:, 1:-1], corner)
    columns = _pieces(down[1:-1].T, corner.T)
    return np.concatenate([rows, columns[..., ::-1]])


def _pieces(borders: NDArray[np.bool_], corner: NDArray[np.bool_]) -> Corners:
    """Join the borders along each line to pieces that end at corners."""
    first = np.argwhere(borders & corner[:, :-1])
    last = np.argwhere(borders & corner[:, 1:])
    last[:, 1] += 1
    return np.stack([first, last], axis=1)[..., ::-1]


def _first_cells(faces: NDArray[np.object_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give a cell inside each polygon, `x` and `y`: below its uppermost, leftmost corner."""
    ends, owner = shapely.get_coordinates(shapely.get_exterior_ring(faces), return_index=True)
    order = np.lexsort((ends[:, 0], ends[:, 1], owner))
    _, first = np.unique(owner[order], return_index=True)
    x, y = ends[order[first]].astype(np.int64).T
    return x, y
