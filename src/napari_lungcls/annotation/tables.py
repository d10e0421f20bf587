"""CSV as text: cells come back exactly as they were, and errors name the row."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from napari_lungcls.annotation.columns import axis_name
from napari_lungcls.annotation.validation import shown
from napari_lungcls.errors import InputError
from napari_lungcls.files import replacing

_AXIS = re.compile(r"axis-(0|[1-9][0-9]*)", re.ASCII)
_NUMBER = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*", re.ASCII)

Row = tuple[int, list[str]]
"""A row's number, the header being row 1, and its cells."""


def read_rows(path: Path) -> tuple[tuple[str, ...], list[Row]]:
    """Read a comma-separated file in UTF-8 as text; blank lines are passed over.

    Raises
    ------
    InputError
        When the file is missing or empty, is no CSV in UTF-8, names a column twice, or
        has a row that is shorter or longer than the header.
    """
    rows: list[Row] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            for number, cells in enumerate(csv.reader(stream, strict=True), start=1):
                if cells:
                    rows.append((number, cells))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; check the name of the points file") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); choose a CSV file") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not text in UTF-8; choose a CSV file saved as UTF-8"
        ) from error
    except csv.Error as error:
        row = rows[-1][0] + 1 if rows else 1
        raise InputError(f"{path}, row {row}: {error}; correct the CSV file") from error
    if not rows:
        raise InputError(
            f"{path} is empty; a points file begins with a header, axis-0,axis-1,class"
        )
    header = tuple(rows[0][1])
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{path}: two columns are named {shown(twice)}; rename or remove one")
    for number, cells in rows[1:]:
        if len(cells) != len(header):
            raise InputError(
                f"{path}, row {number}: {len(cells)} cells where the header has {len(header)}; "
                "correct the row"
            )
    return header, rows[1:]


def axis_columns(path: Path, header: Sequence[str]) -> list[int]:
    """Find the places of `axis-0`, `axis-1`, … in the header, in the order of the axes.

    Raises
    ------
    InputError
        When there are fewer than two, or one is missing between others.
    """
    places = {int(m[1]): at for at, name in enumerate(header) if (m := _AXIS.fullmatch(name))}
    if not places:
        line = ",".join(header)
        remedy = (
            "separate the columns by commas"
            if ";" in line or "\t" in line
            else "name the coordinates axis-0,axis-1 as napari does"
        )
        raise InputError(f"{path} has no column axis-0 (columns: {shown(line)}); {remedy}")
    count = max(places) + 1 if max(places) < len(header) else len(header)
    missing = [axis_name(axis) for axis in range(max(count, 2)) if axis not in places]
    if missing:
        there = ", ".join(axis_name(axis) for axis in sorted(places))
        raise InputError(f"{path} has {there} but not {missing[0]}; add it or renumber the axes")
    return [places[axis] for axis in range(count)]


def coordinate(path: Path, number: int, name: str, text: str) -> float:
    """Read the cell of a coordinate.

    Raises
    ------
    InputError
        When the cell is empty or no finite number.
    """
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise InputError(
            f"{path}, row {number}: {name} is {shown(text)}, not a finite number; "
            "correct or remove the row"
        )
    return value


def column(rows: Sequence[Row], place: int) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    """Give one column as an array of texts `(n,)`."""
    texts = np.empty(len(rows), dtype=object)
    texts[:] = [cells[place] for _, cells in rows]
    return texts


def number_text(value: float) -> str:
    """Write a float in the fewest digits that read back as the same float."""
    return repr(float(value)).removesuffix(".0")


def as_text(value: Any) -> str:
    """Write a value for a cell; None, NaN and pandas' NA become empty."""
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return ""
    return number_text(value) if type(value) is float else str(value)


def write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> Path:
    """Write a comma-separated file in UTF-8.

    Raises
    ------
    InputError
        When the file cannot be written, or a text cannot be written as UTF-8.
    """
    with replacing(path) as aside, aside.open("w", encoding="utf-8", newline="") as stream:
        try:
            for cells in (header, *rows):
                stream.write(",".join(map(_quoted, cells)) + "\n")
        except UnicodeEncodeError as error:
            raise InputError(
                f"{path}: {shown(error.object[error.start])} cannot be written as UTF-8; "
                "rename what is called so"
            ) from error
    return path


def _quoted(text: str) -> str:
    # csv.writer leaves a carriage return bare before Python 3.13, and readers split there.
    if any(mark in text for mark in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text
