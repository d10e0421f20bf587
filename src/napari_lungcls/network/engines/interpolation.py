"""Which cells are read at a point, and with what shares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Corners:
    """The four cells around each of `p` points; two or four of them are one at the edge.

    Attributes
    ----------
    index
        `(4, p)` int32 numbers of cells in maps `(images, rows, columns)` laid out flat.
    shares
        `(4, p)` float32, adding up to 1 for each point.
    """

    index: NDArray[np.int32]
    shares: NDArray[np.float32]


def corners(image: NDArray[np.intp], at: NDArray[np.float64], rows: int, columns: int) -> Corners:
    """Prepare bilinear interpolation.

    Parameters
    ----------
    image
        `(p,)` number of the map in which each point lies.
    at
        `(p, 2)` `(y, x)` in cells, 0 at the centre of the first; beyond the ends they are held.
    rows, columns
        Cells of each map.
    """
    last = np.array([rows - 1, columns - 1])
    held = np.clip(at, 0, last)
    first = np.minimum(held.astype(np.int64), np.maximum(last - 1, 0))
    (y, x), (b, a) = first.T, (held - first).T
    below, right = np.minimum(first + 1, last).T
    index = [
        (image * rows + row) * columns + column
        for row, column in ((y, x), (y, right), (below, x), (below, right))
    ]
    shares = [(1 - b) * (1 - a), (1 - b) * a, b * (1 - a), b * a]
    return Corners(np.stack(index).astype(np.int32), np.stack(shares).astype(np.float32))


def images_of(owner: NDArray[np.intp], zooms: int) -> NDArray[np.intp]:
    """Give each point's images `(m · zooms,)`, where tiles and zooms are laid out as one axis."""
    found: NDArray[np.intp] = (owner[:, np.newaxis] * zooms + np.arange(zooms)).ravel()
    return found
