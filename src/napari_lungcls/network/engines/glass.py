"""Blank glass in a tile, and the pieces that are not blank."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects, label, maximum_filter

GRANULE = 32
"""Edge in level pixels of the squares that are computed or not; the deepest stage's stride."""

GRAIN = 16
"""Edge of the smaller squares that are of one colour or not."""

ASKED = 1000
"""Grains that are asked for their colour, at most."""

PIECE = 16.0
"""What a rectangle costs beside its squares, in squares: small ones are computed less well."""

Bools = NDArray[np.bool_]
Box = tuple[slice, slice]


@dataclass(frozen=True)
class Glass:
    """Which squares of a tile see nothing but glass.

    Attributes
    ----------
    colour
        `(3,)` the glass, or None where there is none.
    seen
        `(rows, columns)` squares from which something else is seen.
    """

    colour: NDArray[np.float64] | None
    seen: Bools


@dataclass(frozen=True)
class Piece:
    """A rectangle of squares to compute.

    Attributes
    ----------
    core
        The rectangle of which cells are taken,
    own
        and those of its squares that they are taken of.
    box
        What is to be computed for them: the core and its surroundings, where they are not
        blank.
    """

    core: Box
    own: Bools
    box: Box


def find_glass(pixels: NDArray[np.generic], tolerance: NDArray[np.float64], sight: int) -> Glass:
    """Look for squares of one colour, the commonest there is.

    Parameters
    ----------
    pixels
        `(y, x, 3)`; what is left over at the ends of whole grains is no glass.
    tolerance
        `(3,)` how far from the colour glass may lie.
    sight
        How many pixels around its own a square sees.

    Returns
    -------
    Glass
    """
    low, high = _extremes(pixels)
    even = np.asarray((high - low <= 2 * tolerance).all(axis=2))
    per = GRANULE // GRAIN
    shape = tuple(-(-n // GRANULE) for n in pixels.shape[:2])
    if not even.any():
        return Glass(None, np.ones(shape, np.bool_))
    middles = (low[even] + high[even]) / 2
    # Some thousand of them tell. Of colours that are equally common the darkest is taken.
    middles, counts = np.unique(middles[:: 1 + len(middles) // ASKED], axis=0, return_counts=True)
    colour = middles[counts.argmax()]
    blank = ((low >= colour - tolerance) & (high <= colour + tolerance)).all(axis=2)
    seen = np.ones((per * shape[0], per * shape[1]), np.bool_)
    seen[: blank.shape[0], : blank.shape[1]] = ~blank
    seen = np.asarray(maximum_filter(seen, 2 * -(-sight // GRAIN) + 1, mode="nearest"))
    return Glass(colour, np.asarray(seen.reshape(shape[0], per, shape[1], per).any(axis=(1, 3))))


def pieces(needed: Bools, seen: Bools, reach: int) -> Iterator[Piece]:
    """Cover the squares that are needed and not blank, at little cost.

    Parameters
    ----------
    needed
        Squares whose cells are asked for.
    seen
        Squares that are not blank, see `Glass`.
    reach
        How many squares around its own a piece must be computed with.

    Yields
    ------
    Piece
        Every square that is wanted belongs to one of them.
    """
    labels, _ = label(seen, np.ones((3, 3)))
    for number, (rows, columns) in enumerate(find_objects(labels), 1):
        # Specks of dust lie apart: what lies between them is none of their business.
        here = labels == number
        wanted = here & needed
        for core in _split(wanted, here, (rows, columns), reach)[1]:
            yield Piece(core, wanted[core], _with_surroundings(core, here, reach))


def _extremes(pixels: NDArray[np.generic]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the least and the greatest value of each whole grain: `(rows, columns, 3)`."""
    rows, columns = (n // GRAIN for n in pixels.shape[:2])
    if not rows * columns:
        none = np.empty((rows, columns, 3))
        return none, none
    # Row by row first: numpy compares long rows many values at a time.
    lines = pixels[: rows * GRAIN, : columns * GRAIN].reshape(rows, GRAIN, -1)
    shape = (rows, columns, GRAIN, 3)
    low, high = lines.min(axis=1).reshape(shape), lines.max(axis=1).reshape(shape)
    return low.min(axis=2).astype(np.float64), high.max(axis=2).astype(np.float64)


def _split(wanted: Bools, seen: Bools, within: Box, reach: int) -> tuple[float, list[Box]]:
    """Choose between one rectangle and two halves, and so on in each of them."""
    core = _trimmed(wanted, within)
    if core is None:
        return 0.0, []
    box = _with_surroundings(core, seen, reach)
    cost = PIECE + _area(box)
    part = wanted[core]
    if part.all() or cost <= PIECE + part.sum():
        return cost, [core]
    (_, at, axis) = min((*_best_cut(part if i == 0 else part.T, reach), i) for i in (0, 1))
    at += core[axis].start
    first, second = list(core), list(core)
    first[axis], second[axis] = slice(core[axis].start, at), slice(at, core[axis].stop)
    halves = [_split(wanted, seen, (half[0], half[1]), reach) for half in (first, second)]
    if (both := sum(half[0] for half in halves)) < cost:
        return both, [*halves[0][1], *halves[1][1]]
    return cost, [core]


def _best_cut(part: Bools, reach: int) -> tuple[float, int]:
    """Find the row before which a cut leaves the least to compute, and how much that is."""
    if len(part) < 2:
        return math.inf, 0
    areas = [_areas_from_top(part, reach), _areas_from_top(part[::-1], reach)[::-1]]
    left = areas[0][:-1] + areas[1][1:]
    at = int(left.argmin())
    return float(left[at]), at + 1


def _areas_from_top(part: Bools, reach: int) -> NDArray[np.int_]:
    """Give the area of the box around the first 1, 2, … rows, with what it needs behind a cut."""
    count = part.shape[1]
    full = part.any(axis=1)
    first = np.minimum.accumulate(np.where(full, part.argmax(axis=1), count))
    last = np.maximum.accumulate(np.where(full, count - part[:, ::-1].argmax(axis=1), 0))
    rows = np.arange(1, len(part) + 1)
    behind = np.where(full, reach, 0)
    # Empty rows before the cut are not computed.
    used = np.maximum.accumulate(np.where(full, rows, 0))
    height = used + behind - (full.argmax() if full.any() else 0)
    return np.asarray(np.maximum(height, 0) * np.maximum(last - first, 0))


def _trimmed(wanted: Bools, within: Box) -> Box | None:
    """Shrink a rectangle to what is wanted in it."""
    part = wanted[within]
    rows, columns = (np.flatnonzero(part.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    top, left = (side.start for side in within)
    return (
        slice(int(top + rows[0]), int(top + rows[-1] + 1)),
        slice(int(left + columns[0]), int(left + columns[-1] + 1)),
    )


def _with_surroundings(core: Box, seen: Bools, reach: int) -> Box:
    wide = tuple(
        slice(max(0, side.start - reach), min(n, side.stop + reach))
        for side, n in zip(core, seen.shape, strict=True)
    )
    found = _trimmed(seen, (wide[0], wide[1]))
    assert found is not None, "a rectangle of what is not blank holds something"
    return found


def _area(box: Box) -> int:
    return int(np.prod([side.stop - side.start for side in box]))
