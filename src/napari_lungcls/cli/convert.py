"""`lungcls convert`: points and maps into the files of other programs, and points out of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from napari_lungcls.cli import console
from napari_lungcls.cli.options import Channels, Json, check_new
from napari_lungcls.errors import InputError

_FORMATS = "csv, qupath, cell-counter, imagej, cellfinder, cellfinder-yaml, asap"


def convert(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="points file of any program, or a painted map")
    ],
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            help="points: .csv, .geojson, .roi, .yml, or .xml with --format; "
            "maps: .geojson, .masks, .ome.tif, .ome.zarr",
        ),
    ],
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="NAME", help=f"of the points to write: {_FORMATS}"),
    ] = None,
    origin: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="NAME", help="of the points to read, where two programs' are alike"
        ),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes",
            metavar="NAME|FILE",
            help="preset or scheme file, for numbers and colours of the classes",
        ),
    ] = None,
    image: Annotated[
        str | None,
        typer.Option(
            "--image", metavar="IMAGE", help="image of the points: how many planes, and its name"
        ),
    ] = None,
    channels: Channels = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="replace the output if it exists")
    ] = False,
    json: Json = False,
) -> None:
    """Convert points or maps for QuPath, Fiji and others."""
    from napari_lungcls.inference.formats import is_map

    check_new(out, overwrite=overwrite)
    if source.exists() and is_map(source):
        given = {
            "--format": form, "--from": origin, "--classes": classes, "--image": image,
            "--channels": channels,
        }  # fmt: skip
        if said := [name for name, value in given.items() if value is not None]:
            raise InputError(f"{said[0]} is for points, and {source} is a map; leave it out")
        result = _map(source, out, overwrite=overwrite)
        text = f"wrote the map {out}"
    else:
        result = _points(source, out, form, origin, classes, image, channels)
        text = f"wrote {result['points']} points: {out}"
    console.answer(result, text, as_json=json)


def _map(source: Path, out: Path, *, overwrite: bool) -> dict[str, Any]:
    from napari_lungcls.inference.painted import read_map

    painted = read_map(source)
    with console.progress("writing") as report, console.interruptible() as cancelled:
        saved = painted.save(
            out,
            overwrite=overwrite,
            progress=lambda done, total: report(done, total, ""),
            cancelled=cancelled,
        )
    if saved is None:
        raise console.Interrupted(f"interrupted; {out} is not written")
    return {"out": str(out), "map": str(source), "classes": list(painted.scheme.names)}


def _points(
    source: Path,
    out: Path,
    form: str | None,
    origin: str | None,
    classes: str | None,
    image: str | None,
    channels: str | None,
) -> dict[str, Any]:
    from napari_lungcls.annotation import ClassScheme, read_points, write_points
    from napari_lungcls.annotation.formats.catalogue import format_to_write
    from napari_lungcls.images.opening import open_image
    from napari_lungcls.images.pairs import points_on

    format_to_write(out, form)
    scheme = None if classes is None else ClassScheme.parse(classes)
    stack = None if image is None else open_image(image, channels)
    try:
        points = read_points(source, kind=origin, classes=scheme, image=stack)
    except InputError as error:
        if "kind" not in error.remedies:
            raise
        names = " or ".join(f"--from {name}" for name in _kinds(error))
        raise InputError(error.problem, suggestion=f"use {names}") from None
    if image is not None and stack is not None:
        points = points_on(image, stack, points, source)
    write_points(out, points, kind=form, classes=scheme, image=stack)
    counts: dict[str, int] = {}
    for label in points.labels if points.labels is not None else ():
        counts[str(label)] = counts.get(str(label), 0) + 1
    return {"out": str(out), "points": len(points), "axes": points.ndim, "classes": counts}


def _kinds(error: InputError) -> list[str]:
    """Give all formats that an error proposes to say."""
    parts = error.suggestion if isinstance(error.suggestion, list | tuple) else [error.suggestion]
    return [str(part["kind"]) for part in parts if isinstance(part, dict) and "kind" in part]
