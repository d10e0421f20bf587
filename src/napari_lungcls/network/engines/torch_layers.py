"""ResNet-18 as it is painted: layers that give 0 for blank glass, in any precision."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_lungcls.network.engines.torch_net import BasicBlock, Trunk, folded

Edges = tuple[bool, bool, bool, bool]


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
        self._stem = _Layer.of(fast.conv1, device, dtype)
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
        x = F.conv2d(x, self._stem.weight, blank.shifts[0].bias, stride=2)
        # The largest of values is the same before and after a floor, but there are fewer.
        x = F.max_pool2d(_padded(x, edges, 1, -torch.inf), 3, 2)
        torch.maximum(x, blank.shifts[0].floor, out=x)
        return self._stage(x, 1, blank, edges)

    def next(self, x: Tensor, stage: int, blank: Blank) -> Tensor:
        """Compute a stage from the one before, with blank glass past the edges."""
        return self._stage(x, stage, blank, None)

    def _stage(self, x: Tensor, stage: int, blank: Blank, edges: Edges | None) -> Tensor:
        for i, block in enumerate(self._blocks[stage]):
            at = 1 + 4 * (stage - 1) + 2 * i
            x = block.run(x, blank.shifts[at], blank.shifts[at + 1], edges)
        return x

    def _shift(self, bias: Tensor, glass: Tensor) -> Shift:
        return Shift(
            bias.to(self._device, self._dtype),
            -glass.to(self._device, self._dtype).reshape(1, -1, 1, 1),
        )


@dataclass(frozen=True)
class _Layer:
    """One folded convolution, and what it makes of an image without structure.

    Attributes
    ----------
    weight
        `(outputs, inputs, y, x)`, where the trunk runs.
    total
        `(outputs, inputs)` its sum over y and x, float64 on the CPU.
    bias
        `(outputs,)`, likewise.
    """

    weight: Tensor
    total: Tensor
    bias: Tensor

    @classmethod
    def of(cls, convolution: nn.Module, device: torch.device, dtype: torch.dtype) -> _Layer:
        assert isinstance(convolution, nn.Conv2d)
        assert convolution.bias is not None
        weight = convolution.weight.detach()
        fast = weight.to(device, dtype).contiguous(memory_format=torch.channels_last)
        total = weight.double().sum((2, 3)).cpu()
        return cls(fast, total, convolution.bias.detach().double().cpu())

    def even(self, x: Tensor) -> Tensor:
        """Convolve an endless image of equal vectors `(inputs,)`."""
        return self.total @ x + self.bias


@dataclass(frozen=True)
class _Block:
    """The convolutions of one `BasicBlock`."""

    first: _Layer
    second: _Layer
    shortcut: _Layer | None
    stride: int

    @classmethod
    def of(cls, block: BasicBlock, device: torch.device, dtype: torch.dtype) -> _Block:
        shortcut = None
        if block.downsample is not None:
            shortcut = _Layer.of(block.downsample[0], device, dtype)
        first, second = (_Layer.of(each, device, dtype) for each in (block.conv1, block.conv2))
        return cls(first, second, shortcut, block.conv1.stride[0])

    def run(self, x: Tensor, middle: Shift, last: Shift, edges: Edges | None) -> Tensor:
        """Compute the block; with edges, two cells are lost on each side that is none."""
        padding = 0 if edges else 1
        y = F.conv2d(_padded(x, edges, 1), self.first.weight, middle.bias, self.stride, padding)
        torch.maximum(y, middle.floor, out=y)
        y = F.conv2d(_padded(y, edges, 1), self.second.weight, last.bias, 1, padding)
        if self.shortcut is not None:
            y += F.conv2d(x, self.shortcut.weight, None, self.stride)
        else:
            y += x if edges is None else _without_margin(x, edges)
        torch.maximum(y, last.floor, out=y)
        return y


def _padded(x: Tensor, edges: Edges | None, width: int, value: float = 0.0) -> Tensor:
    if edges is None or not any(edges):
        return x
    return F.pad(x, [width * edge for edge in edges], value=value)


def _without_margin(x: Tensor, edges: Edges) -> Tensor:
    left, right, top, bottom = (0 if edge else 2 for edge in edges)
    return x[..., top : x.shape[-2] - bottom, left : x.shape[-1] - right]
