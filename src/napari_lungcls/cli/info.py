"""`lungcls info`: what this installation can do, or what a model is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from napari_lungcls.cli import console
from napari_lungcls.cli.options import Json


def info(
    model: Annotated[
        Path | None, typer.Argument(metavar="[MODEL]", help="model file to describe")
    ] = None,
    json: Json = False,
) -> None:
    """Tell about a model file, or about this installation."""
    result = _installation() if model is None else _model(model)
    console.answer(result, "\n".join(_lines(result)), as_json=json)


def _installation() -> dict[str, Any]:
    from napari_lungcls.network.engines import ENGINES, engine_status
    from napari_lungcls.network.model_file import software_versions

    return {
        "engines": {name: engine_status(name) for name in ENGINES},
        "versions": software_versions(),
    }


def _model(path: Path) -> dict[str, Any]:
    from napari_lungcls.network.model_file import read_model

    document, _ = read_model(path)
    return {"model": str(path)} | document.model_dump(mode="json")


def _lines(value: Any, indent: str = "") -> list[str]:
    """Write a document as an indented outline; long lists are counted, not printed."""
    lines = []
    for key, entry in value.items():
        if isinstance(entry, dict):
            lines += [f"{indent}{key}:", *_lines(entry, indent + "  ")]
        elif isinstance(entry, list) and entry and isinstance(entry[0], dict):
            lines.append(f"{indent}{key}: {len(entry)} entries (--json shows them)")
        elif isinstance(entry, list):
            lines.append(f"{indent}{key}: {', '.join(map(str, entry))}")
        else:
            lines.append(f"{indent}{key}: {'–' if entry is None else entry}")
    return lines
