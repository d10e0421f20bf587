"""ResNet-18 as it is painted: layers that give 0 for blank glass, and skip it where they can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from napari_lungcls.network.engines.rectangles import Bools, Edges
from napari_lungcls.network.engines.torch.convolution import MULTIPLE, Layer
from napari_lungcls.network.engines.torch.execution import Memory, in_pieces
from napari_lungcls.network.engines.torch.net import Backbone, BasicBlock, folded

Numbers = NDArray[np.int32]


@dataclass(frozen=True)
class SparseCells:
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


def all_of(values: Tensor, seen: Bools) -> SparseCells:
    """Take rows, one for each cell of a tile and one more, of which some cells are not blank."""
    numbers = np.arange(seen.size, dtype=np.int32).reshape(seen.shape)
    values[-1] = 0
    return SparseCells(values, np.where(seen, numbers, np.int32(seen.size)))


def numbered(values: Tensor, seen: Bools) -> SparseCells:
    """Take rows for the cells that are not blank, in their order, and one more."""
    values[-1] = 0
    numbers = np.full(seen.shape, len(values) - 1, np.int32)
    numbers[seen] = np.arange(len(values) - 1, dtype=np.int32)
    return SparseCells(values, numbers)


STRIP = 40
"""Rows of the pool that are computed at once."""

ReadStem = Callable[[Tensor, int, Tensor], None]
"""Reads rows of the stem before its ReLU; see `fine.StemPart.read`."""


@dataclass(frozen=True)
class Shift:
    """What moves one layer's values so that blank glass gives 0.

    Attributes
    ----------
    bias
        `(channels,)` what the convolution adds.
    floor
        `(1, channels, 1, 1)` what takes the place of 0 in the ReLU.
    """

    bias: Tensor
    floor: Tensor


@dataclass(frozen=True)
class Blank:
    """A backbone's answer to glass of one colour.

    Attributes
    ----------
    shifts
        One per ReLU, in the order of the layers.
    cells
        Stem (0) and layers: `(channels,)`, what every cell holds.
    """

    shifts: tuple[Shift, ...]
    cells: dict[int, Tensor]

    def of(self, stage: int) -> tuple[tuple[Shift, Shift], ...]:
        """Give the shifts of a stage's blocks."""
        first = 4 * stage - 3
        one, two, three, four = self.shifts[first : first + 4]
        return (one, two), (three, four)


