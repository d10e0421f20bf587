"""`lungcls compare`: two models at the same labelled points."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_lungcls.cli import console
from napari_lungcls.cli.options import (
    Channels,
    Device,
    EngineName,
    Images,
    Json,
    ModelFile,
    PixelSize,
    Tables,
)


def compare(
    model_a: ModelFile,
    model_b: Annotated[Path, typer.Argument(help="another model file", metavar="MODEL")],
    images: Images,
    points: Tables,
    pixel_size: PixelSize = None,
    channels: Channels = None,
    engine: EngineName = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Tell which of two models is right where the other is wrong, and whether that is chance.

    Points that a model learned from are not counted.
    """
    from napari_lungcls.evaluation.compare import comparing
    from napari_lungcls.images.pairs import open_pairs
    from napari_lungcls.images.stack import check_inside
    from napari_lungcls.model import load
    from napari_lungcls.utils.progress import exhaust

    pairs = open_pairs(images, points, pixel_size, channels)
    for stack, table in pairs:
        check_inside(stack, table.coordinates, table.source)
    names = [model_a.stem, model_b.stem]
    if names[0] == names[1]:
        names = [str(model_a), str(model_b)]
    first, second = (
        (name, load(path, engine=engine, device=device))
        for name, path in zip(names, (model_a, model_b), strict=True)
    )
    with console.progress("comparing") as show:
        found = exhaust(comparing(first, second, pairs), lambda step: show(*step, "predictions"))
    assert found is not None
    summary = found.summary
    console.answer(summary.model_dump(mode="json"), "\n".join(summary.lines()), as_json=json)
