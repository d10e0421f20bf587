"""ONNX: the network of one patch, and of whole pictures for each zoom, checked by ONNX Runtime."""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
import onnxscript  # noqa: F401  # torch.onnx.export needs it, and says so too late
import torch

from napari_lungcls.errors import InputError
from napari_lungcls.export.networks import DenseNetwork, PatchNetwork

if TYPE_CHECKING:
    from torch import nn

    from napari_lungcls.model import Model

AGREE = 1e-4
"""Largest difference of logits that is let pass."""

HALO = 64


def outputs(model: Model, path: Path) -> list[Path]:
    """Name what `write` writes."""
    spec = model.document.network
    zooms = () if spec.pooling == "mean" else spec.zooms
    return [path, *(_dense(path, zoom) for zoom in zooms)]


def write(model: Model, path: Path) -> None:
    """Write the networks and compare each with PyTorch's.

    Raises
    ------
    InputError
        When they differ by more than `AGREE`.
    """
    spec = model.document.network
    patch = PatchNetwork(model)
    rng = np.random.default_rng(0)
    export_onnx(patch, path, (1, 3, patch.edge, patch.edge), "logits", ("n",))
    _describe(path, model, {"network": "patch", "edge": patch.edge})
    check_onnx(path, patch, _pixels(rng, (3, 3, patch.edge, patch.edge)))
    if spec.pooling == "mean":
        return
    for zoom in spec.zooms:
        dense, own = DenseNetwork(model, zoom), _dense(path, zoom)
        name = "logits" if dense.is_whole else "sum"
        export_onnx(dense, own, (1, 3, 128, 160), name, ("n", "y", "x"))
        finish = {} if dense.is_whole else _finish(model)
        _describe(own, model, {"network": "dense", "zoom": zoom, "halo": HALO} | finish)
        check_onnx(own, dense, _pixels(rng, (2, 3, 192, 96)))


def export_onnx(
    module: nn.Module, path: Path, shape: tuple[int, ...], output: str, free: tuple[str, ...]
) -> None:
    """Write a module of pictures as one file, opset 20.

    Parameters
    ----------
    module
        Maps `(n, 3, y, x)` to one output.
    path
        The file.
    shape
        Of an example.
    output
        Its name.
    free
        The axes whose length is left open; `y` and `x` are multiples of 32.
    """
    names = {"n": 0, "y": 2, "x": 3}
    sizes: dict[int, Any] = {}
    for axis in free:
        dim = torch.export.Dim(axis, min=1)
        sizes[names[axis]] = dim if axis == "n" else 32 * torch.export.Dim(f"_{axis}", min=2)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # Of PyTorch about itself.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (torch.zeros(max(shape[0], 2), *shape[1:]),),
            path,
            input_names=["pixels"],
            output_names=[output],
            dynamic_shapes=({k: v for k, v in sizes.items()},),
            opset_version=20,
            external_data=False,
            dynamo=True,
            verbose=False,
        )


def check_onnx(path: Path, module: nn.Module, pixels: np.ndarray[Any, Any]) -> None:
    """Compare a file with its module by ONNX Runtime.

    Raises
    ------
    InputError
        When they differ by more than `AGREE`.
    """
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"pixels": pixels})
    with torch.inference_mode():
        expected = module(torch.from_numpy(pixels)).numpy()
    if not (difference := float(np.abs(found - expected).max())) <= AGREE:
        raise InputError(
            f"{path.name}: ONNX Runtime differs by {difference:.2g} from the model; a library is "
            "at fault: try other versions of torch, onnxscript and onnxruntime"
        )


def _pixels(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    # Whole numbers, as images have: averages of others may be rounded up here and down there.
    return rng.integers(0, 256, shape).astype(np.float32)


def _dense(path: Path, zoom: int) -> Path:
    return path.with_name(f"{path.stem}.dense-zoom{zoom}.onnx")


def _finish(model: Model) -> dict[str, Any]:
    """Give what turns the sum of all zooms into logits, for a reader without PyTorch."""
    spec, state = model.document.network, model.state
    found = {"bias": state[spec.bias_name].tolist()}
    if spec.hidden:
        found["out_weight"] = state["heads.out.weight"].tolist()
        found["out_bias"] = state["heads.out.bias"].tolist()
    return found


def _describe(path: Path, model: Model, more: dict[str, Any]) -> None:
    """Write into the file what its reader must know."""
    document = model.document
    told = {
        "classes": list(document.scheme.names),
        "pixel_size": document.pixel_size,
        "zooms": list(document.network.zooms),
        "temperature": document.temperature,
        "intensities": document.network.normalisation.dtype,
        **more,
    }
    made = onnx.load(path)
    onnx.helper.set_model_props(made, {"napari-lungcls": json.dumps(told)})
    made.producer_name = "napari-lungcls"
    onnx.checker.check_model(made)
    onnx.save(made, path)
