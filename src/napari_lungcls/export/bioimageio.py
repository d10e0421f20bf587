"""A bioimage.io package: the network of whole pictures as ONNX and TorchScript, with test data."""

from __future__ import annotations

import tempfile
import warnings
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from bioimageio.spec import InvalidDescr, load_description, save_bioimageio_package
from bioimageio.spec.model import v0_5 as spec

from napari_lungcls.errors import InputError
from napari_lungcls.export.networks import DenseNetwork
from napari_lungcls.export.onnx import check_onnx, export_onnx

if TYPE_CHECKING:
    from napari_lungcls.model import Model

EDGE = 128


def outputs(model: Model, path: Path) -> list[Path]:
    """Name what `write` writes."""
    return [path]


def write(model: Model, path: Path) -> None:
    """Write the package, and validate it.

    Raises
    ------
    InputError
        When the model has several zooms, or the package is not valid.
    """
    document = model.document
    if len(document.network.zooms) != 1 or document.network.zooms != (1,):
        raise InputError(
            "a package has one network, and this model looks at zooms "
            f"{', '.join(map(str, document.network.zooms))}; export to onnx"
        )
    network = DenseNetwork(model, 1)
    with tempfile.TemporaryDirectory() as folder:
        save_bioimageio_package(_description(model, network, Path(folder)), output_path=path)
    found = load_description(path)
    if isinstance(found, InvalidDescr):
        raise InputError(f"the package is not valid: {found.validation_summary.status}")


def _description(model: Model, network: DenseNetwork, folder: Path) -> Any:
    """Write the files of the package, and describe them."""
    document = model.document
    names = list(document.scheme.names)
    export_onnx(network, folder / "network.onnx", (1, 3, EDGE, EDGE), "logits", ("n", "y", "x"))
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 3, EDGE, EDGE)).astype(np.float32)
    check_onnx(folder / "network.onnx", network, pixels)
    example = torch.from_numpy(pixels)
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(network, example)  # type: ignore[no-untyped-call]
        traced.save(str(folder / "network.pt"))
        logits = network(example).numpy()
    np.save(folder / "input.npy", pixels)
    np.save(folder / "output.npy", logits)
    (folder / "README.md").write_text(_readme(model), encoding="utf-8")
    version = torch.__version__.partition("+")[0]
    size = document.pixel_size
    space: dict[str, Any] = {} if size is None else {"unit": "micrometer", "scale": size}
    axes = (
        spec.SpaceInputAxis(
            id=spec.AxisId("y"), size=spec.ParameterizedSize(min=64, step=32), **space
        ),
        spec.SpaceInputAxis(
            id=spec.AxisId("x"), size=spec.ParameterizedSize(min=64, step=32), **space
        ),
    )
    tensor = spec.TensorId("pixels")
    return spec.ModelDescr(
        name=f"napari-lungcls {_identifier(document.scheme.name, 0)}",
        description="Logits of the classes of a lung section at every pixel, over the temperature.",
        authors=[spec.Author(name="unknown")],
        cite=[
            spec.CiteEntry(
                text="He et al. 2016, Deep residual learning", doi=spec.Doi("10.1109/CVPR.2016.90")
            )
        ],
        license=spec.LicenseId("BSD-3-Clause"),
        documentation=spec.FileDescr(source=folder / "README.md"),
        timestamp=spec.Datetime(datetime.fromisoformat(document.created)),
        tags=["lung", "histology", "semantic-segmentation", "napari"],
        inputs=[
            spec.InputTensorDescr(
                id=tensor,
                axes=[
                    spec.BatchAxis(),
                    spec.ChannelAxis(
                        channel_names=[spec.Identifier(c) for c in ("red", "green", "blue")]
                    ),
                    *axes,
                ],
                test_tensor=spec.FileDescr(source=folder / "input.npy"),
                data=spec.IntervalOrRatioDataDescr(type="float32"),
            )
        ],
        outputs=[
            spec.OutputTensorDescr(
                id=spec.TensorId("logits"),
                axes=[
                    spec.BatchAxis(),
                    spec.ChannelAxis(
                        channel_names=[
                            spec.Identifier(_identifier(n, i)) for i, n in enumerate(names)
                        ]
                    ),
                    *(
                        spec.SpaceOutputAxis(
                            id=axis.id,
                            size=spec.SizeReference(tensor_id=tensor, axis_id=axis.id),
                            **space,
                        )
                        for axis in axes
                    ),
                ],
                test_tensor=spec.FileDescr(source=folder / "output.npy"),
            )
        ],
        weights=spec.WeightsDescr(
            onnx=spec.OnnxWeightsDescr(source=folder / "network.onnx", opset_version=20),
            torchscript=spec.TorchscriptWeightsDescr(
                source=folder / "network.pt",
                pytorch_version=spec.Version(version),
                parent="onnx",
            ),
        ),
    )


def _identifier(name: str, place: int) -> str:
    """Write a class as a name that bioimage.io takes."""
    plain = "".join(c if c.isascii() and c.isalnum() else "_" for c in name.lower())
    return plain if plain[:1].isalpha() else f"class_{place}"


def _readme(model: Model) -> str:
    document = model.document
    size = "unknown" if document.pixel_size is None else f"{document.pixel_size:g} µm per pixel"
    return f"""# {document.scheme.name}

Classes {", ".join(document.scheme.names)}, in this order. Trained with napari-lungcls on images of
{document.network.normalisation.dtype}, {size}; give intensities as they are. The network sees zeros
past the edge: give 64 pixels more on each side and cut them off. Edges are multiples of 32 pixels.
The softmax of the output gives probabilities.

## Validation

{_metrics(document.validation)}
"""


def _metrics(found: dict[str, Any] | None) -> str:
    if not found:
        return "It was not validated on points that it had not seen."
    return (
        f"{found.get('accuracy', 0):.1%} of {found.get('n', 0)} points that it had not seen right."
    )
