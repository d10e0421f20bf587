"""`lungcls paint`: a map of the classes over an image."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_lungcls.cli import console
from napari_lungcls.cli.options import (
    Adapt,
    Channels,
    Device,
    EngineName,
    Image,
    Json,
    PixelSize,
    Stride,
    check_file,
    check_new,
)
from napari_lungcls.cli.remote import (
    Server,
    ServerModel,
    Shared,
    TokenFile,
    TokenInClear,
    opened_model,
)
from napari_lungcls.errors import InputError
from napari_lungcls.network.engines.protocol import Precision
from napari_lungcls.utils.humanize import percent

if TYPE_CHECKING:
    from napari_lungcls.inference.damage import Damage
    from napari_lungcls.inference.grid import Region
    from napari_lungcls.inference.run import PaintingProgress


def paint(
    model: ServerModel,
    image: Image,
    out: Annotated[
        Path, typer.Option("--out", metavar="MAP", help="MAP.ome.zarr or MAP.ome.tif to write")
    ],
    geojson: Annotated[
        Path | None,
        typer.Option(
            "--geojson", metavar="FILE", help="also write polygons of the classes, for QuPath"
        ),
    ] = None,
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
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="continue an unfinished painting; begin one if there is none"
        ),
    ] = False,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler", metavar="ADDRESS", help="paint on the Dask cluster of this scheduler"
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", help="paint with N processes on this computer"),
    ] = None,
    adapt: Adapt = False,
    pixel_size: PixelSize = None,
    channels: Channels = None,
    precision: Annotated[
        Precision,
        typer.Option("--precision", help="what the network computes with; auto checks the fastest"),
    ] = "auto",
    engine: EngineName = None,
    device: Device = "auto",
    no_glass: Annotated[
        bool, typer.Option("--no-glass", help="leave bare glass around the tissue empty")
    ] = False,
    within: Annotated[
        Path | None,
        typer.Option(
            "--within",
            metavar="FILE",
            help="leave what is outside of polygons (GeoJSON) or of labels (an image) empty",
        ),
    ] = None,
    server: Server = None,
    token_file: TokenFile = None,
    token_in_clear: TokenInClear = False,
    shared: Shared = None,
    json: Json = False,
) -> None:
    """Paint a map of the classes over an image or a stack."""
    from napari_lungcls.images.opening import open_image
    from napari_lungcls.inference.damage import as_json
    from napari_lungcls.inference.geojson import check_geojson
    from napari_lungcls.inference.grid import MapGrid
    from napari_lungcls.utils.memory import peak_memory_mb
    from napari_lungcls.utils.progress import exhaust

    if scheduler is not None and workers is not None:
        raise InputError("give --scheduler for a cluster or --workers for this computer, not both")
    area = None if region is None else parse_region(region)
    part = None if planes is None else parse_range(planes, "--planes")
    _check_output(out, overwrite=overwrite, resume=resume)
    if geojson is not None:
        check_geojson(check_file(geojson), overwrite=overwrite or resume)
    stack = open_image(image, channels).with_pixel_size(pixel_size)
    grid = MapGrid.over(stack, stride, area, part)
    place = (server, token_file, token_in_clear, shared)
    with (
        console.interruptible() as cancelled,
        opened_model(model, engine, device, *place) as loaded,
        console.progress("painting") as show,
    ):
        began = time.perf_counter()
        chosen = loaded.adapted(stack) if adapt else loaded
        run = chosen.painting(
            stack,
            stride,
            out=out,
            region=area,
            planes=part,
            probabilities=probabilities,
            overwrite=overwrite,
            precision=precision,
            resume=resume,
            scheduler=scheduler,
            workers=workers,
            cancelled=cancelled,
            no_glass=no_glass,
            within=within,
        )
        steps = _Steps(show)
        painted = exhaust(run, steps)
        if geojson is not None and not cancelled():
            outline = lambda done, total: show(done, total, "parts outlined")  # noqa: E731
            painted.save(geojson, overwrite=True, progress=outline, cancelled=cancelled)
        stopped = cancelled()
    seconds = time.perf_counter() - began
    pixels = grid.pixels * steps.share
    fractions = painted.fractions()
    result = {
        "out": str(out),
        "shape": list(painted.header.shape),
        "stride": stride,
        "precision": painted.header.provenance["precision"],
        "seconds": round(seconds, 2),
        "megapixels_per_second": round(pixels / seconds / 1e6, 3),
        "peak_rss_mb": round(peak_memory_mb(), 1),
        "fractions": fractions,
        "geojson": None if geojson is None or stopped else str(geojson),
        "damaged": as_json(steps.damage),
    }
    shares = ", ".join(f"{name} {percent(share)}" for name, share in fractions.items())
    console.answer(
        result,
        f"{pixels / 1e6:.3g} megapixels in {seconds:.1f} s: {shares}\nmap: {out}",
        as_json=json,
    )
    if stopped:
        further = "" if server else ", and --resume continues it"
        raise console.Interrupted(
            f"painting was interrupted; {out} holds what was painted until then{further}"
        )
    if steps.damage:
        raise console.Incomplete(f"{out} is not painted where {image} cannot be read, see above")


def parse_region(text: str) -> Region:
    """Turn `y0:y1,x0:x1` into slices of image pixels; any number may be left out.

    Raises
    ------
    InputError
        When the text is not of that form.
    """
    parts = text.split(",")
    if len(parts) != 2:
        raise InputError(f"--region {text}: write y0:y1,x0:x1 in pixels, such as 0:2048,512:4096")
    return parse_range(parts[0], "--region", text), parse_range(parts[1], "--region", text)


def parse_range(part: str, option: str, whole: str | None = None) -> slice:
    """Turn `a:b` into a slice; either number may be left out.

    Raises
    ------
    InputError
        When the text is not of that form.
    """
    found = re.fullmatch(r"\s*(\d{0,15}):(\d{0,15})\s*", part)
    if not found:
        raise InputError(f"{option} {whole or part}: write first:last, such as 0:100")
    first, last = found.groups()
    return slice(int(first) if first else 0, int(last) if last else None)


class _Steps:
    """Shows the progress of a painting and keeps what is said about it at the end."""

    def __init__(self, show: console.Report) -> None:
        self._show = show
        self._before: int | None = None
        self.share = 1.0
        self.damage: Damage = {}

    def __call__(self, step: PaintingProgress) -> None:
        """Take one step; `share` is the part of the map that was painted in this run."""
        if self._before is None:
            self._before = step.done
        self.share = (step.done - self._before) / step.total
        self.damage = step.damage
        self._show(step.done, step.total, "blocks")


def _check_output(out: Path, *, overwrite: bool, resume: bool) -> None:
    """Find out before the work starts whether there is room for the map."""
    from napari_lungcls.inference.formats import unfinished

    if overwrite and resume:
        raise InputError(
            "give --resume to continue a painting or --overwrite to begin anew, not both"
        )
    if not overwrite and not resume and (found := unfinished(out)):
        raise found.in_the_way(out)
    check_new(out, overwrite=overwrite or resume)
