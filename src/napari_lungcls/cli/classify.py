"""`lungcls classify`: what a model says at points."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from napari_lungcls.cli import console
from napari_lungcls.cli.console import progress
from napari_lungcls.cli.options import (
    Adapt,
    Channels,
    Device,
    EngineName,
    Image,
    Json,
    PixelSize,
    check_file,
)
from napari_lungcls.cli.remote import (
    Server,
    ServerModel,
    Shared,
    TokenFile,
    TokenInClear,
    opened_model,
)


def classify(
    model: ServerModel,
    image: Image,
    points: Annotated[Path, typer.Option("--points", metavar="CSV", help="points to classify")],
    out: Annotated[Path, typer.Option("--out", metavar="CSV", help="points file to write")],
    adapt: Adapt = False,
    pixel_size: PixelSize = None,
    channels: Channels = None,
    engine: EngineName = None,
    device: Device = "auto",
    server: Server = None,
    token_file: TokenFile = None,
    token_in_clear: TokenInClear = False,
    shared: Shared = None,
    json: Json = False,
) -> None:
    """Add the columns predicted and p_<class> to a points file."""
    from napari_lungcls.annotation import write_points
    from napari_lungcls.images.pairs import open_pairs
    from napari_lungcls.inference.at_points import classified_table
    from napari_lungcls.network.decision import predicted_counts
    from napari_lungcls.network.suitability import warn_of_misfits

    check_file(out)
    ((stack, table),) = open_pairs([image], [points], pixel_size, channels)
    place = (server, token_file, token_in_clear, shared)
    with opened_model(model, engine, device, *place) as loaded, progress("classifying") as show:
        probabilities = np.empty((len(table), len(loaded.scheme)), np.float32)
        done = 0
        warn_of_misfits(stack, loaded.document)
        chosen = loaded.adapted(stack) if adapt else loaded
        for rows, found in chosen.predictions_at(stack, table.coordinates, table.source):
            probabilities[rows] = found
            done += len(rows)
            show(done, len(table), "")
    threshold = loaded.document.threshold
    write_points(out, classified_table(table, probabilities, loaded.scheme, threshold))
    counts = predicted_counts(probabilities, loaded.scheme.names, threshold)
    result = {"out": str(out), "n": len(table), "counts": counts}
    text = ", ".join(f"{n} {name}" for name, n in counts.items())
    console.answer(result, f"{len(table)} points: {text}\npoints: {out}", as_json=json)
