"""`lungcls augment`: a picture of what training would make of some tiles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from napari_lungcls.cli import console
from napari_lungcls.cli.options import (
    Channels,
    Images,
    Json,
    PixelSize,
    Tables,
    check_file,
    with_settings,
)
from napari_lungcls.errors import InputError
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.settings_data import AugmentationSettings

SHOWN = {*AugmentationSettings.model_fields, "zooms", "tile", "seed"}
"""Settings of which the picture depends; the other ones of `train` change nothing in it."""


@with_settings(TrainingSettings, only=SHOWN)
def augment(
    images: Images,
    points: Tables,
    out: Annotated[Path, typer.Option("--out", metavar="PNG", help="picture to write")],
    classes: Annotated[
        str, typer.Option("--classes", metavar="NAME|FILE", help="preset or scheme file")
    ] = "lung",
    per_class: Annotated[
        int, typer.Option("--per-class", metavar="N", min=1, help="points of each class")
    ] = 2,
    columns: Annotated[
        int, typer.Option("--columns", metavar="N", min=2, help="tiles in a row")
    ] = 8,
    pixel_size: PixelSize = None,
    channels: Channels = None,
    json: Json = False,
    **settings: Any,
) -> None:
    """Show what training makes of the tiles around a few points."""
    from napari_lungcls.annotation import ClassScheme
    from napari_lungcls.images.pairs import open_pairs
    from napari_lungcls.learning.augmentation_preview import preview_augmentation
    from napari_lungcls.reporting.pictures import write_picture

    chosen = TrainingSettings.check(**settings)
    scheme = ClassScheme.parse(classes)
    if out.suffix.lower() != ".png":
        raise InputError(f"--out {out}: the picture is a PNG; give a name that ends in .png")
    check_file(out)
    pairs = open_pairs(images, points, pixel_size, channels)
    picture = preview_augmentation(pairs, chosen, scheme, per_class=per_class, columns=columns)
    write_picture(out, picture)
    height, width = picture.shape[:2]
    result = {"out": str(out), "width": width, "height": height}
    console.answer(result, f"picture: {out} ({width} × {height} pixels)", as_json=json)
