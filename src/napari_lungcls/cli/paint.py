"""`lungcls paint`: a map of the classes over an image."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from napari_lungcls.cli import console
from napari_lungcls.cli.options import (
    Device,
    EngineName,
    Image,
    Json,
    ModelFile,
    PixelSize,
    Stride,
    check_new,
)
from napari_lungcls.network.engines.painting import Precision


def paint(
    model: ModelFile,
    image: Image,
    out: Annotated[
        Path, typer.Option("--out", metavar="MAP", help="MAP.ome.zarr or MAP.ome.tif to write")
    ],
    stride: Stride = 4,
    region: Annotated[
        str | None,
        typer.Option(
            "--region", metavar="Y0:Y1,X0:X1", help="image pixels to paint  [default: all]"
        ),
    ] = None,
    planes: Annotated[
        str | None,
        typer.Option("--planes", metavar="A:B", help="planes to paint  [default: all]"),
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="also write the classes' probabilities")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="replace the output if it exists")
    ] = False,
    pixel_size: PixelSize = None,
    precision: Annotated[
        Precision,
        typer.Option("--precision", help="what the network computes with; auto checks the fastest"),
    ] = "auto",
    engine: EngineName = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Paint a map of the classes over an image or a stack."""
    from napari_lungcls.generators import exhaust
    from napari_lungcls.imaging.sources import open_image
    from napari_lungcls.memory import peak_memory_mb
    from napari_lungcls.model import load
    from napari_lungcls.painting.grid import MapGrid, parse_range, parse_region

    area = None if region is None else parse_region(region)
    part = None if planes is None else parse_range(planes, "--planes")
    check_new(out, overwrite=overwrite)
    stack = open_image(image).with_pixel_size(pixel_size)
    grid = MapGrid.over(stack, stride, area, part)
    loaded = load(model, engine=engine, device=device)
    began = time.perf_counter()
    with console.progress("painting") as show, console.interruptible() as cancelled:
        run = loaded.painting(
            stack,
            stride,
            out=out,
            region=area,
            planes=part,
            probabilities=probabilities,
            overwrite=overwrite,
            precision=precision,
            cancelled=cancelled,
        )
        painted = exhaust(run, lambda p: show(p.done, p.total, "blocks"))
        stopped = cancelled()
    seconds = time.perf_counter() - began
    fractions = painted.fractions()
    result = {
        "out": str(out),
        "shape": list(painted.header.shape),
        "stride": stride,
        "precision": painted.header.provenance["precision"],
        "seconds": round(seconds, 2),
        "megapixels_per_second": round(grid.pixels / seconds / 1e6, 3),
        "peak_rss_mb": round(peak_memory_mb(), 1),
        "fractions": fractions,
    }
    shares = ", ".join(f"{name} {console.percent(share)}" for name, share in fractions.items())
    console.answer(
        result,
        f"{grid.pixels / 1e6:.3g} megapixels in {seconds:.1f} s: {shares}\nmap: {out}",
        as_json=json,
    )
    if stopped:
        raise console.Interrupted(
            f"painting was interrupted; {out} holds what was painted until then"
        )
