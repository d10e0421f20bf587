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

    def around(self, seen: Bools, kernel: int, stride: int) -> Tensor:
        """Find the rows that a convolution reads.

        Parameters
        ----------
        seen
            `(rows, columns)` the cells that it makes.
        kernel, stride
            Its own. Past the tile's end there is more glass.

        Returns
        -------
        Tensor of int32, (n, kernel²)
            On the device, row by row of the kernel.
        """
        margin = kernel // 2
        blank = len(self.values) - 1
        numbers = np.pad(self.numbers, margin, constant_values=blank)
        rows, columns = (stride * at for at in np.nonzero(seen))
        first = rows * numbers.shape[1] + columns
        y, x = np.mgrid[:kernel, :kernel]
        taps = (y * numbers.shape[1] + x).ravel()
        found = numbers.ravel()[first[:, np.newaxis] + taps]
        return torch.from_numpy(found).to(self.values.device)


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
