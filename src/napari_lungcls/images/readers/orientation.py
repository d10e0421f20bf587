"""Pictures that are stored in another position than they are shown (TIFF, EXIF: Orientation)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_ROWS_FROM_END, _COLUMNS_FROM_END, _TURNED = (3, 4, 6, 7), (2, 3, 7, 8), (5, 6, 7, 8)
"""Orientations in which the picture shows stored rows or columns from the end, or both swapped."""


def upright(
    pixels: NDArray[Any], orientation: int, rows: int = 0, columns: int = 1
) -> NDArray[Any]:
    """Turn and mirror stored pixels as a picture is shown (CIPA DC-008, Orientation).

    Parameters
    ----------
    pixels
        As they are stored.
    orientation
        1 to 8.
    rows, columns
        Axes of the stored rows and columns.
    """
    if orientation in _ROWS_FROM_END:
        pixels = np.flip(pixels, rows)
    if orientation in _COLUMNS_FROM_END:
        pixels = np.flip(pixels, columns)
    return np.swapaxes(pixels, rows, columns) if orientation in _TURNED else pixels


class Turned:
    """An array on disk that is turned upright while it is read.

    Parameters
    ----------
    array
        As it is stored.
    rows, columns
        Its axes of rows and columns.
    orientation
        2 to 8.
    """

    def __init__(self, array: Any, rows: int, columns: int, orientation: int) -> None:
        self.array, self.dtype = array, np.dtype(array.dtype)
        self._axes, self._orientation = (rows, columns), orientation
        shape = list(array.shape)
        if orientation in _TURNED:
            shape[rows], shape[columns] = shape[columns], shape[rows]
        self.shape = tuple(shape)

    def __getitem__(self, key: tuple[int | slice, ...]) -> NDArray[Any]:
        """Read a region; an entry for every axis, slices with start, stop and step."""
        rows, columns = self._axes
        stored = [slice(k, k + 1, 1) if isinstance(k, int) else k for k in key]
        if self._orientation in _TURNED:
            stored[rows], stored[columns] = stored[columns], stored[rows]
        for axis, from_end in ((rows, _ROWS_FROM_END), (columns, _COLUMNS_FROM_END)):
            if self._orientation in from_end:
                stored[axis] = _from_end(stored[axis], self.array.shape[axis])
        region = upright(np.asarray(self.array[tuple(stored)]), self._orientation, rows, columns)
        return region[tuple(0 if isinstance(k, int) else slice(None) for k in key)]


def _from_end(key: slice, length: int) -> slice:
    """Count a slice from the end of an axis; its entries come in the opposite order."""
    entries = range(key.start, key.stop, key.step)
    return slice(length - 1 - entries[-1], length - entries[0], key.step)
