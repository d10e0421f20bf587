"""ResNet-18's trunk in PyTorch, with torchvision's parameter names and linear heads."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_lungcls.network.spec import NetworkSpec

SMALL = 4
"""Cells of a map up to which a convolution is computed as one matrix product on the CPU."""


class Convolution(nn.Conv2d):
    """A convolution that computes small maps as one matrix product.

    The deepest maps of a training window have four cells, where oneDNN's convolutions run at a
    third of the processor's speed, and their gradients at an eighth in bfloat16.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map `(n, inputs, y, x)` to `(n, outputs, ⌈y / stride⌉, ⌈x / stride⌉)`."""
        rows, columns = (-(-edge // self.stride[0]) for edge in x.shape[-2:])
        is_small = self.kernel_size == (3, 3) and rows * columns <= SMALL
        if not is_small or x.device.type != "cpu":
            return super().forward(x)
        mode = "reflect" if self.padding_mode == "reflect" else "constant"
        cells = F.pad(x, [1, 1, 1, 1], mode=mode).permute(0, 2, 3, 1)
        seen = cells.unfold(1, 3, self.stride[0]).unfold(2, 3, self.stride[1])
        weight = self.weight.permute(0, 2, 3, 1).flatten(1)
        found = F.linear(seen.permute(0, 1, 2, 4, 5, 3).flatten(3), weight, self.bias)
        return found.permute(0, 3, 1, 2)


class BasicBlock(nn.Module):
    """Two 3 × 3 convolutions and a shortcut (He et al. 2016, doi 10.1109/CVPR.2016.90)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1: nn.Conv2d = Convolution(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1: nn.Module = nn.BatchNorm2d(outputs)
        self.conv2: nn.Conv2d = Convolution(outputs, outputs, 3, padding=1, bias=False)
        self.bn2: nn.Module = nn.BatchNorm2d(outputs)
        self.downsample: nn.Sequential | None = None
        if stride != 1:
            shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map `(n, inputs, y, x)` to `(n, outputs, ⌈y / stride⌉, ⌈x / stride⌉)`."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(x)) + shortcut, inplace=True)


class Trunk(nn.Module):
    """ResNet-18 up to its deepest stage that is read, without `fc`."""

    def __init__(self, deepest: int = 4) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1: nn.Module = nn.BatchNorm2d(64)
        self.stages = tuple(range(1, deepest + 1))
        channels = 64
        for stage in self.stages:
            width, stride = 64 * 2 ** (stage - 1), 1 if stage == 1 else 2
            blocks = (BasicBlock(channels, width, stride), BasicBlock(width, width, 1))
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
            channels = width

    def pad(self, *, reflect: bool) -> None:
        """Choose what convolutions see past the edge: reflection, or zeros."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                module.padding_mode = "reflect" if reflect and module.padding != (0, 0) else "zeros"

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """Map `(n, 3, y, x)` to the cells `(n, channels, rows, columns)` of every stage."""
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        # Reflected or not: what lies past the edge then is in the pool's window already.
        x = F.max_pool2d(x, 3, 2, padding=1)
        cells = {}
        for stage in self.stages:
            x = getattr(self, f"layer{stage}")(x)
            cells[stage] = x
        return cells


class Network(nn.Module):
    """The trunk, shared by all zooms, and one linear map per zoom and stage."""

    def __init__(self, spec: NetworkSpec, generator: torch.Generator) -> None:
        super().__init__()
        self.spec = spec
        self.trunk = Trunk(spec.stages[-1])
        self.trunk.pad(reflect=spec.padding == "reflect")
        self.heads = nn.ParameterDict(
            {
                str(stage): nn.Parameter(
                    torch.empty(len(spec.zooms), spec.classes, 64 * 2 ** (stage - 1))
                )
                for stage in spec.stages
            }
        )
        self.bias = nn.Parameter(torch.zeros(spec.classes))
        self._initialise(generator)

    def _initialise(self, generator: torch.Generator) -> None:
        """He initialisation of the trunk, small heads, all from one generator."""
        for module in self.trunk.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(
                    module.weight,
                    mode="fan_out",
                    nonlinearity="relu",
                    generator=generator,
                )
        fan_in = sum(head.shape[0] * head.shape[2] for head in self.heads.values())
        for head in self.heads.values():
            nn.init.normal_(head, std=fan_in**-0.5, generator=generator)

    def features(self, windows: Tensor, readouts: Mapping[int, Tensor]) -> dict[int, Tensor]:
        """Read one vector per window and stage.

        Parameters
        ----------
        windows
            `(n, zooms, 3, y, x)`, normalised.
        readouts
            Per stage `(n, zooms, cells)`.

        Returns
        -------
        dict
            Per stage `(n, zooms, channels)`.
        """
        n, zooms = windows.shape[:2]
        cells = self.trunk(windows.flatten(0, 1).contiguous(memory_format=torch.channels_last))
        found = {}
        for stage in self.spec.stages:
            weights = readouts[stage].flatten(0, 1).unsqueeze(-1)
            vectors = torch.bmm(cells[stage].flatten(2), weights)
            found[stage] = vectors.reshape(n, zooms, vectors.shape[1])
        return found

    def classify(self, features: Mapping[int, Tensor]) -> Tensor:
        """Return the logits `(n, classes)` of features."""
        parts = [
            torch.einsum("nzc,zkc->nk", features[stage], self.heads[str(stage)])
            for stage in self.spec.stages
        ]
        return torch.stack(parts).sum(0) + self.bias

    def named_arrays(self) -> dict[str, Tensor]:
        """Return views of all parameters and statistics under the names of the model file."""
        arrays = {
            name: tensor
            for name, tensor in self.trunk.state_dict(keep_vars=True).items()
            if not name.endswith("num_batches_tracked")
        }
        for stage in self.spec.stages:
            for i, zoom in enumerate(self.spec.zooms):
                arrays[self.spec.head_name(zoom, stage)] = self.heads[str(stage)][i]
        arrays[self.spec.bias_name] = self.bias
        return arrays


def folded(trunk: Trunk) -> Trunk:
    """Copy a trunk for painting: BatchNorm folded into the convolutions, zeros past the edge."""
    fast = copy.deepcopy(trunk).eval()
    fast.pad(reflect=False)
    fast.conv1, fast.bn1 = _fold(fast.conv1, fast.bn1), nn.Identity()
    for block in list(fast.modules()):
        if isinstance(block, BasicBlock):
            block.conv1, block.bn1 = _fold(block.conv1, block.bn1), nn.Identity()
            block.conv2, block.bn2 = _fold(block.conv2, block.bn2), nn.Identity()
            if block.downsample is not None:
                block.downsample = nn.Sequential(_fold(*block.downsample))
    fast.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return fast.requires_grad_(False)


def _fold(convolution: nn.Module, normalisation: nn.Module) -> nn.Conv2d:
    """Return one convolution that does what both do in evaluation."""
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(normalisation, nn.BatchNorm2d)
    return fuse_conv_bn_eval(convolution, normalisation)
