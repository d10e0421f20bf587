"""Systematic uniform random sampling: grids of points for an observer to judge blind."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_lungcls.annotation import Points, columns
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.stereology.column_reading import Pair, pair_text
from napari_lungcls.stereology.drawing import (
    DrawnPlane,
    Fields,
    SampledImage,
    draw_plane,
    shuffled,
)
from napari_lungcls.stereology.provenance import read_design
from napari_lungcls.utils.names import comparable

SAME_SIZE = 1.02
"""Ratio of pixel sizes up to which they count as equal."""

MOST_POINTS = 50_000
"""More than anybody judges; a smaller spacing is a slip."""


def make_grid(
    images: Sequence[SampledImage],
    spacing: float | Pair,
    *,
    fields: int | None = None,
    field_size: int | None = None,
    lines: float | None = None,
    seed: int = 0,
    repeat_fraction: float = 0.1,
) -> Points:
    """Draw a systematic uniform random sample of points, for an observer to judge.

    Every plane of every image has a square grid with a random offset of its own, so every pixel
    is hit with the same probability. All points come in one random order, so the observer does
    not know what comes next; some are asked for a second time, for the observer's own error.

    Parameters
    ----------
    images
        What to draw in.
    spacing
        Pixels between points, 1 at least; one number or one for y and one for x.
    fields
        Draw only in this many square fields per plane, on average. They form a coarser
        systematic grid, equally far apart in all planes, so that larger sections have more of
        them; those that an edge cuts count by their part.
    field_size
        Edge of the fields in pixels.
    lines
        Length in pixels of test lines, of isotropic random direction, whose middles the points
        are; see `segments`.
    seed
        Of the random numbers. Another sample of the same images needs another seed.
    repeat_fraction
        Share of the places that are asked for twice.

    Returns
    -------
    Points
        Without classes, at the centres of pixels, with the columns of docs/formats.md.

    Raises
    ------
    InputError
        When the numbers make no sample, or nothing lies in the masks.

    Warns
    -----
    LungclsWarning
        When the images have different pixel sizes, so that their points stand for different areas.

    Examples
    --------
    >>> points = lc.make_grid([lc.SampledImage("section.ome.tif", (192, 192))], 48, lines=20)
    >>> len(points), set(points.column("source")), points.column("line_length")[0]
    (18, {'audit'}, '20')
    """
    apart = _checked(images, spacing, fields, field_size, lines, seed, repeat_fraction)
    square = None
    if fields is not None and field_size is not None:
        square = _spread(images, fields, field_size)
    _check_count(images, apart, square)
    _warn_of_pixel_sizes(images)
    children = np.random.SeedSequence(seed).spawn(1 + len(images))
    drawn = [
        draw_plane(image, plane, apart, square, np.random.default_rng(child))
        for image, source in zip(images, children[1:], strict=True)
        for plane, child in zip(
            np.ndindex(*image.shape[:-2]), source.spawn(math.prod(image.shape[:-2])), strict=True
        )
    ]
    if not any(len(each.pixels) for each in drawn):
        raise InputError(
            "no point of the grid lies in the images and their masks",
            suggestion="take a smaller spacing, or another mask",
        )
    points = _table(drawn, lines, repeat_fraction, np.random.default_rng(children[0]))
    constant: dict[str, Any] = {
        columns.SEED_COLUMN: seed,
        columns.SPACING_COLUMN: pair_text(apart),
        columns.INCLUSION_PROB_COLUMN: (square.size / square.apart if square else 1.0) ** 2
        / (apart[0] * apart[1]),
        columns.REPEAT_FRACTION_COLUMN: float(repeat_fraction),
        columns.DESIGN_POINTS_COLUMN: len(points),
    }
    if square is not None:
        constant[columns.FIELD_SIZE_COLUMN] = square.size
        constant[columns.FIELD_SPACING_COLUMN] = square.apart
    points = points.with_columns(**constant)
    return points.with_columns(**{columns.DESIGN_ID_COLUMN: read_design(points).design_id})


def expected_ce(fraction: float, n: int) -> float:
    """Coefficient of error of a volume fraction from `n` independent points.

    `CE² = (1 − V_V) / (V_V · n)`, the binomial error; clustering makes it larger, a regular grid
    smaller.
    """
    return math.sqrt((1 - fraction) / (fraction * n))


def _checked(
    images: Sequence[SampledImage],
    spacing: float | Pair,
    fields: int | None,
    field_size: int | None,
    lines: float | None,
    seed: int,
    repeat_fraction: float,
) -> Pair:
    """Refuse numbers that make no sample; give the spacing along y and x."""
    pair = spacing if isinstance(spacing, tuple) else (spacing, spacing)
    if not all(math.isfinite(value) and value >= 1 for value in pair):
        raise InputError(f"{pair_text(pair)}: give pixels, 1 or more", setting="spacing")
    if (fields is None) != (field_size is None):
        missing = "field_size" if field_size is None else "fields"
        raise InputError("fields need both a number and a size", suggestion={missing: ...})
    if fields is not None and fields < 1:
        raise InputError(f"{fields}: give a number of fields, 1 or more", setting="fields")
    if field_size is not None and field_size < 1:
        raise InputError(f"{field_size}: give pixels, 1 or more", setting="field_size")
    if lines is not None and not (math.isfinite(lines) and lines > 0):
        raise InputError(f"{lines:g}: give a length in pixels", setting="lines")
    if seed < 0:
        raise InputError(f"{seed}: give a whole number from 0 on", setting="seed")
    if not 0 <= repeat_fraction <= 0.5:
        raise InputError(
            f"{repeat_fraction:g}: give a share between 0 and 0.5", setting="repeat_fraction"
        )
    names = [comparable(image.name) for image in images]
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise InputError(f"{twice} is given twice; name each image once")
    if len({len(image.shape) for image in images}) != 1:
        raise InputError(
            "images in planes and in stacks cannot share a table; draw points for one kind at a "
            "time"
        )
    return float(pair[0]), float(pair[1])


def _spread(images: Sequence[SampledImage], fields: int, size: int) -> Fields:
    """Put fields as far apart as gives the wanted number per plane on average."""
    planes = sum(math.prod(image.shape[:-2]) for image in images)
    apart = math.sqrt(sum(image.area for image in images) / (fields * planes))
    if size > math.floor(apart):
        raise InputError(
            f"{fields} fields of {size} pixels per plane would overlap",
            suggestion="take fewer or smaller ones",
        )
    return Fields(size, round(apart, 3))  # few enough digits for any spreadsheet


def _check_count(images: Sequence[SampledImage], spacing: Pair, square: Fields | None) -> None:
    share = (square.size / square.apart) ** 2 if square else 1.0
    pixels = sum(math.prod(image.shape) for image in images) * share
    count = pixels / (spacing[0] * spacing[1])
    if count > MOST_POINTS and any(image.mask is not None for image in images):
        pixels = sum(image.area for image in images) * share
        count = pixels / (spacing[0] * spacing[1])
    if count > MOST_POINTS:
        enough = math.ceil(math.sqrt(pixels / 1000))
        raise InputError(
            f"a spacing of {pair_text(spacing)} pixels would make about {count:,.0f} points, more "
            "than anybody judges",
            suggestion=({"spacing": enough}, "for about 1000"),
        )


def _warn_of_pixel_sizes(images: Sequence[SampledImage]) -> None:
    sizes = [image.pixel_size for image in images if image.pixel_size is not None]
    if sizes and max(sizes) > SAME_SIZE * min(sizes):
        warnings.warn(
            f"the images have pixels of {min(sizes):g} to {max(sizes):g} µm, so their points stand "
            "for different areas; draw a sample for each size, with spacings that are equal in µm",
            LungclsWarning,
            stacklevel=3,
        )


def _table(
    drawn: Sequence[DrawnPlane],
    lines: float | None,
    repeat_fraction: float,
    rng: np.random.Generator,
) -> Points:
    """Put the places of all planes into one random order, with repeats."""
    where = np.concatenate(
        [
            np.concatenate([np.broadcast_to(d.plane, (len(d.pixels), len(d.plane))), d.pixels], 1)
            for d in drawn
        ]
    )
    owner = np.repeat(np.arange(len(drawn)), [len(d.pixels) for d in drawn])
    rows, repeat_of = shuffled(len(where), repeat_fraction, rng)
    sampled = [drawn[number] for number in owner[rows]]
    extra: dict[str, Any] = {
        columns.SOURCE_COLUMN: columns.AUDIT,
        columns.IMAGE_COLUMN: [d.image.name for d in sampled],
        columns.ORDER_COLUMN: np.arange(len(rows)),
        columns.REPEAT_OF_COLUMN: [None if first < 0 else first for first in repeat_of.tolist()],
        columns.OFFSET_COLUMN: [pair_text(d.offset) for d in sampled],
        columns.PLANE_SHAPE_COLUMN: [pair_text(d.image.shape[-2:]) for d in sampled],
        columns.PLANE_POINTS_COLUMN: [len(d.pixels) for d in sampled],
    }
    if any(d.image.mask is not None for d in drawn):
        extra[columns.MASK_COLUMN] = [
            d.image.mask.description if d.image.mask else "" for d in sampled
        ]
    extra[columns.FIELD_COLUMN] = np.concatenate([d.fields for d in drawn])[rows]
    if lines is not None:
        angles = np.round(rng.random(len(where)) * 180, 3) % 180
        extra[columns.LINE_LENGTH_COLUMN] = float(lines)
        extra[columns.LINE_ANGLE_COLUMN] = angles[rows]
        extra[columns.CROSSINGS_COLUMN] = ""
    return Points.build(where[rows], [""] * len(rows), **extra)
