"""Reading columns of numbers from a table of points, whatever program saved it last."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation import Points
from napari_lungcls.annotation.tables import number_text
from napari_lungcls.annotation.validation import shown
from napari_lungcls.errors import InputError

AS_WRITTEN = "take the table as the design wrote it"

Pair = tuple[float, float]


def pair_text(values: Sequence[float]) -> str:
    """Write a pair of numbers for a cell."""
    return " x ".join(map(number_text, values))


def text_column(points: Points, name: str) -> NDArray[np.object_]:
    """Read a column of texts, `(n,)`.

    Raises
    ------
    InputError
        When there is no such column.
    """
    found = points.column(name)
    if found is None:
        raise InputError(f"{points.source}: there is no column {name!r}; {AS_WRITTEN}")
    return found


def pair_column(points: Points, name: str) -> NDArray[np.float64]:
    """Read a column of pairs of numbers, `(n, 2)`; see `number_column`."""
    return _read(points, name, 2)


def number_column(points: Points, name: str) -> NDArray[np.float64]:
    """Read a column of numbers, `(n,)`; decimals may have a comma, as spreadsheets write it.

    Raises
    ------
    InputError
        When there is no such column, or a cell is no finite number.
    """
    return _read(points, name, 1)[:, 0]


def whole_column(points: Points, name: str) -> NDArray[np.int64]:
    """Read a column of whole numbers from 0 on, `(n,)`; see `number_column`."""
    found = number_column(points, name)
    bad = np.flatnonzero((found < 0) | (found != np.rint(found)))
    if bad.size:
        raise InputError(
            f"{points.source}, row {points.table.index[bad[0]]}: {name} is {found[bad[0]]:g}, not "
            f"a whole number; {AS_WRITTEN}"
        )
    return found.astype(np.int64)


def _read(points: Points, name: str, count: int) -> NDArray[np.float64]:
    texts = text_column(points, name)
    known = {text: _parsed(text) for text in set(texts)}
    for row, text in enumerate(texts):
        if len(known[text]) != count or not all(map(math.isfinite, known[text])):
            raise InputError(
                f"{points.source}, row {points.table.index[row]}: {name} is {shown(text)}, not "
                f"{'a number' if count == 1 else 'two numbers'}; {AS_WRITTEN}"
            )
    return np.array([known[text] for text in texts], np.float64).reshape(-1, count)


def _parsed(text: str) -> list[float]:
    try:
        return [float(word) for word in text.replace(",", ".").split(" x ")]
    except ValueError:
        return []
