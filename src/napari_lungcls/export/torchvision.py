"""The state dict of torchvision's ResNet-18, for networks that are exactly that."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from napari_lungcls.errors import InputError

if TYPE_CHECKING:
    from napari_lungcls.model import Model


def outputs(model: Model, path: Path) -> list[Path]:
    """Name what `write` writes."""
    return [path]


def write(model: Model, path: Path) -> None:
    """Write the state dict; `torchvision.models.resnet18(num_classes=…)` loads it.

    Raises
    ------
    InputError
        When the network reads more than the mean of layer4.
    """
    if not model.document.network.is_torchvision:
        raise InputError(
            "the network reads more than torchvision's does",
            suggestion="export to onnx, or train with pooling mean, the stage layer4, zoom 1 and "
            "no hidden layer",
        )
    torch.save({name: torch.from_numpy(array.copy()) for name, array in model.state.items()}, path)
