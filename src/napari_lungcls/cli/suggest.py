"""`lungcls suggest`: places that are worth a label."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_lungcls.cli import console
from napari_lungcls.cli.options import (
    Channels,
    Device,
    EngineName,
    Image,
    Json,
    ModelFile,
    PixelSize,
    check_file,
    check_new,
)
from napari_lungcls.utils.humanize import count


def suggest(
    model: ModelFile,
    image: Image,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="CSV", help="points file to write")],
    points: Annotated[
        Path | None,
        typer.Option("--points", metavar="CSV", help="points of the image that have labels"),
    ] = None,
    n: Annotated[
        int, typer.Option("--count", "-n", metavar="N", help="how many places, at most")
    ] = 20,
    previous: Annotated[
        Path | None,
        typer.Option(
            "--previous",
            metavar="MODEL",
            help="an earlier model; places where both disagree come first",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="of the random numbers")] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="replace the points file if it exists")
    ] = False,
    pixel_size: PixelSize = None,
    channels: Channels = None,
    engine: EngineName = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Suggest places of an image whose labels would teach a model most."""
    from napari_lungcls.active_learning.suggest import PREDICTED, suggest_points
    from napari_lungcls.annotation import write_points
    from napari_lungcls.images.opening import open_image
    from napari_lungcls.images.pairs import open_pairs
    from napari_lungcls.model import load

    check_new(check_file(out), overwrite=overwrite)
    if points is None:
        stack, labelled = open_image(image, channels).with_pixel_size(pixel_size), None
    else:
        ((stack, labelled),) = open_pairs([image], [points], pixel_size, channels)
    current = load(model, engine=engine, device=device)
    before = None if previous is None else load(previous, engine=engine, device=device)
    with console.interruptible() as cancelled, console.progress("suggesting") as show:
        found = suggest_points(
            current, stack, n, labelled=labelled, previous=before, seed=seed,
            cancelled=cancelled, progress=lambda step: show(*step),
        )  # fmt: skip
    write_points(out, found)
    predicted: Any = found.column(PREDICTED)
    counts = Counter(predicted)
    said = {name: counts[name] for name in current.scheme.names}
    result = {"out": str(out), "n": len(found), "predicted": said}
    words = ", ".join(f"{number} {name}" for name, number in said.items())
    text = f"{count(len(found), 'place')} worth a label, predicted as: {words}\npoints: {out}"
    console.answer(result, text, as_json=json)
