"""A folder for QuPath's WSInfer: `config.json` and the network of one patch as TorchScript."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_lungcls.errors import InputError
from napari_lungcls.export.networks import PatchNetwork

if TYPE_CHECKING:
    from napari_lungcls.model import Model

WEIGHTS = "torchscript_model.pt"
"""The name that WSInfer looks for."""


def outputs(model: Model, path: Path) -> list[Path]:
    """Name what `write` writes."""
    return [path]


def write(model: Model, path: Path) -> None:
    """Write the folder. WSInfer gives intensities of 0 to 1 and takes the softmax itself.

    Raises
    ------
    InputError
        When the model does not know its pixel size, or reads no 8-bit images.
    """
    document = model.document
    if document.pixel_size is None:
        raise InputError("WSInfer reads images at a pixel size, and the model knows none")
    if (dtype := document.network.normalisation.dtype) != "uint8":
        raise InputError(f"WSInfer reads images of 8 bits, and the model reads {dtype}")
    network = PatchNetwork(model, scale=255.0)
    path.mkdir()
    example = torch.rand(2, 3, network.edge, network.edge)
    with torch.inference_mode(), warnings.catch_warnings():
        # Tracing is deprecated, and the only form that WSInfer reads.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(network, example)  # type: ignore[no-untyped-call]
        other = torch.rand(1, 3, network.edge, network.edge)
        difference = float(np.abs(traced(other) - network(other)).max())
    if not difference <= 1e-4:
        raise InputError(f"TorchScript differs by {difference:.2g} from the model")
    traced.save(str(path / WEIGHTS))
    names = list(document.scheme.names)
    config = {
        "spec_version": "1.0",
        "architecture": "resnet18",
        "num_classes": len(names),
        "class_names": names,
        "patch_size_pixels": network.edge,
        "spacing_um_px": document.pixel_size,
        "transform": [{"name": "ToTensor"}],
    }
    (path / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
