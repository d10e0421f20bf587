"""Which cells are read at a point or along an axis, and with what shares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float32]


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


@dataclass(frozen=True, eq=False)
class Taps:
    """Linear interpolation along one axis: two cells for every position.

    Attributes
    ----------
    first, second
        `(n,)` int64: the cells.
    share
        `(n,)` float32: how much of the second.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    share: Floats

    @classmethod
    def of(cls, position: ArrayLike, count: int) -> Taps:
        """Find the cells beside positions in units of cells; beyond the ends they are held."""
        where = np.clip(np.asarray(position, np.float64), 0, count - 1)
        first = np.minimum(np.floor(where), max(count - 2, 0)).astype(np.int64)
        second = np.minimum(first + 1, count - 1)
        return cls(first, second, (where - first).astype(np.float32))

    def __len__(self) -> int:
        """Count the positions."""
        return len(self.first)

    def part(self, some: slice, start: int = 0) -> Taps:
        """Take some positions, in an array that begins with the cell `start`."""
        return Taps(self.first[some] - start, self.second[some] - start, self.share[some])

    @property
    def are_cells(self) -> bool:
        """Whether every position is a cell."""
        return not self.share.any()


Weights = Taps | Floats
"""How an axis is read: interpolated, or by a matrix `(positions, cells)`."""


def part_of(weights: Weights, some: slice) -> Weights:
    """Take the weights of some positions."""
    return weights.part(some) if isinstance(weights, Taps) else weights[some]
