"""`lungcls export`: a model for another program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_lungcls.cli import console
from napari_lungcls.cli.options import Json, ModelFile, one_of


def export(
    model: ModelFile,
    to: Annotated[
        str, typer.Option("--to", metavar="FORMAT", help="onnx, torchvision, bioimageio or wsinfer")
    ],
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FILE", help=".onnx, .pth or .zip file, or folder"),
    ],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="replace the output if it exists")
    ] = False,
    json: Json = False,
) -> None:
    """Write a model for another program, checked against the model."""
    from napari_lungcls.export import ExportFormat, export_model
    from napari_lungcls.model import load

    kind: ExportFormat = one_of("--to", to, ExportFormat)
    written = export_model(load(model, device="cpu"), out, kind, overwrite=overwrite)
    result = {"format": to, "files": [str(path) for path in written]}
    console.answer(result, "\n".join(f"wrote {path}" for path in written), as_json=json)
