"""Convolutions whose weights are put in order once, not at every call."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TYPICAL = 64
"""Edge of the image that the order of the weights is chosen for; others are as fast with it."""


MULTIPLE = 64
"""Cells are convolved in multiples of so many: oneDNN writes code for every number it meets."""


@dataclass(frozen=True)
class Layer:
    """One folded convolution, and what it makes of an image without structure.

    Attributes
    ----------
    weight
        `(outputs, inputs, y, x)`, where the backbone runs, as it can be used at once.
    stride
        Its own.
    total
        `(outputs, inputs)` its sum over y and x, float64 on the CPU.
    bias
        `(outputs,)`, likewise.
    """

    weight: Tensor
    stride: int
    total: Tensor
    bias: Tensor

    @classmethod
    def of(cls, convolution: nn.Module, device: torch.device, dtype: torch.dtype) -> Layer:
        """Take over a convolution with BatchNorm folded into it."""
        assert isinstance(convolution, nn.Conv2d)
        assert convolution.bias is not None
        weight, stride = convolution.weight.detach(), convolution.stride[0]
        fast = weight.to(device, dtype).contiguous(memory_format=torch.channels_last)
        total = weight.double().sum((2, 3)).cpu()
        return cls(_packed(fast, stride), stride, total, convolution.bias.detach().double().cpu())

    def even(self, x: Tensor) -> Tensor:
        """Convolve an endless image of equal vectors `(inputs,)`."""
        return self.total @ x + self.bias

    def convolve(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """Convolve an image; on each side half a kernel is lost."""
        return _convolved(x, self.weight, bias, self.stride, (0, 0))

    def convolve_rows(self, x: Tensor, bias: Tensor | None, rows: slice) -> Tensor:
        """Compute some rows of the convolved image, with zeros around `x`."""
        margin, s = self.weight.shape[-1] // 2, self.stride
        first, stop = s * rows.start - margin, s * (rows.stop - 1) + margin + 1
        above, below = max(-first, 0), max(stop - x.shape[2], 0)
        seen = x[:, :, first + above : stop - below]
        if above or below:
            seen = F.pad(seen, [0, 0, above, below])
        return _convolved(seen, self.weight, bias, s, (0, margin))

    @cached_property
    def flat(self) -> Tensor:
        """The weight as `gathered` uses it, `(outputs, y·x·inputs)` or so packed; made once."""
        weight = self.weight.to_dense() if self.weight.is_mkldnn else self.weight
        rows = weight.permute(0, 2, 3, 1).reshape(len(weight), -1)
        if not self.weight.is_mkldnn:
            return rows.contiguous()
        square = rows[..., None, None].contiguous(memory_format=torch.channels_last)
        return _packed(square, 1)

    def gathered(self, values: Tensor, around: Tensor, bias: Tensor | None) -> Tensor:
        """Convolve some cells, each of which says where it finds its neighbours.

        Parameters
        ----------
        values
            `(m, inputs)`; the last row may be read for nothing.
        around
            `(n, y·x)` the row of each neighbour.
        bias
            `(outputs,)`.

        Returns
        -------
        Tensor, (n, outputs)
        """
        n = len(around)
        if self.weight.is_mkldnn and n % MULTIPLE:
            around = F.pad(around, [0, 0, 0, -n % MULTIPLE], value=len(values) - 1)
        rows = values.index_select(0, around.reshape(-1)).reshape(len(around), -1)
        if not self.weight.is_mkldnn:
            return F.linear(rows, self.flat, bias)
        # As an image one pixel wide: of matrix products this is the fastest.
        image = rows.reshape(1, len(rows), 1, -1).permute(0, 3, 1, 2)
        return _convolved(image, self.flat, bias, 1, (0, 0))[0, :, :n, 0].T


def _packed(weight: Tensor, stride: int) -> Tensor:
    """Put weights in the order in which oneDNN reads them, where PyTorch offers that.

    Parameters
    ----------
    weight
        `(outputs, inputs, y, x)` in the precision in which it is used.
    stride
        Of the convolution.

    Returns
    -------
    Tensor
        For `_convolved`; the weight itself on devices other than CPUs, and where PyTorch
        has no such functions. It offers them to its own compiler and not by a public name.

    Notes
    -----
    For a small image a convolution with many channels takes less time than ordering its
    weights.
    """
    if not _can_pack(weight):
        return weight
    inputs = weight.shape[1]
    ordered: Tensor = torch.ops.aten.mkldnn_reorder_conv2d_weight(
        weight.to_mkldnn(), [0, 0], [stride] * 2, [1, 1], 1, [1, inputs, TYPICAL, TYPICAL]
    )
    return ordered


def _convolved(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: tuple[int, int]
) -> Tensor:
    """Convolve an image with weights as they are or as `_packed` gave them.

    Parameters
    ----------
    x
        `(n, inputs, y, x)`, channels last in memory.
    weight, bias, stride, padding
        As of `torch.nn.functional.conv2d`.
    """
    if not weight.is_mkldnn:
        return F.conv2d(x, weight, bias, stride, padding)
    found: Tensor = torch.ops.mkldnn._convolution_pointwise(
        x, weight, bias, list(padding), [stride] * 2, [1, 1], 1, "none", [], ""
    )
    return found


def _can_pack(weight: Tensor) -> bool:
    ops = torch.ops.mkldnn
    if weight.device.type != "cpu" or not torch._C._has_mkldnn:
        return False
    if not hasattr(ops, "_convolution_pointwise"):
        return False
    if not hasattr(torch.ops.aten, "mkldnn_reorder_conv2d_weight"):
        return False
    if weight.dtype == torch.bfloat16:
        return hasattr(ops, "_is_mkldnn_bf16_supported") and ops._is_mkldnn_bf16_supported()
    return weight.dtype == torch.float32
