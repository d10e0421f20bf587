"""Convolutions whose weights are put in order once, not at every call."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_lungcls.network.engines.rectangles import Box

TYPICAL = 64
"""Edge of the image that the order of the weights is chosen for; others are as fast with it."""


@dataclass(frozen=True)
class Layer:
    """One folded convolution, and what it makes of an image without structure.

    Attributes
    ----------
    weight
        `(outputs, inputs, y, x)`, where the trunk runs, as it can be used at once.
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

    def convolve(self, x: Tensor, bias: Tensor | None, padding: int = 0) -> Tensor:
        """Convolve all of an image."""
        return _convolved(x, self.weight, bias, self.stride, padding)

    def convolve_at(self, x: Tensor, bias: Tensor | None, box: Box) -> Tensor:
        """Compute what lies in a box of the convolved image, with zeros around `x`."""
        margin, s = self.weight.shape[-1] // 2, self.stride
        sides = list(zip(box, x.shape[2:], strict=True))
        if all(side.start == 0 and s * side.stop == n for side, n in sides):
            return self.convolve(x, bias, margin)
        cut, beyond = [], []
        for side, n in sides:
            first, stop = s * side.start - margin, s * (side.stop - 1) + margin + 1
            cut.append(slice(max(first, 0), min(stop, n)))
            beyond.append((max(-first, 0), max(stop - n, 0)))
        inside = F.pad(x[..., cut[0], cut[1]], [*beyond[1], *beyond[0]])
        return self.convolve(inside.contiguous(memory_format=torch.channels_last), bias)


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
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int = 0
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
        x, weight, bias, [padding] * 2, [stride] * 2, [1, 1], 1, "none", [], ""
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
