"""Cells of a stage, row by row, so that those of blank glass need not be computed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_lungcls.network.engines.rectangles import Bools

Numbers = NDArray[np.int32]


@dataclass(frozen=True)
class Cells:
    """A tile's cells of one stage, of which the blank ones share one row.

    Attributes
    ----------
    values
        `(n + 1, channels)`; the last row is 0, as blank glass is.
    numbers
        `(rows, columns)` the row of each cell.
    """

    values: Tensor
    numbers: Numbers

    def around(self, seen: Bools, kernel: int, stride: int) -> Neighbours:
        """Find the rows that a convolution reads.

        Parameters
        ----------
        seen
            `(rows, columns)` the cells that it makes.
        kernel, stride
            Its own. Past the tile's end there is more glass.
        """
        numbers = np.pad(self.numbers, kernel // 2, constant_values=len(self.values) - 1)
        width = numbers.shape[1]
        first = stride * _places(seen.shape, width)[seen]
        taps = _places((kernel, kernel), width).ravel()
        device = self.values.device
        return Neighbours(
            *(torch.from_numpy(each).to(device) for each in (numbers.ravel(), first, taps))
        )


@dataclass(frozen=True)
class Neighbours:
    """The rows that a convolution reads for each cell it makes.

    They are looked up piece by piece, by the core that needs them.

    Attributes
    ----------
    numbers
        `(m,)` int32: the row of each cell of a tile with a margin.
    first
        `(n,)` int32: where among these the convolution begins for each cell.
    taps
        `(kernel²,)` int32: how far from there it reads, row by row of the kernel.
    """

    numbers: Tensor
    first: Tensor
    taps: Tensor

    def __len__(self) -> int:
        """Count the cells that are made."""
        return len(self.first)

    def of(self, piece: slice) -> Tensor:
        """Give the rows for some cells, `(n, kernel²)`, int32."""
        return self._at(self.first[piece, None] + self.taps)

    def middle(self, piece: slice) -> Tensor:
        """Give for some cells the row on which the kernel is centred, `(n, 1)`, int32."""
        return self._at(self.first[piece, None] + self.taps[len(self.taps) // 2])

    def _at(self, places: Tensor) -> Tensor:
        return self.numbers.index_select(0, places.flatten()).view(places.shape)


def _places(shape: tuple[int, ...], width: int) -> Numbers:
    """Count the places of a corner `(rows, columns)` in a table that is so wide."""
    down, across = (np.arange(n, dtype=np.int32) for n in shape)
    return down[:, np.newaxis] * np.int32(width) + across


def all_of(values: Tensor, seen: Bools) -> Cells:
    """Take rows, one for each cell of a tile and one more, of which some cells are not blank."""
    numbers = np.arange(seen.size, dtype=np.int32).reshape(seen.shape)
    values[-1] = 0
    return Cells(values, np.where(seen, numbers, np.int32(seen.size)))


def numbered(values: Tensor, seen: Bools) -> Cells:
    """Take rows for the cells that are not blank, in their order, and one more."""
    values[-1] = 0
    numbers = np.full(seen.shape, len(values) - 1, np.int32)
    numbers[seen] = np.arange(len(values) - 1, dtype=np.int32)
    return Cells(values, numbers)
