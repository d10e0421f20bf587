"""The network in PyTorch: ResNet-18's backbone, detail at every pixel, and heads."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_lungcls.images.geometry import STAGE_STRIDES
from napari_lungcls.network.parameters import DETAIL, DETAIL_CHANNELS, stage_channels
from napari_lungcls.network.spec import NetworkSpec

M = TypeVar("M", bound=nn.Module)

SMALL = 4
"""Cells of a map up to which a convolution is computed as one matrix product on the CPU."""


class Convolution(nn.Conv2d):
    """A convolution that computes small maps as one matrix product.

    The deepest maps of small patches and tiles (64 pixels and less) have four cells, where
    oneDNN's convolutions run at a third of the processor's speed, and their gradients at an
    eighth in bfloat16.
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


class Backbone(nn.Module):
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

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """Map `(n, 3, y, x)` to the cells `(n, channels, rows, columns)` of stem and layers."""
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        cells = {0: x}
        # Reflected or not: what lies past the edge then is in the pool's window already.
        x = F.max_pool2d(x, 3, 2, padding=1)
        for stage in self.stages:
            x = getattr(self, f"layer{stage}")(x)
            cells[stage] = x
        return cells


class Detail(nn.Module):
    """Two small convolutions at every pixel, for what a stride of two would lose."""

    def __init__(self) -> None:
        super().__init__()
        c = DETAIL_CHANNELS
        self.conv1 = nn.Conv2d(3, c, 3, padding=1, bias=False)
        self.bn1: nn.Module = nn.BatchNorm2d(c)
        self.conv2 = nn.Conv2d(c, c, 3, padding=1, bias=False)
        self.bn2: nn.Module = nn.BatchNorm2d(c)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(n, 3, y, x)` to `(n, channels, y, x)`."""
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(x)), inplace=True)


def pad(module: nn.Module, *, reflect: bool) -> None:
    """Choose what convolutions see past the edge: reflection, or zeros."""
    for each in module.modules():
        if isinstance(each, nn.Conv2d):
            each.padding_mode = "reflect" if reflect and each.padding != (0, 0) else "zeros"


class Network(nn.Module):
    """The backbone, shared by all zooms, detail at the finest, and the heads.

    Its parameters are as they are made; `initial_state` has the numbers to begin with.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        self.backbone = Backbone(spec.stages[-1])
        self.detail = Detail() if DETAIL in spec.stages else None
        pad(self, reflect=spec.padding == "reflect")
        self.heads = nn.ParameterDict(
            {
                _key(zoom, stage): nn.Parameter(torch.zeros(spec.summed, stage_channels(stage)))
                for zoom, stage in spec.reads
            }
        )
        self.bias = nn.Parameter(torch.zeros(spec.summed))
        self.out = nn.Linear(spec.hidden, spec.classes) if spec.hidden else None

    def head(self, zoom: int, stage: int) -> Tensor:
        """Return the weight `(summed, channels)` of one zoom and stage."""
        found: Tensor = self.heads[_key(zoom, stage)]
        return found

    def features(
        self, pixels: Tensor, owner: Tensor, places: Tensor, factors: Tensor | None = None
    ) -> dict[int, Tensor]:
        """Read one vector per point, zoom and stage.

        Parameters
        ----------
        pixels
            `(n, zooms, 3, y, x)`, normalised.
        owner
            `(m,)` the tile of each point.
        places
            `(m, zooms, 2)` where in its tile each point lies, in zoomed pixels.
        factors
            `(m, zooms)` by which vectors are multiplied.

        Returns
        -------
        dict
            Per stage `(m, zooms, channels)`; detail has the finest zoom only.
        """
        zooms = pixels.shape[1]
        flat = pixels.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        cells = self.backbone(flat)
        if self.detail is not None:
            finest = pixels[:, 0].contiguous(memory_format=torch.channels_last)
            cells[DETAIL] = self.detail(finest)
        found = {}
        for stage in self.spec.stages:
            count = 1 if stage == DETAIL else zooms
            # Images in the order in which tiles and zooms were flattened.
            image = owner[:, None] * count + torch.arange(count, device=owner.device)
            if self.spec.pooling == "mean":
                vectors = cells[stage].mean((2, 3))[image.flatten()]
            else:
                at = places[:, :count].flatten(0, 1) / STAGE_STRIDES[stage]
                vectors = _read(cells[stage], image.flatten(), at)
            vectors = vectors.view(len(owner), count, vectors.shape[1])
            if factors is not None:
                vectors = vectors * factors[:, :count, None]
            found[stage] = vectors
        return found

    def classify(self, features: Mapping[int, Tensor]) -> Tensor:
        """Return the logits `(m, classes)` of features."""
        index = {zoom: i for i, zoom in enumerate(self.spec.zooms)}
        parts = [
            features[stage][:, index[zoom]] @ self.head(zoom, stage).T
            for zoom, stage in self.spec.reads
        ]
        summed = torch.stack(parts).sum(0) + self.bias
        if self.out is None:
            return summed
        logits: Tensor = self.out(F.relu(summed))
        return logits

    def named_arrays(self) -> dict[str, Tensor]:
        """Return views of all parameters and statistics under the names of the model file."""
        arrays = dict(self.backbone.state_dict(keep_vars=True))
        if self.detail is not None:
            arrays |= self.detail.state_dict(prefix="detail.", keep_vars=True)
        for zoom, stage in self.spec.reads:
            arrays[self.spec.head_name(zoom, stage)] = self.head(zoom, stage)
        arrays[self.spec.bias_name] = self.bias
        if self.out is not None:
            arrays |= self.out.state_dict(prefix="heads.out.", keep_vars=True)
        return {n: a for n, a in arrays.items() if not n.endswith("num_batches_tracked")}


def _key(zoom: int, stage: int) -> str:
    return f"{zoom},{stage}"


def _read(cells: Tensor, image: Tensor, at: Tensor) -> Tensor:
    """Interpolate cells `(images, channels, rows, columns)` at points of some images.

    Parameters
    ----------
    image
        `(p,)` the image of each point.
    at
        `(p, 2)` rows and columns, in cells; beyond the ends they are held.

    Returns
    -------
    Tensor, (p, channels), float32
    """
    rows, columns = cells.shape[2:]
    limits = torch.tensor([rows - 1, columns - 1], dtype=at.dtype, device=at.device)
    at = torch.minimum(at.clamp(min=0), limits)
    first = torch.minimum(at.long(), (limits.long() - 1).clamp(min=0))
    (y, x), (b, a) = first.unbind(1), (at - first).unbind(1)
    below, right = (first + 1).minimum(limits.long()).unbind(1)
    flat = cells.permute(0, 2, 3, 1).flatten(0, 2)

    def corner(row: Tensor, column: Tensor, share: Tensor) -> Tensor:
        vectors = flat.index_select(0, (image * rows + row) * columns + column)
        return vectors.float() * share[:, None].float()

    upper = corner(y, x, (1 - b) * (1 - a)) + corner(y, right, (1 - b) * a)
    return upper + corner(below, x, b * (1 - a)) + corner(below, right, b * a)


def folded(backbone: Backbone) -> Backbone:
    """Copy a backbone for painting: BatchNorm folded into the convolutions, zeros past the edge."""
    fast = copy.deepcopy(backbone).eval()
    fast.conv1, fast.bn1 = _fold(fast.conv1, fast.bn1), nn.Identity()
    for block in list(fast.modules()):
        if isinstance(block, BasicBlock):
            block.conv1, block.bn1 = _fold(block.conv1, block.bn1), nn.Identity()
            block.conv2, block.bn2 = _fold(block.conv2, block.bn2), nn.Identity()
            if block.downsample is not None:
                block.downsample = nn.Sequential(_fold(*block.downsample))
    return _for_painting(fast)


def folded_detail(detail: Detail) -> Detail:
    """Copy the detail branch for painting; see `folded`."""
    fast = copy.deepcopy(detail).eval()
    fast.conv1, fast.bn1 = _fold(fast.conv1, fast.bn1), nn.Identity()
    fast.conv2, fast.bn2 = _fold(fast.conv2, fast.bn2), nn.Identity()
    return _for_painting(fast)


def _for_painting(module: M) -> M:
    pad(module, reflect=False)
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return module.requires_grad_(False)


def _fold(convolution: nn.Module, normalisation: nn.Module) -> nn.Conv2d:
    """Return one convolution that does what both do in evaluation."""
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(normalisation, nn.BatchNorm2d)
    return fuse_conv_bn_eval(convolution, normalisation)
