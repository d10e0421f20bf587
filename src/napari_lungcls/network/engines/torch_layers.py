"""ResNet-18 as it is painted: layers that give 0 for blank glass, in any precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from napari_lungcls.imaging.geometry import STAGE_STRIDES
from napari_lungcls.network.engines.rectangles import Box, Edges, area
from napari_lungcls.network.engines.torch_convolving import Layer
from napari_lungcls.network.engines.torch_net import BasicBlock, Trunk, folded
from napari_lungcls.network.engines.torch_threads import share_out


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
    """A trunk's answer to glass of one colour.

    Attributes
    ----------
    shifts
        One per ReLU, in the order of the layers.
    cells
        Per stage `(channels,)`, what every cell holds.
    """

    shifts: tuple[Shift, ...]
    cells: dict[int, Tensor]


class ShiftedTrunk:
    """The folded trunk over values of which those of blank glass have been taken away.

    Zeros past an edge then stand for more of the same glass, whatever its colour: a piece of
    tissue can be cut out of the glass around it, and nothing is felt of the cut.

    Parameters
    ----------
    trunk
        The trunk as it was trained.
    device, dtype
        Where and in what precision it runs.

    Notes
    -----
    With `x = x₀ + d`, where `x₀` is what the glass gives, a convolution followed by a ReLU is
    `max(W·d + p, 0)` with `p = W·x₀ + b`. Its answer to glass is `max(p, 0)`; without that it
    is `max(W·d + min(p, 0), −max(p, 0))`.
    """

    def __init__(self, trunk: Trunk, device: torch.device, dtype: torch.dtype) -> None:
        self.stages = trunk.stages
        self._device, self._dtype = device, dtype
        fast = folded(trunk)
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
        """Shift nothing: past the edges there are zeros, as in the trunk itself."""
        layers = [self._stem]
        cells = {}
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
        cells = {}
        before = self._stem.even(colour.double())
        x = before.clamp(min=0)
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

    def first(self, x: Tensor, blank: Blank, edges: Edges) -> Tensor:
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
        """
        x = _padded(x, edges, 3)
        x = self._stem.convolve(x, blank.shifts[0].bias)
        # The largest of values is the same before and after a floor, but there are fewer.
        x = F.max_pool2d(_padded(x, edges, 1, -torch.inf), 3, 2)
        torch.maximum(x, blank.shifts[0].floor, out=x)
        for i, block in enumerate(self._blocks[1]):
            x = block.run(x, blank.shifts[1 + 2 * i], blank.shifts[2 + 2 * i], edges)
        return x

    def next(self, x: Tensor, stage: int, blank: Blank, boxes: Sequence[Box]) -> Tensor:
        """Compute a stage from the one before, with blank glass past the edges.

        Parameters
        ----------
        x
            `(1, channels, rows, columns)` the cells of the stage before.
        stage
            Which.
        blank
            The shifts.
        boxes
            Rectangles of the stage's cells that are not blank.

        Returns
        -------
        Tensor, (1, channels, rows, columns)
            All its cells, 0 outside the boxes.
        """
        for i, block in enumerate(self._blocks[stage]):
            at = 1 + 4 * (stage - 1) + 2 * i
            x = block.run_apart(x, blank.shifts[at], blank.shifts[at + 1], boxes, stage)
        return x

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

    def run_apart(
        self, x: Tensor, middle: Shift, last: Shift, boxes: Sequence[Box], stage: int
    ) -> Tensor:
        """Compute boxes of cells, each layer in all of them before the next: nothing is lost."""
        shape = tuple(n // self.first.stride for n in x.shape[2:])

        def before(box: Box, out: Tensor | None = None) -> Tensor:
            y = self.first.convolve_at(x, middle.bias, box)
            return torch.maximum(y, middle.floor, out=y if out is None else out)

        def behind(box: Box, out: Tensor | None = None) -> Tensor:
            y = self.second.convolve_at(between, last.bias, box)
            if self.shortcut is not None:
                y += self.shortcut.convolve_at(x, None, box)
            else:
                y += x[..., box[0], box[1]]
            return torch.maximum(y, last.floor, out=y if out is None else out)

        if shape == tuple(side.stop - side.start for side in boxes[0]):
            between = before(boxes[0])
            return behind(boxes[0])
        empty = (1, len(self.first.bias), *shape)
        between = _assembled(before, boxes, stage, sheet(empty, x.dtype, x.device))
        # What is added to itself is asked for only where it is replaced.
        whole = x if self.shortcut is None else sheet(empty, x.dtype, x.device)
        return _assembled(behind, boxes, stage, whole)


def sheet(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Make zeros `(1, channels, rows, columns)`, channels last in memory.

    On a CPU what is never touched takes no memory, and no time.
    """
    one, channels, rows, columns = shape
    if device.type == "cpu":
        size = one * channels * rows * columns * dtype.itemsize
        flat = torch.from_numpy(np.zeros(size, np.uint8)).view(dtype)
    else:
        flat = torch.zeros(one * channels * rows * columns, dtype=dtype, device=device)
    return flat.reshape(one, rows, columns, channels).permute(0, 3, 1, 2)


def _assembled(
    make: Callable[[Box, Tensor], Tensor], boxes: Sequence[Box], stage: int, whole: Tensor
) -> Tensor:
    """Make the cells in boxes where they belong."""

    def put(box: Box) -> None:
        make(box, whole[..., box[0], box[1]])

    share_out(put, boxes, lambda box: area(box) * STAGE_STRIDES[stage] ** 2, whole.device)
    return whole


def _padded(x: Tensor, edges: Edges, width: int, value: float = 0.0) -> Tensor:
    return F.pad(x, [width * edge for edge in edges], value=value) if any(edges) else x


def _without_margin(x: Tensor, edges: Edges) -> Tensor:
    left, right, top, bottom = (0 if edge else 2 for edge in edges)
    return x[..., top : x.shape[-2] - bottom, left : x.shape[-1] - right]
