"""Numbers as spreadsheets of any country write them: decimal points or commas, thousands."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation.validation import shown
from napari_lungcls.errors import InputError, LungclsWarning

Cell = tuple[int, str, str]
"""Number of a row, name of a column, and what is written there."""

_SPACES = " \u00a0\u202f\u2009'\u2019"
"""What separates thousands beside point and comma."""

NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


class _Style:
    """One way to write numbers: a decimal sign, and what may separate thousands."""

    def __init__(self, decimal: str, thousands: str) -> None:
        point, apart = re.escape(decimal), f"[{re.escape(thousands + _SPACES)}]"
        self._plain = re.compile(rf"[+-]?(?:\d+{point}?\d*|{point}\d+)(?:[eE][+-]?\d+)?", re.ASCII)
        self._grouped = re.compile(rf"[+-]?\d{{1,3}}(?:{apart}\d{{3}})+(?:{point}\d*)?", re.ASCII)
        self._decimal, self._dropped = decimal, {ord(sign): None for sign in thousands + _SPACES}

    def value(self, text: str) -> float | None:
        """Give the number that a text is in this style, or None."""
        if self._plain.fullmatch(text) or self._grouped.fullmatch(text):
            return float(text.translate(self._dropped).replace(self._decimal, "."))
        return None


_POINT, _COMMA = _Style(".", ","), _Style(",", ".")
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}", re.ASCII)
"""Is both a thousand and a fraction."""


def read_numbers(
    rows: Sequence[Sequence[str]],
    numbers: Sequence[int],
    names: Sequence[str],
    source: str,
    *,
    separator: str,
) -> NDArray[np.float64]:
    """Read the coordinates of a table, all of which are written in one style.

    Parameters
    ----------
    rows
        The cells of the coordinates, row by row.
    numbers
        What messages call the rows.
    names
        Of the columns.
    source
        The file, for messages.
    separator
        What separates the cells of the file. Between semicolons, as Excel writes where commas
        are decimal, `1,234` is a fraction.

    Returns
    -------
    ndarray, (n, ndim), float64

    Raises
    ------
    InputError
        Naming the row of a cell that is empty, no finite number, written in another style than
        the others, or may be two numbers.
    """
    texts = [[cell.strip().replace("\u2212", "-") for cell in row] for row in rows]
    cells = list(_cells(texts, numbers, names))
    if all(NUMBER.fullmatch(text) for _, _, text in cells):
        values = [[float(text) for text in row] for row in texts]
        _warn_of_thousands(cells, source, separator)
    else:
        style = _style(cells, source, separator)
        values = [[_or_nan(style.value(text)) for text in row] for row in texts]
    array = np.array(values, np.float64).reshape(len(rows), len(names))
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        row, column = bad[0]
        raise InputError(
            f"{source}, row {numbers[row]}: {names[column]} is {shown(rows[row][column])}, not a "
            "finite number; correct or remove the row"
        )
    return array


def _cells(
    texts: Iterable[Sequence[str]], numbers: Sequence[int], names: Sequence[str]
) -> Iterator[Cell]:
    for number, row in zip(numbers, texts, strict=True):
        for name, text in zip(names, row, strict=True):
            yield number, name, text


def _style(cells: Sequence[Cell], source: str, separator: str) -> _Style:
    """Say how the numbers are written; what is none in either style is left to the caller."""
    only_point: Cell | None = None
    only_comma: Cell | None = None
    unclear: Cell | None = None
    for cell in cells:
        point, comma = _POINT.value(cell[2]), _COMMA.value(cell[2])
        if point is None and comma is None:
            continue
        if comma is None:
            only_point = only_point or cell
        elif point is None:
            only_comma = only_comma or cell
        elif point != comma:
            unclear = unclear or cell
    if only_point and only_comma:
        first, other = sorted((only_point, only_comma), key=cells.index)
        raise InputError(
            f"{source}, row {other[0]}: {other[1]} is {shown(other[2])}, but row {first[0]} has "
            f"{shown(first[2])}; write all numbers with the same decimal sign"
        )
    if unclear and not only_point and not only_comma and separator != ";":
        raise InputError(
            f"{source}, row {unclear[0]}: {unclear[1]} is {shown(unclear[2])}, which may be a "
            "thousand or a fraction; save the table without separators of thousands"
        )
    if only_point:
        return _POINT
    return _COMMA if only_comma or separator == ";" else _POINT


def _warn_of_thousands(cells: Sequence[Cell], source: str, separator: str) -> None:
    """Warn where all points may separate thousands, as in `1.023` among semicolons."""
    dotted = [text for _, _, text in cells if "." in text]
    if separator == ";" and dotted and all(_EITHER.fullmatch(text) for text in dotted):
        warnings.warn(
            f"{source}: {dotted[0]} is read as a fraction; if it is a thousand, save the table "
            "without separators of thousands",
            LungclsWarning,
            stacklevel=3,
        )


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
