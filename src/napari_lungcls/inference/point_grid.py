"""A regular grid of points in a rectangle of an image plane, which may lie askew in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_TOLERANCE = 1e-9
"""In steps of the grid: rounding must not decide whether a point on the edge counts."""


@dataclass(frozen=True, eq=False)
class PointGrid:
    """Points at equal distances along y and x, within a convex outline.

    Attributes
    ----------
    rows
        `(n,)` y of the rows.
    start, spacing
        x of column 0, and pixels between neighbours.
    first, last
        `(n,)` first and last column of each row; a row without points has `last < first`.
    """

    rows: Floats
    start: float
    spacing: float
    first: NDArray[np.int64]
    last: NDArray[np.int64]

    @classmethod
    def within(cls, corners: ArrayLike, spacing: float, shape: Sequence[int]) -> PointGrid:
        """Lay a grid into a parallelogram, centred in what of it lies on the image.

        A rectangle of `a` × `b` pixels holds `⌊a / spacing⌋` × `⌊b / spacing⌋` points, but
        at least one: as many as squares of `spacing` have room, each at the middle of its.

        Parameters
        ----------
        corners
            `(4, 2)` positions `(y, x)` in pixels, in order around the outline.
        spacing
            Pixels between points.
        shape
            Height and width of the plane.
        """
        outline = _clip(np.asarray(corners, np.float64), shape)
        if not len(outline):
            none = np.empty(0, np.int64)
            return cls(np.empty(0), 0.0, spacing, none, none)
        rows = _centred(outline[:, 0], spacing)
        start = float(_centred(outline[:, 1], spacing)[0])
        left, right = _extent(outline, rows)
        first = np.ceil((left - start) / spacing - _TOLERANCE).astype(np.int64)
        last = np.floor((right - start) / spacing + _TOLERANCE).astype(np.int64)
        return cls(rows, start, spacing, first, last)

    def __len__(self) -> int:
        """Count the points, without making them."""
        return int(np.maximum(self.last - self.first + 1, 0).sum())

    def points(self) -> Floats:
        """Give the points `(n, 2)` as `(y, x)`, row by row."""
        counts = np.maximum(self.last - self.first + 1, 0)
        row = np.repeat(np.arange(len(self.rows)), counts)
        column = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        x = self.start + (self.first[row] + column) * self.spacing
        return np.column_stack([self.rows[row], x])

    def coarser(self, limit: int) -> int:
        """Give a whole spacing at which there are at most about `limit` points."""
        return math.ceil(self.spacing * math.sqrt(max(1.0, len(self) / limit)) - _TOLERANCE)


def _centred(values: Floats, spacing: float) -> Floats:
    low, high = float(values.min()), float(values.max())
    count = max(1, math.floor((high - low) / spacing + _TOLERANCE))
    steps = np.arange(count, dtype=np.float64) - (count - 1) / 2
    return (low + high) / 2 + steps * spacing


def _extent(outline: Floats, rows: Floats) -> tuple[Floats, Floats]:
    """Give the least and the greatest x of a convex outline at each row."""
    left, right = np.full(len(rows), np.inf), np.full(len(rows), -np.inf)
    for (ya, xa), (yb, xb) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        crossed = (rows >= min(ya, yb)) & (rows <= max(ya, yb))
        part = np.divide(rows - ya, yb - ya, out=np.zeros_like(rows), where=yb != ya)
        x = np.asarray(xa + part * (xb - xa), np.float64)
        # A level edge is crossed all along: its far end counts too.
        for end in (x, np.full_like(x, xb)) if ya == yb else (x,):
            left = np.where(crossed, np.minimum(left, end), left)
            right = np.where(crossed, np.maximum(right, end), right)
    empty = left > right
    return np.where(empty, 1.0, left), np.where(empty, 0.0, right)


def _clip(outline: Floats, shape: Sequence[int]) -> Floats:
    """Cut a convex outline at the outer edges of a plane's pixels (Sutherland & Hodgman 1974)."""
    for axis, size in enumerate(shape):
        for edge, sign in ((-0.5, 1.0), (size - 0.5, -1.0)):
            distance: Floats = sign * (outline[:, axis] - edge)
            outline = _cut(outline, distance)
    return outline


def _cut(outline: Floats, inside: Floats) -> Floats:
    """Keep the part of an outline where a linear function, given at its corners, is not < 0."""
    kept: list[Floats] = []
    for i, corner in enumerate(outline):
        j = (i + 1) % len(outline)
        if inside[i] >= 0:
            kept.append(corner)
        if (inside[i] < 0) != (inside[j] < 0):
            part = inside[i] / (inside[i] - inside[j])
            kept.append(corner + part * (outline[j] - corner))
    return np.array(kept, np.float64).reshape(-1, 2)
