"""Blank glass in a tile, and the rectangles around what is not blank."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

GRANULE = 32
"""Edge in level pixels of the squares that are blank or not; the deepest stage's stride."""

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


def find_glass(pixels: NDArray[np.generic], tolerance: NDArray[np.float64], reach: int) -> Glass:
    """Look for squares of one colour, the commonest there is.

    Parameters
    ----------
    pixels
        `(y, x, 3)`; what is left over at the ends of whole squares is no glass.
    tolerance
        `(3,)` how far from the colour glass may lie.
    reach
        How many squares around its own a square sees.

    Returns
    -------
    Glass
    """
    low, high = _extremes(pixels)
    even = np.asarray((high - low <= 2 * tolerance).all(axis=2))
    shape = tuple(-(-n // GRANULE) for n in pixels.shape[:2])
    seen = np.ones(shape, np.bool_)
    if not even.any():
        return Glass(None, seen)
    # Of colours that are equally common the darkest is taken, so that no chance decides.
    middles, counts = np.unique((low[even] + high[even]) / 2, axis=0, return_counts=True)
    colour = middles[counts.argmax()]
    blank = ((low >= colour - tolerance) & (high <= colour + tolerance)).all(axis=2)
    seen[: blank.shape[0], : blank.shape[1]] = ~blank
    return Glass(colour, np.asarray(maximum_filter(seen, 2 * reach + 1, mode="nearest")))


def rectangles(needed: Bools, seen: Bools, reach: int) -> Iterator[tuple[Box, Box]]:
    """Cover the squares that are needed and not blank, at little cost.

    Parameters
    ----------
    needed
        Squares whose cells are asked for.
    seen
        Squares that are not blank, see `Glass`.
    reach
        How many squares around a rectangle must be computed with it.

    Yields
    ------
    core : tuple of slice
        Squares of which the cells are to be taken. No square is in two of them.
    box : tuple of slice
        Squares to compute: the core and its surroundings, where they are not blank.
    """
    wanted = needed & seen
    whole = (slice(0, seen.shape[0]), slice(0, seen.shape[1]))
    for core in _split(wanted, seen, whole, reach)[1]:
        yield core, _with_surroundings(core, seen, reach)


def _extremes(pixels: NDArray[np.generic]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the least and the greatest value of each whole square: `(rows, columns, 3)`."""
    rows, columns = (n // GRANULE for n in pixels.shape[:2])
    squares = pixels[: rows * GRANULE, : columns * GRANULE]
    if not squares.size:
        none = np.empty((rows, columns, 3))
        return none, none
    # Row by row first: numpy compares long rows many values at a time.
    lines = squares.reshape(rows, GRANULE, -1)
    shape = (rows, columns, GRANULE, 3)
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
    axis = int(part.shape[1] > part.shape[0])
    at = core[axis].start + _cut(part.sum(axis=1 - axis))
    first, second = list(core), list(core)
    first[axis], second[axis] = slice(core[axis].start, at), slice(at, core[axis].stop)
    halves = [_split(wanted, seen, (half[0], half[1]), reach) for half in (first, second)]
    if (both := sum(half[0] for half in halves)) < cost:
        return both, [*halves[0][1], *halves[1][1]]
    return cost, [core]


def _cut(counts: NDArray[np.int_]) -> int:
    """Find the emptiest line to cut at, of equally empty ones the nearest to the middle."""
    lines = np.arange(1, len(counts))
    far = np.abs(lines - len(counts) / 2)
    return int(lines[np.lexsort((far, np.minimum(counts[1:], counts[:-1])))[0]])


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
