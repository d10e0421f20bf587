"""The network as plain PyTorch modules that other programs can run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_lungcls.errors import InputError
from napari_lungcls.images.geometry import STAGE_STRIDES
from napari_lungcls.network.engines.torch.net import Network, pad
from napari_lungcls.network.parameters import DETAIL

if TYPE_CHECKING:
    from napari_lungcls.model import Model


def network_of(model: Model) -> Network:
    """Build the network of a model, in evaluation mode on the CPU."""
    network = Network(model.document.network)
    with torch.no_grad():
        for name, tensor in network.named_arrays().items():
            tensor.copy_(torch.from_numpy(model.state[name].copy()))
    return network.eval().requires_grad_(False)


class _Normalised(nn.Module):
    """What both networks begin with: intensities to what the backbone reads."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        normalisation = model.document.network.normalisation
        self.network = network_of(model)
        self.spec = model.document.network
        self.temperature = model.document.temperature
        shape = (1, 3, 1, 1)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(normalisation.mean).view(shape))
        self.register_buffer("std", torch.tensor(normalisation.std).view(shape))

    def normalised(self, pixels: Tensor) -> Tensor:
        """Scale `(n, 3, y, x)`."""
        found: Tensor = (pixels - self.mean) / self.std
        return found

    def logits(self, summed: Tensor) -> Tensor:
        """Turn sums `(…, summed)`, bias included, into logits over the temperature."""
        out = self.network.out
        found = summed if out is None else out(F.relu(summed))
        return found / self.temperature

    def cells(self, pixels: Tensor, *, detail: bool) -> dict[int, Tensor]:
        """Compute what the heads read: stage to `(n, channels, rows, columns)`."""
        found = dict(self.network.backbone(pixels))
        if detail and self.network.detail is not None:
            found[DETAIL] = self.network.detail(pixels)
        return {stage: found[stage] for stage in self.spec.stages if stage in found}


class PatchNetwork(_Normalised):
    """Logits of the middle of a patch, whose zooms are cropped and averaged inside.

    Parameters
    ----------
    model
        The model.
    scale
        Whole intensities were divided by it before: 255 for programs that give 0 to 1.

    Attributes
    ----------
    edge
        Pixels along each side of a patch: the tile at the coarsest zoom.

    Notes
    -----
    At zoom 1 it says what `Model.classify_patches` says.
    """

    def __init__(self, model: Model, scale: float = 1.0) -> None:
        super().__init__(model)
        self.scale = scale
        self.edge = self.spec.tile * self.spec.zooms[-1]

    def forward(self, pixels: Tensor) -> Tensor:
        """Map `(n, 3, edge, edge)` to logits `(n, classes)`."""
        if self.scale != 1:
            # Whole again, so that halves are rounded below as they are in the image.
            pixels = (pixels * self.scale).round()
        whole = self.spec.normalisation.dtype.startswith("uint")
        tile = self.spec.tile
        summed: Tensor = self.network.bias
        for zoom in self.spec.zooms:
            first = (self.edge - tile * zoom) // 2
            seen = pixels[:, :, first : first + tile * zoom, first : first + tile * zoom]
            if zoom > 1:
                # An image of integers is averaged to integers.
                seen = F.avg_pool2d(seen, zoom)
                seen = seen.round() if whole else seen
            cells = self.cells(self.normalised(seen), detail=zoom == self.spec.zooms[0])
            for stage, values in cells.items():
                vectors = self._read(values, stage)
                summed = summed + vectors @ self.network.head(zoom, stage).T
        return self.logits(summed)

    def _read(self, cells: Tensor, stage: int) -> Tensor:
        """Read cells at the middle of the tile: `(n, channels)`."""
        if self.spec.pooling == "mean":
            return cells.mean((2, 3))
        at, last = (self.spec.tile - 1) / 2 / STAGE_STRIDES[stage], cells.shape[2] - 1
        first = min(int(at), max(last - 1, 0))
        second = min(first + 1, last)
        share = min(at, last) - first
        rows = torch.lerp(cells[:, :, first], cells[:, :, second], share)
        return torch.lerp(rows[:, :, first], rows[:, :, second], share)


class DenseNetwork(_Normalised):
    """What one zoom says at every pixel of a picture.

    Parameters
    ----------
    model
        The model.
    zoom
        One of its zooms; the picture is already averaged to it.

    Notes
    -----
    Past the edge of the picture it sees zeros, as painting does past its halo of 64 pixels: give as
    much more on each side, and cut it off afterwards. With one zoom the output is logits over
    the temperature; with several it is the zoom's part of the sum that `finish` turns into them.
    """

    def __init__(self, model: Model, zoom: int) -> None:
        super().__init__(model)
        if self.spec.pooling == "mean":
            raise InputError("the model averages over its tile; export the network of one patch")
        self.zoom = zoom
        pad(self.network, reflect=False)

    @property
    def is_whole(self) -> bool:
        """Whether its output is logits."""
        return len(self.spec.zooms) == 1

    def forward(self, pixels: Tensor) -> Tensor:
        """Map `(n, 3, y, x)`, edges multiples of 32, to `(n, classes or summed, y, x)`."""
        height, width = pixels.shape[2:]
        total = None
        detail = self.zoom == self.spec.zooms[0]
        for stage, cells in self.cells(self.normalised(pixels), detail=detail).items():
            weight = self.network.head(self.zoom, stage)
            maps = F.conv2d(cells, weight[:, :, None, None])
            maps = self._enlarged(maps, STAGE_STRIDES[stage], height, width)
            total = maps if total is None else total + maps
        assert total is not None
        return self.finish(total) if self.is_whole else total

    def finish(self, total: Tensor) -> Tensor:
        """Turn the sum of all zooms `(n, summed, y, x)` into logits `(n, classes, y, x)`."""
        summed = total.permute(0, 2, 3, 1) + self.network.bias
        return self.logits(summed).permute(0, 3, 1, 2)

    def _enlarged(self, maps: Tensor, stride: int, height: int, width: int) -> Tensor:
        """Interpolate between cells, which are centred on every so many pixels."""
        if stride == 1:
            return maps
        # A last cell more, equal to the one before it: what lies behind that is held.
        maps = F.pad(maps, (0, 1, 0, 1), mode="replicate")
        size = (height + 1, width + 1)
        found = F.interpolate(maps, size=size, mode="bilinear", align_corners=True)
        return found[:, :, :height, :width]
