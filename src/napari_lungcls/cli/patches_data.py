"""`lungcls patches info` and `export`: what patch data sets hold, and making them of points."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_lungcls.cli import console
from napari_lungcls.cli.options import Channels, Classes, Images, Json, Tables, check_file

if TYPE_CHECKING:
    from napari_lungcls.patch_datasets.dataset import PatchData

Data = Annotated[
    list[str],
    typer.Argument(
        metavar="DATA...",
        help="HDF5 (.h5, .h5.gz), .npz, .manifest or .lst files, or a folder per class",
    ),
]
Attribute = Annotated[
    str | None,
    typer.Option(
        "--attribute", metavar="NAME", help="of a manifest with several attributes, the class"
    ),
]


def info(
    data: Data,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", metavar="PNG", help="contact sheet to write")
    ] = None,
    classes: Classes = None,
    attribute: Attribute = None,
    json: Json = False,
) -> None:
    """Tell counts, sizes and mean colours of patch data sets."""
    from napari_lungcls.annotation import ClassScheme
    from napari_lungcls.patch_datasets.summary import summarise, write_sheet
    from napari_lungcls.utils.progress import exhaust

    if sheet is not None:
        check_file(sheet)
    patches = opened(data, attribute=attribute, labelled=False)
    scheme = patches.scheme(None if classes is None else ClassScheme.parse(classes))
    with console.progress("reading") as show:
        result = exhaust(summarise(patches, scheme), lambda step: show(*step))
    if sheet is not None:
        result["sheet"] = str(write_sheet(sheet, patches, scheme))
    console.answer(result, _told(result), as_json=json)


def export(
    images: Images,
    points: Tables,
    out: Annotated[Path, typer.Option("--out", metavar="PATH", help="file or folder to make")],
    kind: Annotated[
        str, typer.Option("--format", metavar="NAME", help="hdf5, npz, folder, manifest or lst")
    ] = "hdf5",
    size: Annotated[int, typer.Option("--size", metavar="N", help="edge of the patches")] = 96,
    compress: Annotated[
        bool, typer.Option("--gzip", help="make .h5.gz files, or a compressed .npz")
    ] = False,
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes", metavar="NAME|FILE",
            help="preset or scheme file  [default: what the points name]",
        ),
    ] = None,
    channels: Channels = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Write a patch around every labelled point."""
    from napari_lungcls.images.pairs import open_pairs
    from napari_lungcls.patch_datasets.export import exporting
    from napari_lungcls.utils.progress import exhaust

    pairs = open_pairs(images, points, channels=channels)
    with console.progress("exporting") as show, console.interruptible() as cancelled:
        run = exporting(
            pairs, classes, out, kind=kind, size=size, compress=compress, cancelled=cancelled,  # type: ignore[arg-type]
        )  # fmt: skip
        made = exhaust(run, lambda step: show(*step))
    result = {
        "out": [str(path) for path in made.paths],
        "n": made.n,
        "size": size,
        "format": kind,
        "classes": list(made.scheme.names),
    }
    said = "\n".join(f"  {path}" for path in made.paths)
    console.answer(result, f"{made.n} patches of {size} pixels:\n{said}", as_json=json)


def opened(
    data: Sequence[str], *, attribute: str | None = None, labelled: bool = True
) -> PatchData:
    """Open data sets, with progress."""
    from napari_lungcls.patch_datasets.opening import open_patches

    with console.progress("opening") as show:
        return open_patches(
            data, labelled=labelled, attribute=attribute, progress=lambda step: show(*step)
        )


def _told(result: dict[str, Any]) -> str:
    lines = [
        f"{result['n']} patches of {result['height']} × {result['width']} pixels, {result['dtype']}"
    ]
    for part in result["parts"]:
        lines.append(f"{part['source']}{' (' + part['part'] + ')' if part['part'] else ''}:")
        counts = part["counts"]
        said = ", ".join(f"{n} {name}" for name, n in counts.items()) if counts else "no classes"
        lines.append(f"  {part['n']} patches: {said}")
        if part["groups"] is not None:
            lines.append(f"  {part['groups']} groups")
        mean = ", ".join(f"{v:.1f}" for v in part["mean_colour"])
        spread = ", ".join(f"{v:.1f}" for v in part["sd_colour"])
        lines.append(
            f"  mean colour {mean}, standard deviation {spread} (of {part['colour_from']} patches)"
        )
    return "\n".join([*lines, *([f"sheet: {result['sheet']}"] if "sheet" in result else [])])
