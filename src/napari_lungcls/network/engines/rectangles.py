"""Rectangles of squares: covering some of them at little cost."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

PIECE = 12 * 32**2
"""What a rectangle costs beside its pixels, in pixels: its margins and its calls."""

APART = 1.15
"""How much longer a pixel takes where more than one rectangle must be put together."""

Bools = NDArray[np.bool_]
Box = tuple[slice, slice]

Edges = tuple[bool, bool, bool, bool]
"""Of a part: whether nothing follows on its left, right, upper and lower side."""


def scaled(box: Box, factor: int) -> Box:
    """Give a box in smaller units."""
    y, x = (slice(side.start * factor, side.stop * factor) for side in box)
    return y, x


def area(box: Box) -> int:
    """Count what is in a box."""
    return int(math.prod(side.stop - side.start for side in box))


def rectangles(seen: Bools, granule: int) -> list[Box]:
    """Cover squares by rectangles that do not overlap, at little cost.

    Parameters
    ----------
    seen
        `(rows, columns)` the squares; some others may be covered with them.
    granule
        Their edge in pixels.
    """
    whole = (slice(0, seen.shape[0]), slice(0, seen.shape[1]))
    fixed = PIECE / granule**2
    cost, found = _split(seen, whole, fixed)
    if found and fixed + seen.size <= APART * cost:
        return [whole]
    return found


def parts(seen: Bools, granule: int, most: int) -> Iterator[tuple[slice, slice, Edges]]:
    """Cut what is not blank into parts that are computed from the pixels on.

    Parameters
    ----------
    seen
        `(rows, columns)` squares that are not blank.
    granule
        Their edge in pixels.
    most
        Squares along a side of a part, at most.

    Yields
    ------
    y, x
        The part's pixels.
    edges
        Whether there is nothing but glass, or the tile's end, beside it.
    """
    around = np.pad(seen, 1)
    for box in rectangles(seen, granule):
        for rows, columns in product(*(_shared_out(side, most) for side in box)):
            near = around[rows.start : rows.stop + 2, columns.start : columns.stop + 2]
            sides = (near[:, 0], near[:, -1], near[0], near[-1])
            left, right, top, bottom = (not side.any() for side in sides)
            y, x = scaled((rows, columns), granule)
            yield y, x, (left, right, top, bottom)


def _shared_out(side: slice, most: int) -> Iterator[slice]:
    """Cut a side into parts of about the same size."""
    count = side.stop - side.start
    edge = -(-count // -(-count // most))
    for start in range(side.start, side.stop, edge):
        yield slice(start, min(start + edge, side.stop))


def _split(seen: Bools, within: Box, fixed: float) -> tuple[float, list[Box]]:
    """Choose between one rectangle and two halves, and so on in each of them."""
    box = _trimmed(seen, within)
    if box is None:
        return 0.0, []
    part = seen[box]
    cost = fixed + part.size
    # Two halves cost a rectangle more, and save no more than the empty squares.
    if part.size - np.count_nonzero(part) <= fixed:
        return cost, [box]
    (_, at, axis) = min((*_best_cut(part if i == 0 else part.T), i) for i in (0, 1))
    at += box[axis].start
    first, second = list(box), list(box)
    first[axis], second[axis] = slice(box[axis].start, at), slice(at, box[axis].stop)
    halves = [_split(seen, (half[0], half[1]), fixed) for half in (first, second)]
    if (both := sum(half[0] for half in halves)) < cost:
        return both, [*halves[0][1], *halves[1][1]]
    return cost, [box]


def _best_cut(part: Bools) -> tuple[float, int]:
    """Find the row before which a cut leaves the least to compute, and how much that is."""
    if len(part) < 2:
        return math.inf, 0
    areas = [_areas_from_top(part), _areas_from_top(part[::-1])[::-1]]
    left = areas[0][:-1] + areas[1][1:]
    at = int(left.argmin())
    return float(left[at]), at + 1


def _areas_from_top(part: Bools) -> NDArray[np.int_]:
    """Give the area of the box around the first 1, 2, … rows, of which the first has squares."""
    count = part.shape[1]
    full = part.any(axis=1)
    first = np.minimum.accumulate(np.where(full, part.argmax(axis=1), count))
    last = np.maximum.accumulate(np.where(full, count - part[:, ::-1].argmax(axis=1), 0))
    # Empty rows before the cut are not computed.
    height = np.maximum.accumulate(np.where(full, np.arange(1, len(part) + 1), 0))
    return np.asarray(height * (last - first))


def _trimmed(seen: Bools, within: Box) -> Box | None:
    """Shrink a rectangle to what is seen in it."""
    part = seen[within]
    rows, columns = (np.flatnonzero(part.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    top, left = (side.start for side in within)
    return (
        slice(int(top + rows[0]), int(top + rows[-1] + 1)),
        slice(int(left + columns[0]), int(left + columns[-1] + 1)),
    )
