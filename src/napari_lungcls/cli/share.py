"""`lungcls pull` and `lungcls push`: models from and to others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_lungcls.cli import console
from napari_lungcls.cli.options import Json, ModelFile

_WHERE = "hf://owner/name@revision/model.safetensors or https://...#sha256=..."


def pull(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help=_WHERE)],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="MODEL", help="model file to write  [default: its own name]"),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="replace the file if it exists")
    ] = False,
    max_mb: Annotated[
        float, typer.Option("--max-mb", metavar="N", min=0.001, help="megabytes it may have")
    ] = 1000,
    json: Json = False,
) -> None:
    """Fetch a model from the Hugging Face hub or the web, checked before it is there."""
    from napari_lungcls.sharing.exchange import pull as fetch

    with console.progress("fetching") as show:
        found = fetch(
            address,
            out,
            overwrite=overwrite,
            max_mb=max_mb,
            progress=lambda done, total: show(done, total or done + 1, "bytes"),
        )
    result = {
        "out": str(found.path),
        "address": str(found.address),
        "sha256": found.address.sha256,
        "checked": found.checked,
        "card": found.card.to_json(),
    }
    said = "has the checksum that was told" if found.checked else NOT_CHECKED
    text = f"{found.card.text()}\nmodel: {found.path}\nfrom: {found.address}\n{said}"
    console.answer(result, text, as_json=json)


NOT_CHECKED = (
    "nobody told its checksum: compare it with who publishes the model, and give the address above "
    "to others, so that they get the same file"
)


def push(
    model: ModelFile,
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="hf://owner/name, also with @branch and /file")
    ],
    public: Annotated[
        bool, typer.Option("--public", help="let everybody see a repository that is made")
    ] = False,
    message: Annotated[
        str | None, typer.Option("--message", metavar="TEXT", help="of the commit")
    ] = None,
    json: Json = False,
) -> None:
    """Publish a model with its card on the Hugging Face hub."""
    from napari_lungcls.sharing.exchange import push as send

    made = send(model, address, public=public, message=message or "")
    card = "README.md" if made.card_written else None
    result = {"address": str(made.address), "sha256": made.address.sha256, "card": card}
    kept = "" if card else "\nthe README.md there is not ours and was left as it is"
    console.answer(result, f"published: {made.address}{kept}", as_json=json)
