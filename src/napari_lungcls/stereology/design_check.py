"""Reading a judged sample back: whether it is still the sample that a design drew."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation import Points, columns
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.stereology.column_reading import (
    AS_WRITTEN,
    number_column,
    pair_column,
    text_column,
    whole_column,
)
from napari_lungcls.stereology.drawing import lattice
from napari_lungcls.stereology.provenance import (
    VERSION,
    GridDesign,
    plane_keys,
    read_design,
)
from napari_lungcls.utils.names import comparable

_DRAW = "draw points with a design first"


@dataclass(frozen=True, eq=False)
class CheckedDesign:
    """A sample that may be estimated from.

    Attributes
    ----------
    design
        What drew it.
    estimates
        `(n,)` rows that estimates are made of: all but the repeats.
    repeats
        `(m, 2)` rows that ask for the same place: first, and again.
    missing
        Rows of the design that the table lacks.
    unanswered
        Rows without a class.
    uncounted
        Rows with a test line whose crossings are not counted; 0 without lines.
    """

    design: GridDesign
    estimates: NDArray[np.bool_]
    repeats: NDArray[np.intp]
    missing: int
    unanswered: int
    uncounted: int


def check_design(points: Points) -> CheckedDesign:
    """Make sure that points are the sample that a design drew, and find its repeats.

    The hash covers all rows, so a table that is whole cannot have been changed. Where rows are
    missing it says nothing; then each row must lie on the grid, and a warning counts what is
    missing: points that were left out because they were difficult make estimates wrong.

    Parameters
    ----------
    points
        The whole table of the design; tables of single images are joined before. Classes and
        crossings may be answered or not.

    Raises
    ------
    InputError
        When the points are of no design or of several, some were placed or labelled otherwise,
        came twice, or were moved.

    Warns
    -----
    LungclsWarning
        When rows are missing.
    """
    _check_source(points)
    name = _only_design(points)
    if not name.startswith(f"g{VERSION}-"):
        raise InputError(
            f"{points.source}: the design {name!r} is of another version; update this program, or "
            f"{AS_WRITTEN}"
        )
    design = read_design(points)
    order = whole_column(points, columns.ORDER_COLUMN)
    _check_order(points, order, design)
    _check_places(points, design)
    repeats = _repeats(points, order)
    missing = design.rows - len(points)
    if missing:
        _warn_of_missing(points, design, missing)
    elif design.design_id != name:
        raise InputError(
            f"{points.source}: the points are not those that the design {name} drew: positions, "
            f"images, the order or the test lines were changed; {AS_WRITTEN}"
        )
    labels = points.labels
    crossings = points.column(columns.CROSSINGS_COLUMN)
    return CheckedDesign(
        design,
        np.array([not comparable(text) for text in points.table[columns.REPEAT_OF_COLUMN]], bool),
        repeats,
        missing,
        len(points) if labels is None else _empty(labels),
        0 if crossings is None else _empty(crossings),
    )


def _empty(texts: NDArray[np.object_]) -> int:
    return sum(not comparable(text) for text in texts)


def _check_source(points: Points) -> None:
    """Refuse points that no design drew: where people place points is no random sample."""
    if points.column(columns.DESIGN_ID_COLUMN) is None or not len(points):
        raise InputError(
            f"{points.source}: there is no column {columns.DESIGN_ID_COLUMN!r}, so no design drew "
            f"these points; {_DRAW}"
        )
    foreign = np.flatnonzero(~points.is_audit)
    if foreign.size:
        found = points.column(columns.SOURCE_COLUMN)
        said = "" if found is None else found[foreign[0]]
        raise InputError(
            f"{points.source}, row {points.table.index[foreign[0]]}: the column "
            f"{columns.SOURCE_COLUMN!r} has {said!r}, not {columns.AUDIT!r}, in {foreign.size} "
            "rows: points that were placed, suggested or corrected are no random sample; keep them "
            "in a table of their own"
        )


def _only_design(points: Points) -> str:
    names = [comparable(name) for name in text_column(points, columns.DESIGN_ID_COLUMN)]
    different = list(dict.fromkeys(names))
    if len(different) > 1:
        raise InputError(
            f"{points.source}: rows of {len(different)} designs ({', '.join(different)}); keep "
            "each design in a table of its own"
        )
    return different[0]


def _check_order(points: Points, order: NDArray[np.int64], design: GridDesign) -> None:
    unique, first = np.unique(order, return_index=True)
    if len(unique) < len(order):
        again = np.setdiff1d(np.arange(len(order)), first)[0]
        raise InputError(
            f"{points.source}, row {points.table.index[again]}: the point number {order[again]} "
            "of the design stands twice; remove the row that is not the observer's answer"
        )
    if unique[-1] >= design.rows:
        raise InputError(
            f"{points.source}: has a point number {unique[-1]}, but the design {design.rows} "
            f"points; {AS_WRITTEN}"
        )


def _check_places(points: Points, design: GridDesign) -> None:
    """Refuse points that do not lie on the grid of their plane."""
    shapes = pair_column(points, columns.PLANE_SHAPE_COLUMN)
    offsets = pair_column(points, columns.OFFSET_COLUMN)
    on_grid: dict[tuple[float, float, float], set[int]] = {}
    for row, at in enumerate(points.coordinates[:, -2:]):
        for value, *axis in zip(at, shapes[row], design.spacing, offsets[row], strict=True):
            extent, spacing, offset = axis
            if not 0 <= offset < spacing:
                raise InputError(
                    f"{points.source}, row {points.table.index[row]}: the offset {offset:g} is not "
                    f"below the spacing {spacing:g}; {AS_WRITTEN}"
                )
            known = on_grid.setdefault(
                (extent, spacing, offset), set(lattice(int(extent), spacing, offset).tolist())
            )
            if value not in known:
                raise InputError(
                    f"{points.source}, row {points.table.index[row]}: the point at "
                    f"({at[0]:g}, {at[1]:g}) does not lie on the grid of its design, so it was "
                    f"moved or added; {AS_WRITTEN}"
                )
    probability = number_column(points, columns.INCLUSION_PROB_COLUMN)
    if not np.allclose(probability, design.inclusion_prob, rtol=1e-3):
        raise InputError(
            f"{points.source}: the column {columns.INCLUSION_PROB_COLUMN!r} does not fit the "
            f"spacing; {AS_WRITTEN}"
        )


def _repeats(points: Points, order: NDArray[np.int64]) -> NDArray[np.intp]:
    """Find the rows that ask for the same place; those whose first is missing are left out."""
    row_of = {int(number): row for row, number in enumerate(order)}
    found = []
    for row, text in enumerate(text_column(points, columns.REPEAT_OF_COLUMN)):
        if not comparable(text):
            continue
        first = row_of.get(int(text)) if text.strip().isdecimal() else None
        if first is None:
            continue
        if not np.array_equal(points.coordinates[first], points.coordinates[row]):
            raise InputError(
                f"{points.source}, row {points.table.index[row]}: does not lie where row "
                f"{points.table.index[first]} does, which it repeats; {AS_WRITTEN}"
            )
        found.append((first, row))
    return np.array(found, np.intp).reshape(-1, 2)


def _warn_of_missing(points: Points, design: GridDesign, missing: int) -> None:
    first = [not comparable(text) for text in points.table[columns.REPEAT_OF_COLUMN]]
    images = [key[0].rpartition("/")[2] for key in plane_keys(points.select(np.array(first)))]
    wanted: dict[str, int] = {}
    for plane in design.planes:
        wanted[plane.image] = wanted.get(plane.image, 0) + plane.points
    lacking = [f"{name} {n - images.count(name)}" for name, n in wanted.items()
               if images.count(name) < n]  # fmt: skip
    where = f" ({', '.join(lacking[:5])}{', …' if len(lacking) > 5 else ''})" if lacking else ""
    warnings.warn(
        f"{points.source}: {missing} of the {design.rows} points of the design "
        f"{points.table[columns.DESIGN_ID_COLUMN].iloc[0]} are missing{where}. Estimates are wrong "
        "if they were left out for what they show; put them back, or join the tables of all images",
        LungclsWarning,
        stacklevel=3,
    )
