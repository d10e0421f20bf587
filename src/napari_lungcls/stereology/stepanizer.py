"""Counts of the program STEPanizer, so that older studies can be estimated like new ones.

STEPanizer (Tschanz et al. 2011, doi 10.1111/j.1365-2818.2010.03481.x) saves tables whose names end
in `.xls` and which are text between tabs. Nobody has published their layout. Two public programs
that read them agree on this: rows `Pixel size:`, `a(p):`, `l(p):` and `Number of test points:` have
their value in the second cell, `a(p)` in square pixels and `l(p)` in pixels; rows of counters have
the name in the second cell and the total count in the fourth.

Not verified on a file of the program: what the first and third cell of counters are (not used);
that `Number of test points` is of one image; that further cells, if they are whole numbers which
add up to the total, are the counts of single images; decimal commas.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from napari_lungcls.annotation.texts import decoded
from napari_lungcls.annotation.validation import shown
from napari_lungcls.errors import InputError
from napari_lungcls.utils.locks import why_unreadable
from napari_lungcls.utils.names import comparable
from napari_lungcls.utils.printable import printable

LARGEST = 2**26
"""Bytes of the largest table that is read."""

_NAME, _TOTAL, _FIRST = 1, 3, 4
"""Cells of a counter: its name, its total, and the first count of an image."""

_KEYS = {
    "pixel size:": "pixel_size",
    "a(p):": "area",
    "l(p):": "length",
    "number of test points:": "test_points",
}


@dataclass(frozen=True, eq=False)
class StepanizerCounts:
    """What one table holds.

    Attributes
    ----------
    source
        Name of the file.
    counts
        A row for each field and counter: `field` (from 0; one if the table has totals only),
        `counter`, `count`.
    pixel_size
        Micrometres per pixel, as the table says.
    test_points
        Points of the grid in one field; None if the table does not say.
    area_per_point, length_per_point
        a(p) in µm² and l(p) in µm; None if the table does not say.
    header
        All rows that end their first cell with a colon, as texts.
    """

    source: str
    counts: pd.DataFrame
    pixel_size: float
    test_points: int | None
    area_per_point: float | None
    length_per_point: float | None
    header: dict[str, str]


def read_stepanizer(path: str | os.PathLike[str]) -> StepanizerCounts:
    """Read one table of counts.

    Raises
    ------
    InputError
        When it cannot be read, has no pixel size or no counters, or names a counter twice.
    """
    file = Path(path)
    rows = _rows(file)
    header = {
        row[0].strip(): row[1].strip()
        for row in rows
        if len(row) > 1 and row[0].strip().endswith(":")
    }
    values = {
        _KEYS[name.lower()]: _positive(file, name, text)
        for name, text in header.items()
        if name.lower() in _KEYS and text
    }
    counters = [row for row in rows if _is_counter(row)]
    if not counters or "pixel_size" not in values:
        missing = "row of a counter" if not counters else "row 'Pixel size:'"
        raise InputError(
            f"{file} has no {missing}, as tables of STEPanizer have; save the counts in STEPanizer "
            "again"
        )
    pixel, points = values["pixel_size"], values.get("test_points")
    area, length = values.get("area"), values.get("length")
    return StepanizerCounts(
        printable(file.name),
        _counts(file, counters),
        pixel,
        None if points is None else round(points),
        None if area is None else area * pixel**2,
        None if length is None else length * pixel,
        header,
    )


def join_stepanizer(tables: Sequence[StepanizerCounts]) -> pd.DataFrame:
    """Put tables below each other, with what is needed for estimates.

    Returns
    -------
    DataFrame
        `source`, `field`, `counter`, `count`, `test_points`, `area_per_point_um2`,
        `length_per_point_um`; a row for each field and counter. NaN where a table does not say.
    """
    parts = [
        each.counts.assign(
            test_points=_or_nan(each.test_points),
            area_per_point_um2=_or_nan(each.area_per_point),
            length_per_point_um=_or_nan(each.length_per_point),
        )
        for each in tables
    ]
    for part, each in zip(parts, tables, strict=True):
        part.insert(0, "source", each.source)
    return pd.concat(parts, ignore_index=True)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _rows(file: Path) -> list[list[str]]:
    try:
        if file.stat().st_size > LARGEST:
            raise InputError(f"{file} has more than {LARGEST} bytes; is it a table of counts?")
        data = file.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{file} does not exist; check the name") from None
    except OSError as error:
        why = why_unreadable(error) or f"cannot be read ({error.strerror})"
        raise InputError(f"{file} {why}") from error
    if data.startswith((b"\xd0\xcf\x11\xe0", b"PK\x03\x04")):
        raise InputError(
            f"{file} is a workbook, as a spreadsheet program writes it; take the file that "
            "STEPanizer saved, or save it as text between tabs"
        )
    text = decoded(data, file)
    return list(csv.reader(io.StringIO(text, newline=""), delimiter="\t"))


def _is_counter(row: Sequence[str]) -> bool:
    if len(row) <= _TOTAL or row[0].strip().endswith(":"):
        return False
    return bool(row[_NAME].strip()) and _whole(row[_TOTAL]) is not None


def _counts(file: Path, counters: Sequence[Sequence[str]]) -> pd.DataFrame:
    """Give the counts of single images where all counters have them, else the totals."""
    names = [row[_NAME].strip() for row in counters]
    keys = [comparable(name) for name in names]
    if twice := next((name for name, key in zip(names, keys, strict=True)
                      if keys.count(key) > 1), None):  # fmt: skip
        raise InputError(f"{file}: two counters are named {shown(twice)}; rename one in the table")
    totals = [_whole(row[_TOTAL]) or 0 for row in counters]
    single = [[_whole(cell) for cell in _filled(row[_FIRST:])] for row in counters]
    lengths = {len(cells) for cells in single}
    split = lengths != {0} and len(lengths) == 1 and all(
        None not in cells and sum(cell or 0 for cell in cells) == total
        for cells, total in zip(single, totals, strict=True)
    )  # fmt: skip
    found = [
        {"field": field, "counter": name, "count": count or 0}
        for name, total, cells in zip(names, totals, single, strict=True)
        for field, count in enumerate(cells if split else [total])
    ]
    return pd.DataFrame(found).sort_values("field", kind="stable", ignore_index=True)


def _filled(cells: Sequence[str]) -> list[str]:
    """Drop empty cells at the end of a row."""
    last = max((place + 1 for place, cell in enumerate(cells) if cell.strip()), default=0)
    return list(cells[:last])


def _whole(text: str) -> int | None:
    plain = text.strip()
    return int(plain) if plain.isascii() and plain.isdecimal() else None


def _positive(file: Path, name: str, text: str) -> float:
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"{file}: {name} {shown(text)} is no positive number; correct the table")
    return value
