"""Test lines: where they lie, what an observer counted on them, and what a map says there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_lungcls.annotation import Points, columns
from napari_lungcls.annotation.schemes import Phase
from napari_lungcls.errors import InputError
from napari_lungcls.images.geometry import from_map_edge, outer_edges
from napari_lungcls.inference.map_data import MapData
from napari_lungcls.stereology.column_reading import number_column, pair_column, whole_column
from napari_lungcls.stereology.phase_map import (
    AIR,
    NONE,
    TISSUE,
    Bytes,
    PhaseMap,
    cell_size_um,
)

BLOCK = 512
"""Edge of the blocks, in cells, that are read at once."""

VISITS = 2**20
"""Cells along segments that are held at once, unless a single segment has more."""

_SAME = 1e-9
"""Cells: a segment that is in a cell for less went through its corner."""

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SegmentCounts:
    """What a map says along test segments.

    A slanted segment meets the staircase of cells more often than the outline that the staircase
    stands for: by up to √2 times, 4/π times over all directions [D]. So compare intersections of
    the map per `path_um` with those of an observer per `length_um`; along rows, columns and the
    diagonals through the middles of cells the two lengths agree, but for the ends.

    Attributes
    ----------
    intersections
        `(n,)` int64, transitions between air and tissue from cell to cell.
    length_um
        `(n,)`, length of the segment in cells that are air or tissue.
    air_um
        `(n,)`, the part of it in air.
    path_um
        `(n,)`, length from the middle of one cell to that of the next, where both are air or
        tissue.
    """

    intersections: Integers
    length_um: Floats
    air_um: Floats
    path_um: Floats


def count_segments(
    painted: MapData,
    phases: Sequence[Phase],
    start: ArrayLike,
    end: ArrayLike,
    *,
    plane: tuple[int, ...] = (),
    mask: Any = None,
    cell_um: tuple[float, float] | None = None,
) -> SegmentCounts:
    """Count the surfaces of a map along segments, cell by cell.

    All cells that a segment touches are visited in order; only where it goes through the corner
    of four cells, it steps from one to the opposite one. A border belongs to the cell with the
    larger coordinates, so that the parts of a segment that is cut add up to the whole, unless it
    is cut exactly in such a corner; and it does not matter from which end a segment is walked.

    Parameters
    ----------
    painted
        The map.
    phases
        `air`, `tissue` or `none` for each class, in the order of the codes.
    start, end
        `(n, 2)`, data pixels `(y, x)` of the painted image.
    plane
        Index of the plane along the leading axes.
    mask
        As for `count_map`.
    cell_um
        Height and width of a cell in µm; None takes them from the map.

    Raises
    ------
    InputError
        When segments, plane, phases, mask or cell size do not fit, or the map is damaged.
    """
    source, header = PhaseMap(painted, phases, mask), painted.header
    cell = np.array(cell_size_um(header, cell_um))
    if len(plane) != len(header.shape) - 2:
        raise InputError(f"{plane} is no plane of a map of shape {header.shape}", setting="plane")
    first, last = (
        from_map_edge(_points(ends, name) - np.array(header.origin), header.stride)
        for ends, name in ((start, "start"), (end, "end"))
    )
    if first.shape != last.shape:
        raise InputError(f"has {len(last)} points, start {len(first)}", setting="end")
    size = np.array(header.shape[-2:])
    intersections = np.zeros(len(first), np.int64)
    length, air, path = (np.zeros(len(first)) for _ in range(3))
    for part in _parts(first, last, size):
        walk = _walked(first[part], last[part], size)
        phase = _phases_at(source, plane, walk.cells)
        inside = (walk.leave - walk.enter) * np.hypot(*((last - first)[part] * cell).T)[walk.owner]
        count = part.stop - part.start
        length[part] = np.bincount(walk.owner, inside * (phase != NONE), count)
        air[part] = np.bincount(walk.owner, inside * (phase == AIR), count)
        paired = (walk.owner[1:] == walk.owner[:-1]) & (phase[1:] != NONE) & (phase[:-1] != NONE)
        owner = walk.owner[1:][paired]
        steps = np.hypot(*(np.diff(walk.cells, axis=0)[paired] * cell).T)
        path[part] = np.bincount(owner, steps, count)
        met = (phase[1:] | phase[:-1])[paired] == AIR | TISSUE
        intersections[part] = np.bincount(owner[met], minlength=count)
    return SegmentCounts(intersections, length, air, path)


@dataclass(frozen=True, eq=False)
class _Walk:
    """Cells along segments, in order: whose, which, and from where to where (0 to 1)."""

    owner: Integers
    cells: Integers
    enter: Floats
    leave: Floats


def _walked(first: Floats, last: Floats, size: Integers) -> _Walk:
    """Walk along segments, given in cells from the map's edge.

    Cells off the map count as one beyond each side.
    """
    low, high = (np.clip(np.floor(ends), -1, size).astype(np.int64) for ends in (first, last))
    count = len(first)
    owners, enters, steps = [np.arange(count)], [np.full(count, -1.0)], [np.zeros((count, 2), int)]
    for axis in (0, 1):
        crossed = np.abs(high - low)[:, axis]
        owner = np.repeat(np.arange(count), crossed)
        nth = np.arange(len(owner)) - np.repeat(np.cumsum(crossed) - crossed, crossed)
        sign = np.sign(high - low)[owner, axis]
        border = low[owner, axis] + (sign > 0) + sign * nth
        span = (last - first)[owner, axis]
        owners.append(owner)
        enters.append(np.clip((border - first[owner, axis]) / span, 0.0, 1.0))
        steps.append(sign[:, np.newaxis] * np.eye(2, dtype=np.int64)[axis])
    owner, enter, step = (np.concatenate(parts) for parts in (owners, enters, steps))
    order = np.lexsort((enter, owner))
    owner, enter, moved = owner[order], enter[order], np.cumsum(step[order], axis=0)
    begins = np.flatnonzero(enter < 0)
    cells = low[owner] + moved - moved[begins][owner]
    enter = np.maximum(enter, 0.0)
    leave = np.append(enter[1:], 1.0)
    leave[begins[1:] - 1] = 1.0
    ends = np.append(begins[1:], len(owner)) - 1
    kept = (leave - enter) * np.hypot(*(last - first).T)[owner] > _SAME
    kept[begins] = kept[ends] = True
    return _Walk(owner[kept], cells[kept], enter[kept], leave[kept])


def _parts(first: Floats, last: Floats, size: Integers) -> Iterator[slice]:
    """Cut the segments into runs that visit a bounded number of cells each."""
    ends = (np.clip(np.floor(points), -1, size) for points in (first, last))
    visits = 1 + np.abs(np.subtract(*ends)).sum(axis=1).astype(np.int64)
    start = 0
    while start < len(visits):
        stop = start + max(1, int(np.searchsorted(np.cumsum(visits[start:]), VISITS, "right")))
        yield slice(start, min(stop, len(visits)))
        start = stop


def _phases_at(source: PhaseMap, plane: tuple[int, ...], cells: Integers) -> Bytes:
    """Read the phases of cells `(m, 2)`, from one block after the other; `NONE` off the map."""
    phase = np.zeros(len(cells), np.uint8)
    on_map = np.flatnonzero(((cells >= 0) & (cells < source.painted.header.shape[-2:])).all(axis=1))
    _, which = np.unique(cells[on_map] // BLOCK, axis=0, return_inverse=True)
    order = np.argsort(which.ravel(), kind="stable")
    for chosen in np.split(on_map[order], np.flatnonzero(np.diff(which.ravel()[order])) + 1):
        if len(chosen):
            low, high = cells[chosen].min(axis=0), cells[chosen].max(axis=0) + 1
            rows, columns = slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))
            block = source.phase(source.classes(plane, rows, columns))
            phase[chosen] = block[tuple((cells[chosen] - low).T)]
    return phase


def _points(points: ArrayLike, name: str) -> Floats:
    found = np.asarray(points, np.float64)
    if found.ndim != 2 or found.shape[1] != 2 or not np.isfinite(found).all():
        raise InputError("should be (y, x) of points, all of them finite", setting=name)
    return found


def segments(points: Points) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the ends of the test lines of all points, repeats included.

    A line belongs to the sample if its middle does (the associated point rule), so all of it
    counts, also where it leaves the mask or the field. Only the edge of the image cuts it: what
    is left is between the ends, and estimates divide by the length that is left.

    Returns
    -------
    start, end : ndarray, (n, 2), float64
        `(y, x)` in pixels of the plane.

    Raises
    ------
    InputError
        When the points have no test lines.
    """
    length = number_column(points, columns.LINE_LENGTH_COLUMN)
    angle = np.deg2rad(number_column(points, columns.LINE_ANGLE_COLUMN))
    shape = pair_column(points, columns.PLANE_SHAPE_COLUMN)
    first, last = outer_edges(shape)
    middle = points.coordinates[:, -2:]
    along = np.stack([np.sin(angle), np.cos(angle)], axis=1)

    def end(direction: NDArray[np.float64]) -> NDArray[np.float64]:
        edge = np.where(direction > 0, last, first)
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.where(direction == 0, np.inf, (edge - middle) / direction)
        found: NDArray[np.float64] = (
            middle + np.minimum(reach.min(axis=1), length / 2)[:, np.newaxis] * direction
        )
        return found

    return end(-along), end(along)


def crossings(points: Points) -> NDArray[np.float64]:
    """Read how often each test line crosses a surface, `(n,)`; NaN where nobody counted yet.

    Raises
    ------
    InputError
        When the points have no such column, or a cell is no whole number from 0 on.
    """
    found = points.column(columns.CROSSINGS_COLUMN)
    if found is None:
        raise InputError(f"{points.source}: the points have no test lines; draw them with lines")
    counted = np.array([bool(text.strip()) for text in found], np.bool_)
    values = np.full(len(points), np.nan)
    values[counted] = whole_column(points.select(counted), columns.CROSSINGS_COLUMN)
    return values
