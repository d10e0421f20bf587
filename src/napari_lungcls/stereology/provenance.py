"""What a table of points says of the design that drew them."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from napari_lungcls.annotation import Points, columns
from napari_lungcls.annotation.tables import number_text
from napari_lungcls.annotation.validation import one_line
from napari_lungcls.errors import InputError
from napari_lungcls.stereology.column_reading import (
    AS_WRITTEN,
    Pair,
    number_column,
    pair_column,
    text_column,
    whole_column,
)
from napari_lungcls.utils.names import comparable

VERSION: Literal[1] = 1
"""Of the rules by which points are drawn and hashed."""

_SHARED = {
    columns.SPACING_COLUMN: "spacing",
    columns.FIELD_SIZE_COLUMN: "field_size",
    columns.FIELD_SPACING_COLUMN: "field_spacing",
    columns.LINE_LENGTH_COLUMN: "line_length",
    columns.REPEAT_FRACTION_COLUMN: "repeat_fraction",
    columns.DESIGN_POINTS_COLUMN: "rows",
}
"""Columns that say the same in every row, and the field of the design that each is."""
_PAIRS = (columns.SPACING_COLUMN,)
_OPTIONAL = (
    columns.FIELD_SIZE_COLUMN,
    columns.FIELD_SPACING_COLUMN,
    columns.LINE_LENGTH_COLUMN,
)


class DesignPlane(BaseModel):
    """One plane that a design drew points in.

    Attributes
    ----------
    image
        File name of the image, without folders.
    plane
        Position along the axes before `(y, x)`.
    shape
        Height and width in pixels.
    offset
        Where the grid begins along y and x, in pixels from the edge of the first pixel.
    points
        Places in it, repeats not counted.
    mask
        What they had to lie in; empty for the whole plane.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str
    plane: tuple[int, ...]
    shape: tuple[int, int]
    offset: Pair
    points: int
    mask: str = ""


class GridDesign(BaseModel):
    """All that defines a grid of points.

    Attributes
    ----------
    version
        Of the rules by which points are drawn.
    seed
        Of the random numbers.
    spacing
        Pixels between points along y and x.
    field_size, field_spacing
        Edge of the fields, and pixels between the corners of neighbouring ones; None without
        fields.
    line_length
        Pixels of the test line that each point carries; None without lines.
    repeat_fraction
        Share of the places that are asked for twice.
    planes
        Those in which at least one point lies.
    rows
        Points in all, repeats included.
    content
        Hash of where they lie, of their order and of their lines.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = VERSION
    seed: int
    spacing: Pair
    field_size: int | None = None
    field_spacing: float | None = None
    line_length: float | None = None
    repeat_fraction: float
    planes: tuple[DesignPlane, ...]
    rows: int
    content: str

    @property
    def design_id(self) -> str:
        """Short hash of all of it."""
        text = self.model_dump_json().encode()
        return f"g{self.version}-{hashlib.sha256(text).hexdigest()[:12]}"

    @property
    def area_per_point(self) -> float:
        """Square pixels that one point stands for within the fields: a/p."""
        return self.spacing[0] * self.spacing[1]

    @property
    def field_fraction(self) -> float:
        """Share of the area that lies in fields; 1 without fields."""
        if self.field_size is None or self.field_spacing is None:
            return 1.0
        return (self.field_size / self.field_spacing) ** 2

    @property
    def inclusion_prob(self) -> float:
        """Probability with which any one pixel is hit."""
        return self.field_fraction / self.area_per_point


def read_design(points: Points) -> GridDesign:
    """Put the design together from the rows of its table; `check_design` says whether it is whole.

    Raises
    ------
    InputError
        When columns are missing, or rows disagree about what they must share.
    """
    seed, rows = whole_column(points, columns.SEED_COLUMN), len(points)
    shared: dict[str, Any] = {"seed": int(seed[0]) if rows else 0}
    for name, field in _SHARED.items():
        if points.column(name) is None and name in _OPTIONAL:
            continue
        found = pair_column(points, name) if name in _PAIRS else number_column(points, name)
        _check_same(points, name, found)
        shared[field] = found[0].tolist()
    _check_same(points, columns.SEED_COLUMN, seed)
    try:
        return GridDesign(**shared, planes=_planes(points), content=_content(points))
    except ValidationError as error:
        raise InputError(f"{points.source}: {one_line(error)}; {AS_WRITTEN}") from error


def plane_keys(points: Points) -> list[tuple[str, tuple[int, ...]]]:
    """Give the image and the plane of every row, the image in the form for comparing."""
    names = text_column(points, columns.IMAGE_COLUMN)
    planes = np.rint(points.coordinates[:, :-2]).astype(np.int64).tolist()
    return [(comparable(name), tuple(plane)) for name, plane in zip(names, planes, strict=True)]


def _check_same(points: Points, name: str, values: NDArray[Any]) -> None:
    other = np.flatnonzero((values != values[:1]).reshape(len(values), -1).any(axis=1))
    if other.size:
        raise InputError(
            f"{points.source}, row {points.table.index[other[0]]}: {name} differs from that of "
            f"row {points.table.index[0]}, and rows of one design share it; {AS_WRITTEN}"
        )


def _planes(points: Points) -> tuple[DesignPlane, ...]:
    """Describe the planes that have rows, in an order that does not depend on the rows'."""
    shapes = pair_column(points, columns.PLANE_SHAPE_COLUMN)
    offsets = pair_column(points, columns.OFFSET_COLUMN)
    counts = whole_column(points, columns.PLANE_POINTS_COLUMN)
    masks = points.column(columns.MASK_COLUMN)
    rows: dict[tuple[str, tuple[int, ...]], list[int]] = {}
    for row, key in enumerate(plane_keys(points)):
        rows.setdefault(key, []).append(row)
    found = []
    for (image, plane), mine in rows.items():
        part = points.select(np.array(mine))
        _check_same(part, columns.PLANE_SHAPE_COLUMN, shapes[mine])
        _check_same(part, columns.OFFSET_COLUMN, offsets[mine])
        _check_same(part, columns.PLANE_POINTS_COLUMN, counts[mine])
        first = mine[0]
        found.append(
            DesignPlane(
                image=_file_name(image),
                plane=plane,
                shape=shapes[first].tolist(),
                offset=offsets[first].tolist(),
                points=int(counts[first]),
                mask="" if masks is None else masks[first],
            )
        )
    return tuple(sorted(found, key=lambda each: (each.image, each.plane, each.offset)))


def _content(points: Points) -> str:
    """Hash what a row asks for, over all rows in their order."""
    order = whole_column(points, columns.ORDER_COLUMN)
    angles = [""] * len(points)
    if points.column(columns.LINE_ANGLE_COLUMN) is not None:
        angles = [number_text(a) for a in number_column(points, columns.LINE_ANGLE_COLUMN)]
    fields = whole_column(points, columns.FIELD_COLUMN)
    repeat_of = text_column(points, columns.REPEAT_OF_COLUMN)
    keys = plane_keys(points)
    total = hashlib.sha256()
    for row in np.argsort(order, kind="stable"):
        where = " ".join(map(number_text, points.coordinates[row]))
        line = (order[row], _file_name(keys[row][0]), where, fields[row], angles[row])
        total.update(f"{line} {repeat_of[row].strip()}\n".encode())
    return total.hexdigest()[:16]


def _file_name(image: str) -> str:
    return image.rpartition("/")[2]
