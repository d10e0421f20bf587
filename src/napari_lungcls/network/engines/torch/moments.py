"""Means and variances of what batch normalisation reads, over tiles of some images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_lungcls.network.engines.torch.engine import resolve_device
from napari_lungcls.network.engines.torch.net import Network
from napari_lungcls.network.parameters import DETAIL
from napari_lungcls.network.spec import NetworkSpec
from napari_lungcls.network.state import State

Moments = dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]
"""Mean and variance `(channels,)` by the name of a normalisation, such as `layer1.0.bn1`."""


class _Tally:
    """Adds up the moments of one normalisation over batches."""

    def __init__(self, *, replaces: bool) -> None:
        self._replaces = replaces
        self._count, self._sums = 0, np.zeros((2, 1))

    def __call__(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Look at what a normalisation is about to read, and perhaps let it use that itself."""
        assert isinstance(module, nn.BatchNorm2d)
        read = inputs[0].double()
        n = read.numel() // read.shape[1]
        mean, square = read.mean((0, 2, 3)), read.square().mean((0, 2, 3))
        if self._replaces:
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.copy_(mean)
            module.running_var.copy_((square - mean.square()).clamp(min=0))
        self._sums = self._sums + n * torch.stack([mean, square]).cpu().numpy()
        self._count += n

    def moments(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Give mean and variance over all that was read."""
        mean, square = self._sums / self._count
        with np.errstate(over="ignore"):  # infinite, as the network's own numbers would be
            return mean.astype(np.float32), np.maximum(square - mean**2, 0).astype(np.float32)


def batch_moments(
    spec: NetworkSpec,
    state: State,
    batches: Iterable[NDArray[Any]],
    *,
    device: str,
    replaces: bool,
) -> Moments:
    """Measure what every batch normalisation of a network reads.

    Parameters
    ----------
    spec, state
        The network.
    batches
        Each `(n, zooms, y, x, 3)`, in intensities of the image.
    device
        Where to compute.
    replaces
        Whether each batch is normalised by its own moments, so that deeper layers read what they
        would after an adaptation; otherwise the network is as it is.

    Returns
    -------
    dict
        Over all batches.

    Notes
    -----
    Moments are added up over batches, not averaged with decay: "precise" batch normalisation, Wu
    and Johnson 2021, arXiv 2105.07576.
    """
    where = resolve_device(device)
    with torch.random.fork_rng(devices=[]):
        network = Network(spec).eval().to(where)
    with torch.no_grad():
        for name, array in network.named_arrays().items():
            array.copy_(torch.from_numpy(np.array(state[name])).to(where))
    parts: dict[str, nn.Module] = {"": network.backbone}
    if network.detail is not None:
        parts["detail."] = network.detail
    tallies = {}
    for prefix, part in parts.items():
        for name, module in part.named_modules():
            if isinstance(module, nn.BatchNorm2d):
                tallies[prefix + name] = tally = _Tally(replaces=replaces)
                module.register_forward_pre_hook(tally)
    mean, std = (
        torch.tensor(v, device=where) for v in (spec.normalisation.mean, spec.normalisation.std)
    )
    with torch.no_grad():
        for batch in batches:
            pixels = torch.from_numpy(np.ascontiguousarray(batch)).to(where).float()
            pixels = ((pixels - mean) / std).permute(0, 1, 4, 2, 3)
            network.backbone(pixels.flatten(0, 1).contiguous())
            if network.detail is not None and DETAIL in spec.stages:
                network.detail(pixels[:, 0].contiguous())
    return {name: tally.moments() for name, tally in tallies.items()}