class ShiftedBackbone:
    """The folded backbone over values of which those of blank glass have been taken away.

    Zeros past an edge then stand for more of the same glass, whatever its colour: a piece of
    tissue can be cut out of the glass around it, and nothing is felt of the cut.

    Parameters
    ----------
    backbone
        The backbone as it was trained.
    device, dtype
        Where and in what precision it runs.

    Notes
    -----
    With `x = x₀ + d`, where `x₀` is what the glass gives, a convolution followed by a ReLU is
    `max(W·d + p, 0)` with `p = W·x₀ + b`. Its answer to glass is `max(p, 0)`; without that it
    is `max(W·d + min(p, 0), −max(p, 0))`.
    """

    def __init__(self, backbone: Backbone, device: torch.device, dtype: torch.dtype) -> None:
        self.stages = backbone.stages
        self._device, self._dtype = device, dtype
        fast = folded(backbone)
        self._stem = Layer.of(fast.conv1, device, dtype)
        self._blocks = {
            stage: [
                _Block.of(block, device, dtype)
                for block in getattr(fast, f"layer{stage}")
                if isinstance(block, BasicBlock)
            ]
            for stage in self.stages
        }

    def plain(self) -> Blank:
        """Shift nothing: past the edges there are zeros, as in the backbone itself."""
        layers = [self._stem]
        cells = {0: torch.zeros(len(self._stem.bias), device=self._device)}
        for stage in self.stages:
            for block in self._blocks[stage]:
                layers += [block.first, block.second]
            cells[stage] = torch.zeros(len(layers[-1].bias), device=self._device)
        biases = [layer.bias for layer in layers]
        for stage in self.stages[1:]:
            shortcut = self._blocks[stage][0].shortcut
            assert shortcut is not None
            biases[4 * stage - 2] = biases[4 * stage - 2] + shortcut.bias
        return Blank(tuple(self._shift(bias, torch.zeros_like(bias)) for bias in biases), cells)

    def blank(self, colour: Tensor) -> Blank:
        """Follow glass of one normalised colour `(3,)` through the layers."""
        before = self._stem.even(colour.double())
        x = before.clamp(min=0)
        cells = {0: x.float().to(self._device)}
        shifts = [self._shift(before.clamp(max=0), x)]
        for stage in self.stages:
            for block in self._blocks[stage]:
                before = block.first.even(x)
                middle = before.clamp(min=0)
                shifts.append(self._shift(before.clamp(max=0), middle))
                before = block.second.even(middle)
                before += x if block.shortcut is None else block.shortcut.even(x)
                x = before.clamp(min=0)
                shifts.append(self._shift(before.clamp(max=0), x))
            cells[stage] = x.float().to(self._device)
        return Blank(tuple(shifts), cells)

    def first(self, x: Tensor, blank: Blank, edges: Edges, read: ReadStem | None = None) -> Tensor:
        """Compute layer1 of a part of a tile.

        Parameters
        ----------
        x
            `(1, 3, y, x)`; within the tile with 21 pixels more than wanted before and 18
            behind it.
        blank
            The shifts.
        edges
            Whether the tile ends at the part's left, right, upper and lower side.
        read
            Reads the stem.
        """
        x = self._pooled(_padded(x, edges, 3), blank, edges, read)
        for block, (middle, last) in zip(self._blocks[1], blank.of(1), strict=True):
            x = block.run(x, middle, last, edges)
        return x

    def stem(self, x: Tensor, blank: Blank, read: ReadStem | None = None) -> Tensor:
        """Compute the pooled stem of `(1, 3, y, x)` with 5 pixels more before and 4 behind it."""
        return self._pooled(x, blank, (False, False, False, False), read)

    def _pooled(self, x: Tensor, blank: Blank, edges: Edges, read: ReadStem | None) -> Tensor:
        """Compute the stem, strip by strip: before the pool it would take much memory."""
        top, bottom = edges[2:]
        found = []
        height = (x.shape[2] - 7) // 2 + 1
        count = (height + top + bottom - 3) // 2 + 1
        for start in range(0, count, STRIP):
            stop = min(start + STRIP, count)
            # A row of the pool sees three of the stem's, each of which sees seven.
            first, last = max(2 * start - top, 0), min(2 * stop - top, height - 1)
            if stop == count:  # one cell more may be wanted between two parts
                last = height - 1
            y = self._stem.convolve(x[:, :, 2 * first : 2 * last + 7], blank.shifts[0].bias)
            if read is not None:
                read(y, first, blank.shifts[0].floor)
            ends = (*edges[:2], top and start == 0, bottom and stop == count)
            found.append(F.max_pool2d(_padded(y, ends, 1, -torch.inf), 3, 2))
        pooled = torch.cat(found, dim=2)
        # The largest of values is the same before and after a floor, but there are fewer.
        return torch.maximum(pooled, blank.shifts[0].floor, out=pooled)

    def whole(self, x: Tensor, stage: int, blank: Blank, memory: Memory) -> Tensor:
        """Compute a stage from the one before, `(1, channels, rows, columns)`, all of it."""
        for block, (middle, last) in zip(self._blocks[stage], blank.of(stage), strict=True):
            x = block.run_whole(x, middle, last, memory)
        return x

    def chosen(
        self,
        cells: SparseCells,
        stage: int,
        blank: Blank,
        seen: tuple[Bools, Bools],
        memory: Memory,
    ) -> SparseCells:
        """Compute some cells of a stage, after each block, from those of the one before.

        All others are blank.
        """
        steps = zip(self._blocks[stage], blank.of(stage), seen, strict=True)
        for block, (middle, last), there in steps:
            cells = block.run_chosen(cells, middle, last, there, memory)
        return cells

    def _shift(self, bias: Tensor, glass: Tensor) -> Shift:
        return Shift(
            bias.to(self._device, self._dtype),
            -glass.to(self._device, self._dtype).reshape(1, -1, 1, 1),
        )


