"""`lungcls info`: what this installation can do, or what a model is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from napari_lungcls.cli import console
from napari_lungcls.cli.options import Json, check_file
from napari_lungcls.errors import InputError


def info(
    model: Annotated[
        Path | None, typer.Argument(metavar="[MODEL]", help="model file to describe")
    ] = None,
    card: Annotated[
        Path | None,
        typer.Option("--card", metavar="FILE.md", help="also write the model card as Markdown"),
    ] = None,
    json: Json = False,
) -> None:
    """Show the card of a model file, or tell about this installation."""
    if model is None:
        if card is not None:
            raise InputError(f"--card {card}: name the model that it is of")
        result = _installation()
        console.answer(result, "\n".join(_lines(result)), as_json=json)
        return
    from napari_lungcls.evaluation.model_card import ModelCard
    from napari_lungcls.network.model_file import read_model
    from napari_lungcls.utils.atomic_write import write_whole

    document, _ = read_model(model)
    found = ModelCard.of_file(model, document)
    if card is not None:
        write_whole(check_file(card), found.markdown().encode())
    result = {"model": str(model)} | document.model_dump(mode="json") | {"card": found.to_json()}
    console.answer(result, found.text(), as_json=json)


def _installation() -> dict[str, Any]:
    from napari_lungcls.network.engines import ENGINES, engine_status
    from napari_lungcls.network.model_file import software_versions

    return {
        "engines": {name: engine_status(name) for name in ENGINES},
        "versions": software_versions(),
    }


def _lines(value: dict[str, Any], indent: str = "") -> list[str]:
    """Write a document as an indented outline."""
    lines = []
    for key, entry in value.items():
        if isinstance(entry, dict):
            lines += [f"{indent}{key}:", *_lines(entry, indent + "  ")]
        elif isinstance(entry, list):
            lines.append(f"{indent}{key}: {', '.join(map(str, entry))}")
        else:
            lines.append(f"{indent}{key}: {entry}")
    return lines
