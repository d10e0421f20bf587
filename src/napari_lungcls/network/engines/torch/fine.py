"""Stem and detail, read where a map needs them: there are too many of their cells to keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_lungcls.network.engines.glass import Glass
from napari_lungcls.network.engines.interpolation import Taps
from napari_lungcls.network.engines.protocol import HALO, ReadGrid
from napari_lungcls.network.engines.torch.convolution import Layer
from napari_lungcls.network.engines.torch.execution import side_by_side
from napari_lungcls.network.engines.torch.heads import between
from napari_lungcls.network.engines.torch.net import Detail, folded_detail
from napari_lungcls.network.parameters import DETAIL_CHANNELS

PIECE = 2**12
"""Positions at which detail is read at once: what is computed for them fits a cache."""

AROUND = 2
"""Pixels that detail sees on each side: two 3 × 3 convolutions."""

PATCH = 2 * AROUND + 2
"""Edge of what two neighbouring pixels along each axis see."""

DENSE = 8
"""Pixels per position up to which detail is computed everywhere."""

Box = tuple[slice, slice]


@dataclass(frozen=True)
class StemPart:
    """The positions in one part of a tile at which the stem is read.

    Attributes
    ----------
    wanted
        Positions along y and x, in cells of the stem from the part's first on, and where the
        sums are added to.
    head
        `(summed, channels)`.
    """

    wanted: Sequence[tuple[NDArray[np.float64], NDArray[np.float64], Tensor]]
    head: Tensor

    @classmethod
    def of(
        cls, lattices: Sequence[ReadGrid], head: Tensor, box: Box, first: tuple[int, int]
    ) -> StemPart:
        """Choose what lies in a box of a tile's pixels, halo included.

        `first` is the pixel on which the first cell is centred.
        """
        wanted = []
        for lattice in lattices:
            sides = [side + HALO for side in (lattice.y, lattice.x)]
            ends = [
                np.searchsorted(side, (part.start, part.stop))
                for side, part in zip(sides, box, strict=True)
            ]
            y, x = (
                (side[slice(*end)] - start) / 2
                for side, end, start in zip(sides, ends, first, strict=True)
            )
            if len(y) and len(x):
                wanted.append((y, x, lattice.out[slice(*ends[0]), slice(*ends[1])]))
        return cls(wanted, head)

    def read(self, stem: Tensor, first: int, floor: Tensor) -> None:
        """Read rows of the stem, of which the last is also the next strip's first.

        Parameters
        ----------
        stem
            `(1, channels, rows, columns)`, as it is before the ReLU.
        first
            The first row.
        floor
            `(1, channels, 1, 1)` of the ReLU.
        """
        cells, least = stem[0].permute(1, 2, 0), floor.flatten()
        projected = None
        for y, x, out in self.wanted:
            some = slice(*np.searchsorted(y, (first, first + len(cells) - 1)))
            if some.start == some.stop:
                continue
            rows, columns = Taps.of(y[some] - first, len(cells)), Taps.of(x, cells.shape[1])
            if len(rows) * len(x) < cells.shape[0] * cells.shape[1]:
                out[some] += _picked(cells, rows, columns, least) @ self.head.T
                continue
            if projected is None:
                shown = torch.maximum(cells, least).float()
                projected = (shown.flatten(0, 1) @ self.head.T).view(*cells.shape[:2], -1)
            out[some] += between(projected, rows, columns)


class TorchDetail:
    """The detail branch, its BatchNorm folded.

    Parameters
    ----------
    detail
        As it was trained.
    head
        `(summed, channels)` what is made of it.
    device, dtype
        Where and in what precision it runs.
    """

    def __init__(
        self, detail: Detail, head: Tensor, device: torch.device, dtype: torch.dtype
    ) -> None:
        self._device, self._dtype, self._head = device, dtype, head
        fast = folded_detail(detail)
        self._layers = [Layer.of(each, device, dtype) for each in (fast.conv1, fast.conv2)]
        self._biases = [layer.bias.to(device, dtype) for layer in self._layers]
        # For the pixels that a square of six decides: 4 × 4 after the first layer, then 2 × 2.
        # In float32 row by row, for half of a whole square's matrix is 0; in a reduced
        # precision one large product takes less time.
        self._steps = []
        for conv, bias, edge in zip(
            (fast.conv1, fast.conv2), self._biases, (PATCH - 2, PATCH - 4), strict=True
        ):
            rows = 1 if dtype == torch.float32 else edge
            matrix = _as_matrix(conv.weight.detach().float().cpu(), rows, edge)
            self._steps.append((rows, matrix.to(device, dtype), bias.repeat(rows * edge)))

    def blank(self, colour: Tensor) -> Tensor:
        """Give what the heads make of glass of a normalised colour `(3,)`: `(summed,)`."""
        x = colour.double()
        for layer in self._layers:
            x = layer.even(x).clamp(min=0)
        return self._head @ x.float().to(self._device)

    def read(
        self,
        lattice: ReadGrid,
        pixels: NDArray[Any],
        scale: tuple[NDArray[np.float64], NDArray[np.float64]],
        glass: Glass,
    ) -> None:
        """Add detail to the positions of a lattice in a tile.

        Parameters
        ----------
        lattice
            The positions.
        pixels
            `(y, x, 3)`, halo included.
        scale
            Mean and standard deviation of the intensities.
        glass
            Where nothing is computed.
        """
        y, x = lattice.y + HALO, lattice.x + HALO
        seen, blank = None, None
        if glass.colour is not None:
            seen = glass.lattice(y, x, (AROUND, AROUND + 1))
            blank = self.blank(torch.from_numpy((glass.colour - scale[0]) / scale[1]))
        mean, std = (torch.tensor(each, dtype=torch.float32) for each in scale)
        shift = mean.to(self._device), (1 / std).to(self._device)

        def do(box: Box) -> None:
            out = lattice.out[box]
            there = None if seen is None else seen[box]
            if there is not None and there.all():
                there = None
            if there is not None and blank is not None:
                out += blank
            if there is not None and not there.any():
                return
            values = self._at(pixels, y[box[0]], x[box[1]], there, shift)
            found = values @ self._head.T
            if there is None or blank is None:
                out += found.view_as(out)
            else:
                flat = torch.zeros((there.size, out.shape[2]), device=self._device)
                at = torch.from_numpy(np.flatnonzero(there)).to(self._device)
                out += flat.index_copy_(0, at, found - blank).view_as(out)

        side_by_side(do, _pieces(len(y), len(x), self._device), self._device)

    def _at(
        self,
        pixels: NDArray[Any],
        y: NDArray[np.float64],
        x: NDArray[np.float64],
        there: NDArray[np.bool_] | None,
        shift: tuple[Tensor, Tensor],
    ) -> Tensor:
        """Compute detail at a grid of positions, or some of them: `(n, channels)`."""
        rows, columns = (Taps.of(s, n) for s, n in zip((y, x), pixels.shape, strict=False))
        # What all of them see together.
        window = tuple(
            slice(int(taps.first[0]) - AROUND, int(taps.first[-1]) + AROUND + 2)
            for taps in (rows, columns)
        )
        inside = np.require(pixels[window], requirements=["C", "W"])
        values = torch.from_numpy(inside).to(self._device, torch.float32, copy=True)
        values = values.sub_(shift[0]).mul_(shift[1])
        rows, columns = (
            taps.part(slice(None), side.start)
            for taps, side in zip((rows, columns), window, strict=True)
        )
        pixels_each = values.shape[0] * values.shape[1] / (len(y) * len(x))
        if pixels_each <= DENSE or not bool(values.sum().isfinite()):
            return self._everywhere(values, rows, columns, there)
        return self._patches(values, rows, columns, there)

    def _everywhere(
        self, values: Tensor, rows: Taps, columns: Taps, there: NDArray[np.bool_] | None
    ) -> Tensor:
        """Compute all pixels, and read between them."""
        image = values.permute(2, 0, 1).unsqueeze(0).to(self._dtype)
        for layer, bias in zip(self._layers, self._biases, strict=True):
            image = layer.convolve(image, bias).clamp_(min=0)
        every = slice(None)
        rows, columns = rows.part(every, AROUND), columns.part(every, AROUND)
        cells = image[0].permute(1, 2, 0).float()
        found = between(cells, rows, columns).flatten(0, 1)
        if there is None:
            return found
        return found[torch.from_numpy(np.flatnonzero(there)).to(self._device)]

    def _patches(
        self, values: Tensor, rows: Taps, columns: Taps, there: NDArray[np.bool_] | None
    ) -> Tensor:
        """Compute the four pixels around each position only, as products of matrices."""
        row, pixel, _ = values.stride()
        # Every square of six pixels, row by row.
        shape = (values.shape[0] - PATCH + 1, values.shape[1] - PATCH + 1, PATCH, PATCH * 3)
        squares = values.as_strided(shape, (row, pixel, row, 1))
        top, left = rows.first - AROUND, columns.first - AROUND
        down, across = (torch.from_numpy(t.share).to(self._device) for t in (rows, columns))
        if there is None:
            steps = [_even(side) for side in (top, left)]
            if steps[0] is not None and steps[1] is not None:
                patches = squares[steps[0], steps[1]]
            else:
                at = (torch.from_numpy(side).to(self._device) for side in (top, left))
                first, second = at
                patches = squares[first[:, None], second]
            lower = down.repeat_interleave(len(across))[:, None]
            right = across.repeat(len(down))[:, None]
        else:
            i, j = (torch.from_numpy(k).to(self._device) for k in np.nonzero(there))
            first, second = (torch.from_numpy(side).to(self._device) for side in (top, left))
            patches = squares[first[i], second[j]]
            lower, right = down[i, None], across[j, None]
        x = patches.reshape(-1, PATCH * PATCH * 3).to(self._dtype)
        width = PATCH * 3
        for rows_each, matrix, bias in self._steps:
            count = (x.shape[1] // width - 2) // rows_each
            y = x.new_empty((len(x), count * len(bias)))
            for k in range(count):
                some = x[:, k * width : k * width + len(matrix)]
                torch.addmm(bias, some, matrix, out=y[:, k * len(bias) : (k + 1) * len(bias)])
            x, width = y.clamp_(min=0), len(bias) // rows_each
        a, b, d, e = x.float().view(len(x), 4, DETAIL_CHANNELS).unbind(1)
        return torch.lerp(torch.lerp(a, b, right), torch.lerp(d, e, right), lower)


def _picked(cells: Tensor, rows: Taps, columns: Taps, floor: Tensor) -> Tensor:
    """Read `(n, m, channels)` between few of many cells, after a ReLU with some floor."""
    width = cells.shape[1]
    flat = cells.flatten(0, 1)
    place = [torch.from_numpy(t).to(cells.device) for t in (rows.first, rows.second)]
    beside = [torch.from_numpy(t).to(cells.device) for t in (columns.first, columns.second)]
    shape = (len(rows), len(columns), cells.shape[2])
    across = torch.from_numpy(columns.share).to(cells.device)[:, None]
    across = across.expand(-1, shape[2]).contiguous()
    down = torch.from_numpy(rows.share).to(cells.device)[:, None, None]

    def corner(y: Tensor, x: Tensor) -> Tensor:
        found = flat.index_select(0, (y[:, None] * width + x).flatten())
        return torch.maximum(found, floor, out=found).float().view(shape)

    upper = corner(place[0], beside[0]).lerp_(corner(place[0], beside[1]), across)
    lower = corner(place[1], beside[0]).lerp_(corner(place[1], beside[1]), across)
    found = upper.lerp_(lower, down)
    if bool(found.sum().isfinite()):
        return found
    return between(torch.maximum(cells, floor).float(), rows, columns)


def _as_matrix(weight: Tensor, rows: int, columns: int) -> Tensor:
    """Write a 3 × 3 convolution that makes so many rows and columns as a matrix.

    Returns
    -------
    Tensor, ((rows + 2) · (columns + 2) · inputs, rows · columns · outputs)
    """
    outputs, inputs = weight.shape[:2]
    matrix = torch.zeros((rows + 2, columns + 2, inputs, rows, columns, outputs))
    for row, column in np.ndindex(rows, columns):
        taps = weight.permute(2, 3, 1, 0)
        matrix[row : row + 3, column : column + 3, :, row, column] = taps
    return matrix.reshape((rows + 2) * (columns + 2) * inputs, rows * columns * outputs)


def _even(places: NDArray[np.int64]) -> slice | None:
    """Give a slice that stands for places at equal distances, None where there is none."""
    if len(places) == 1:
        return slice(int(places[0]), int(places[0]) + 1)
    steps = np.diff(places)
    if steps[0] < 1 or (steps != steps[0]).any():
        return None
    return slice(int(places[0]), int(places[-1]) + 1, int(steps[0]))


def _pieces(rows: int, columns: int, device: torch.device) -> list[Box]:
    """Cut a grid of positions into pieces."""
    most = PIECE if device.type == "cpu" else 2**20
    across = min(columns, int(most**0.5) * 4)
    down = max(1, most // across)
    return [
        (slice(i, min(i + down, rows)), slice(j, min(j + across, columns)))
        for i in range(0, rows, down)
        for j in range(0, columns, across)
    ]
