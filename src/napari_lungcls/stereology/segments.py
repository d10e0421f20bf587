"""Test lines: where they lie, and what was counted on them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation import Points, columns
from napari_lungcls.errors import InputError
from napari_lungcls.images.geometry import outer_edges
from napari_lungcls.stereology.column_reading import number_column, pair_column, whole_column


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