@dataclass(frozen=True)
class _Block:
    """The convolutions of one `BasicBlock`."""

    first: Layer
    second: Layer
    shortcut: Layer | None

    @classmethod
    def of(cls, block: BasicBlock, device: torch.device, dtype: torch.dtype) -> _Block:
        shortcut = None
        if block.downsample is not None:
            shortcut = Layer.of(block.downsample[0], device, dtype)
        first, second = (Layer.of(each, device, dtype) for each in (block.conv1, block.conv2))
        return cls(first, second, shortcut)

    def run(self, x: Tensor, middle: Shift, last: Shift, edges: Edges) -> Tensor:
        """Compute the block in layer1; two cells are lost on each side that is no edge."""
        y = self.first.convolve(_padded(x, edges, 1), middle.bias)
        torch.maximum(y, middle.floor, out=y)
        y = self.second.convolve(_padded(y, edges, 1), last.bias)
        y += _without_margin(x, edges)
        torch.maximum(y, last.floor, out=y)
        return y

    def run_whole(self, x: Tensor, middle: Shift, last: Shift, memory: Memory) -> Tensor:
        """Compute the block with zeros around it."""
        shape = (x.shape[2] // self.first.stride, x.shape[3] // self.first.stride)
        channels = len(self.first.bias)
        between = memory.image(channels, shape, x)
        result = memory.image(channels, shape, x, between)

        def begin(rows: slice) -> None:
            y = self.first.convolve_rows(x, middle.bias, rows)
            torch.maximum(y, middle.floor, out=between[:, :, rows])

        def end(rows: slice) -> None:
            y = self.second.convolve_rows(between, last.bias, rows)
            if self.shortcut is None:
                y += x[:, :, rows]
            else:
                y += self.shortcut.convolve_rows(x, None, rows)
            torch.maximum(y, last.floor, out=result[:, :, rows])

        for do in (begin, end):
            in_pieces(do, shape[0], shape[1] * channels * x.element_size(), x.device)
        return result

    def run_chosen(
        self, x: SparseCells, middle: Shift, last: Shift, seen: Bools, memory: Memory
    ) -> SparseCells:
        """Compute some cells."""
        around = x.around(seen, 3, self.first.stride)
        n, channels = len(around), len(self.first.bias)
        between = numbered(memory.rows(n + 1, channels, x.values), seen)
        near = between.around(seen, 3, 1)
        result = memory.rows(n + 1, channels, x.values, between.values)

        def begin(piece: slice) -> None:
            y = self.first.gathered(x.values, around.of(piece), middle.bias)
            torch.maximum(y, middle.floor.flatten(), out=between.values[piece])

        def end(piece: slice) -> None:
            y = self.second.gathered(between.values, near.of(piece), last.bias)
            before = around.middle(piece)
            if self.shortcut is None:
                y += x.values.index_select(0, before.flatten())
            else:
                y += self.shortcut.gathered(x.values, before, None)
            torch.maximum(y, last.floor.flatten(), out=result[piece])

        size = x.values.element_size()
        for do in (begin, end):
            in_pieces(do, n, 9 * channels * size, x.values.device, MULTIPLE)
        return numbered(result, seen)


def _padded(x: Tensor, edges: Edges, width: int, value: float = 0.0) -> Tensor:
    return F.pad(x, [width * edge for edge in edges], value=value) if any(edges) else x


def _without_margin(x: Tensor, edges: Edges) -> Tensor:
    left, right, top, bottom = (0 if edge else 2 for edge in edges)
    return x[..., top : x.shape[-2] - bottom, left : x.shape[-1] - right]
