"""`lungcls measure`: from painted maps and answered test points to the numbers of a paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_lungcls.cli import console
from napari_lungcls.cli.options import Json


def measure(
    maps: Annotated[list[Path], typer.Argument(help="painted maps", metavar="MAP")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="folder to write into")],
    audit: Annotated[
        list[Path] | None,
        typer.Option("--audit", metavar="CSV...", help="answered test points of `lungcls grid`"),
    ] = None,
    lines: Annotated[
        list[Path] | None,
        typer.Option("--lines", metavar="CSV...", help="answered test lines; may be the same file"),
    ] = None,
    sections: Annotated[
        Path | None,
        typer.Option(
            "--sections", metavar="CSV", help="section, animal and group of every image and plane"
        ),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option("--mask", metavar="FILE", help="image or GeoJSON; what lies in it counts"),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes",
            metavar="NAME|FILE",
            help="phases and roles of the classes  [default: the maps' own]",
        ),
    ] = None,
    spacing: Annotated[
        float | None,
        typer.Option(
            "--spacing",
            metavar="PX",
            help="count the maps only at points this far apart, with a random offset",
        ),
    ] = None,
    smoothness: Annotated[
        int,
        typer.Option(
            "--smoothness",
            metavar="0|1",
            min=0,
            max=1,
            help="of areas from section to section, for the error of volumes: 1 smooth, 0 not",
        ),
    ] = 1,
    correct_shrinkage: Annotated[
        bool,
        typer.Option(
            "--correct-shrinkage",
            help="set lengths and surfaces back to before shrinkage, as --sections has it",
        ),
    ] = False,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="of what is random")] = 0,
    json: Json = False,
) -> None:
    """Measure fractions, surfaces and lengths per parenchyma, with honest errors."""
    from napari_lungcls.annotation import ClassScheme, read_points
    from napari_lungcls.inference.painted import read_map
    from napari_lungcls.reporting.measures import shown, write_measures
    from napari_lungcls.reporting.page_folder import check_report_folder
    from napari_lungcls.stereology.masks import mask_of_map
    from napari_lungcls.stereology.measure import measure as measure_maps
    from napari_lungcls.stereology.sections import read_sections
    from napari_lungcls.stereology.units import best

    check_report_folder(out)
    painted = [read_map(path) for path in maps]
    tables = {path: read_points(path) for path in dict.fromkeys([*(audit or ()), *(lines or ())])}
    with console.interruptible() as cancelled, console.progress("measuring") as show:
        found = measure_maps(
            painted,
            [tables[path] for path in audit or ()],
            [tables[path] for path in lines or ()],
            None if sections is None else read_sections(sections),
            classes=None if classes is None else ClassScheme.parse(classes),
            mask=None if mask is None else lambda each: mask_of_map(mask, each.header),
            smoothness=1 if smoothness else 0,
            correct_shrinkage=correct_shrinkage,
            spacing=spacing,
            seed=seed,
            progress=lambda done, total: show(done, total, "blocks"),
            cancelled=cancelled,
        )
    if found is None:
        raise console.Interrupted("interrupted; nothing was written")
    page = write_measures(out, found)
    measures = found.measures
    told = [f"{symbol} {shown(best(values))}" for symbol, values in measures.parameters.items()]
    text = "\n".join([*told, *measures.warnings, str(page)])
    console.answer(measures.document(), text, as_json=json)
