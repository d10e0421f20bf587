"""`lungcls grid`: points for an audit, drawn at random."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_lungcls.cli import console
from napari_lungcls.cli.options import Images, Json, check_file, check_new
from napari_lungcls.errors import InputError
from napari_lungcls.utils.humanize import percent

if TYPE_CHECKING:
    from napari_lungcls.images.stack import ImageStack
    from napari_lungcls.stereology.design_check import CheckedDesign
    from napari_lungcls.stereology.drawing import SampledImage

FRACTIONS = (0.05, 0.2, 0.5)
"""Volume fractions for which the expected error is said."""


def grid(
    images: Images,
    spacing: Annotated[
        str,
        typer.Option("--spacing", metavar="PX", help="pixels between points; or along y,x: 64,32"),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="CSV", help="points file to write")],
    fields: Annotated[
        int | None,
        typer.Option("--fields", metavar="N", help="only in N square fields per plane, on average"),
    ] = None,
    field_size: Annotated[
        int | None, typer.Option("--field-size", metavar="PX", help="edge of the fields in pixels")
    ] = None,
    lines: Annotated[
        float | None,
        typer.Option("--lines", metavar="PX", help="length of a test line through each point"),
    ] = None,
    mask: Annotated[
        list[str] | None,
        typer.Option(
            "--mask",
            metavar="FILE",
            help="where points may lie: labels, polygons or a map; one for each image, in order",
        ),
    ] = None,
    mask_class: Annotated[
        str | None,
        typer.Option(
            "--mask-class",
            metavar="NAME",
            help="class of the masks; of maps parenchyma or lung too",
        ),
    ] = None,
    repeat: Annotated[
        float, typer.Option("--repeat", metavar="X", help="share of the points that is asked twice")
    ] = 0.1,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="of the random numbers")] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="replace the points file if it exists")
    ] = False,
    json: Json = False,
) -> None:
    """Draw points for an observer to judge blind: a systematic uniform random sample."""
    from napari_lungcls.annotation import write_points
    from napari_lungcls.images.opening import open_image
    from napari_lungcls.stereology.design import make_grid
    from napari_lungcls.stereology.design_check import check_design

    check_new(check_file(out), overwrite=overwrite)
    if mask is not None and len(mask) != len(images):
        raise InputError(
            f"{len(mask)} masks for {len(images)} images; give one --mask for each image, in the "
            "same order"
        )
    if mask_class is not None and mask is None:
        raise InputError("--mask-class names a class of a mask; give --mask too")
    stacks = [open_image(image) for image in images]
    sampled = [
        _sampled(stack, out.absolute().parent, mask[place] if mask else None, mask_class)
        for place, stack in enumerate(stacks)
    ]
    points = make_grid(
        sampled,
        _spacing(spacing),
        fields=fields,
        field_size=field_size,
        lines=lines,
        seed=seed,
        repeat_fraction=repeat,
    )
    checked = check_design(points)
    write_points(out, points)
    result = _result(checked, sampled, out)
    console.answer(result, "\n".join(_lines(result)), as_json=json)


def _sampled(
    stack: ImageStack, folder: Path, mask: str | None, mask_class: str | None
) -> SampledImage:
    from napari_lungcls.images.pairs import image_name
    from napari_lungcls.stereology.drawing import SampledImage
    from napari_lungcls.stereology.masks import read_mask

    found = None if mask is None else read_mask(mask, stack.shape, mask_class)
    return SampledImage(image_name(stack, folder), stack.shape, found, stack.pixel_size)


def _spacing(text: str) -> float | tuple[float, float]:
    try:
        first, *rest = (float(word) for word in text.split(","))
        return (first, rest[0]) if len(rest) == 1 else _only(first, rest)
    except ValueError:
        raise InputError(f"--spacing {text}: give pixels, such as 64, or 64,32") from None


def _only(first: float, rest: list[float]) -> float:
    if rest:
        raise ValueError
    return first


def _result(checked: CheckedDesign, sampled: list[SampledImage], out: Path) -> dict[str, Any]:
    from napari_lungcls.stereology.design import expected_ce

    design = checked.design
    places = int(checked.estimates.sum())
    sizes = {image.pixel_size for image in sampled}
    return {
        "out": str(out),
        "design_id": design.design_id,
        "seed": design.seed,
        "points": design.rows,
        "places": places,
        "repeats": len(checked.repeats),
        "spacing": list(design.spacing),
        "field_size": design.field_size,
        "field_spacing": design.field_spacing,
        "line_length": design.line_length,
        "inclusion_prob": design.inclusion_prob,
        "pixel_size": sizes.pop() if len(sizes) == 1 else None,
        "planes": [
            {"image": each.image, "plane": list(each.plane), "points": each.points}
            for each in design.planes
        ],
        "expected_ce": {f"{fraction:g}": expected_ce(fraction, places) for fraction in FRACTIONS},
    }


def _lines(result: dict[str, Any]) -> Iterator[str]:
    counts: Counter[str] = Counter()
    planes: Counter[str] = Counter()
    for each in result["planes"]:
        counts[each["image"]] += each["points"]
        planes[each["image"]] += 1
    yield f"{result['places']} points, {result['repeats']} of them asked twice: {result['out']}"
    for name, count in counts.items():
        more = f" in {planes[name]} planes" if planes[name] > 1 else ""
        yield f"  {name}: {count}{more}"
    y, x = result["spacing"]
    size = result["pixel_size"]
    area = "" if size is None else f", {y * x * size**2:.4g} µm²"
    fields = ""
    if result["field_size"] is not None:
        fields = f" of a field, or {1 / result['inclusion_prob']:,.0f} of the sections"
    yield f"each stands for {y * x:g} pixels{area}{fields}; design {result['design_id']}"
    errors = ", ".join(
        f"{percent(ce)} for {percent(float(fraction), 0)}"
        for fraction, ce in result["expected_ce"].items()
    )
    yield f"error (CE) to expect of a volume fraction, if points are independent: {errors}"
