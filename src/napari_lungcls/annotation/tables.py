"""CSV as text: cells come back exactly as they were, and errors name the row."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_lungcls.annotation.columns import AXIS_COLUMN, KNOWN_COLUMNS, axis_name
from napari_lungcls.annotation.decimals import NUMBER, read_numbers
from napari_lungcls.annotation.texts import decoded, read_limited
from napari_lungcls.annotation.validation import shown
from napari_lungcls.errors import InputError
from napari_lungcls.utils.atomic_write import atomic_write
from napari_lungcls.utils.printable import printable

_SEPARATORS = (",", ";", "\t")
_SEP_LINE = re.compile(r'"?sep=(?P<separator>[^\r\n"])"?[ \t]*\r?\n', re.IGNORECASE)
"""First line that tells Excel what separates the cells."""
_SHAPES = {"shape-type", "vertex-index"}
_TRACKS = {"track_id", "track-id", "trackid", "track id", "particle", "parent_track_id"}
_VECTORS = re.compile(r"(direction|projection|vector)[-_ ]?(axis[-_ ]?)?[0-9xyz]")
_OTHERS = (
    (b"PK\x03\x04", "a workbook of a spreadsheet, or an archive"),
    (b"\xd0\xcf\x11\xe0", "a workbook of Excel"),
    (b"\x93NUMPY", "an array of numpy"),
    (b"PAR1", "a Parquet file"),
    (b"{", "JSON"),
    (b"[", "JSON"),
    (b"<", "XML"),
)
"""What else has points, by how it begins."""
_LARGEST = 2**30
"""Bytes of the largest table that is read."""

Row = tuple[int, list[str]]
"""A row's number, the header being row 1, and its cells."""


class Table(NamedTuple):
    """A table of texts.

    Attributes
    ----------
    header
        Names of the columns; those that this package knows in lower case.
    rows
        Numbered rows with as many cells as the header.
    separator
        Between the cells of the file.
    """

    header: tuple[str, ...]
    rows: list[Row]
    separator: str


def read_table(path: Path, what: str = "points", begin: str = "axis-0,axis-1,class") -> Table:
    """Read a table of points, or another, as text, separated by commas, semicolons or tabs.

    Blank lines, rows and columns without any cell, and a line `sep=;` at the top are passed
    over.

    Parameters
    ----------
    path
        The file.
    what, begin
        What the table is of, and how its header may begin, for messages.

    Raises
    ------
    InputError
        When the file is missing or empty, is no such table, names a column twice, or has a row
        that is shorter or longer than the header.
    """
    text = _text(path, what)
    text, separator = _separated(text)
    rows = _split(path, text, separator)
    if not rows:
        raise InputError(f"{path} is empty; a {what} file begins with a header, {begin}")
    # Excel ends rows with separators where columns were once in use; only some hold anything.
    first = rows[0][1]
    width = max(_width(cells) for _, cells in rows)
    header = tuple(map(_known, first[: max(_width(first), min(width, len(first)))]))
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{path}: two columns are named {shown(twice)}; rename or remove one")
    body = []
    for number, cells in rows[1:]:
        if _width(cells) > len(header) or len(cells) < len(header):
            hint = ", or separate the columns by semicolons if commas are decimal"
            more = hint if separator == "," and len(cells) > len(header) else ""
            raise InputError(
                f"{path}, row {number}: {len(cells)} cells where the header has {len(header)}; "
                f"correct the row{more}"
            )
        body.append((number, cells[: len(header)]))
    return Table(header, body, separator)


def axis_columns(path: Path, header: Sequence[str]) -> list[int]:
    """Find the places of `axis-0`, `axis-1`, … in the header, in the order of the axes.

    Raises
    ------
    InputError
        When there are fewer than two, one is missing between others, or the table is one of
        shapes, tracks or vectors.
    """
    folded = [name.strip().lower() for name in header]
    kind = "shapes" if _SHAPES & set(folded) else ""
    if any(_VECTORS.fullmatch(name) for name in folded):
        kind = "vectors"
    if kind:
        raise InputError(
            f"{path} is a table of {kind} (columns: {shown(', '.join(header))}); save a layer of "
            "points, with the columns axis-0, axis-1 and class"
        )
    places = {int(m[1]): at for at, name in enumerate(header) if (m := AXIS_COLUMN.fullmatch(name))}
    if not places:
        raise InputError(_no_axes(path, header, folded))
    count = max(places) + 1 if max(places) < len(header) else len(header)
    missing = [axis_name(axis) for axis in range(max(count, 2)) if axis not in places]
    if missing:
        there = ", ".join(axis_name(axis) for axis in sorted(places))
        raise InputError(f"{path} has {there} but not {missing[0]}; add it or renumber the axes")
    return [places[axis] for axis in range(count)]


def coordinates(path: Path, table: Table, axes: Sequence[int]) -> NDArray[np.float64]:
    """Read the columns of the coordinates, `(n, ndim)`; see `read_numbers`."""
    return read_numbers(
        [[cells[axis] for axis in axes] for _, cells in table.rows],
        [number for number, _ in table.rows],
        [table.header[axis] for axis in axes],
        str(path),
        separator=table.separator,
    )


def _text(path: Path, what: str) -> str:
    data = read_limited(path, what, _LARGEST)
    kind = next((kind for start, kind in _OTHERS if data.lstrip().startswith(start)), None)
    if kind is not None:
        raise InputError(f"{path} is {kind}, no table of {what}; save the {what} as CSV, as UTF-8")
    return decoded(data, path, "save it as UTF-8 (in Excel: CSV UTF-8)")


def _split(path: Path, text: str, separator: str) -> list[Row]:
    """Split a table into numbered rows, without those that have nothing in any cell."""
    rows: list[Row] = []
    number = 0
    try:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
        for number, cells in enumerate(reader, start=1):
            if any(cell.strip() for cell in cells):
                rows.append((number, cells))
    except csv.Error as error:
        raise InputError(f"{path}, row {number + 1}: {error}; correct the CSV file") from error
    return rows


def _separated(text: str) -> tuple[str, str]:
    """Give a table without a line `sep=;`, and what separates its cells.

    Without such a line it is what gives the columns of the coordinates, else the most columns.
    """
    if line := _SEP_LINE.match(text):
        return text[line.end() :], line["separator"]
    headers = {separator: _first_row(text, separator) for separator in _SEPARATORS}
    named = [
        separator
        for separator, names in headers.items()
        if {"axis-0", "axis-1"} <= set(map(_known, names))
    ]
    best = named[0] if named else max(_SEPARATORS, key=lambda each: len(headers[each]))
    return text, best


def _first_row(text: str, separator: str) -> list[str]:
    try:
        rows = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
        return next((cells for cells in rows if any(cells)), [])
    except csv.Error:
        return []


def _known(name: str) -> str:
    """Write the name of a column that this package knows as it knows it."""
    plain = name.strip().lower()
    return plain if plain in KNOWN_COLUMNS or AXIS_COLUMN.fullmatch(plain) else name


def _width(cells: Sequence[str]) -> int:
    """Count the cells of a row without empty ones at its end."""
    return max((place + 1 for place, cell in enumerate(cells) if cell), default=0)


def _no_axes(path: Path, header: Sequence[str], folded: Sequence[str]) -> str:
    """Say what a table without coordinates has, and how to make points of it."""
    if all(NUMBER.fullmatch(name) for name in header):
        return f"{path} has no header; begin it with a line such as axis-0,axis-1,class"
    seen = f"{path} has no column axis-0 (columns: {shown(', '.join(header))})"
    if _TRACKS & set(folded):
        return f"{seen}; it is a table of tracks, give their positions as axis-0 (y) and axis-1 (x)"
    if {"y", "x"} <= set(folded):
        planes = [name for name in folded if name in ("t", "z")]
        order = [*planes, "y", "x"]
        names = ", ".join(f"{name} to {axis_name(k)}" for k, name in enumerate(order))
        return f"{seen}; rename {names}, in pixels from the centre of the first pixel"
    if any(name.startswith("centroid") for name in folded):
        return (
            f"{seen}; it is a table of measurements, add the position in pixels as axis-0 (y) and "
            "axis-1 (x)"
        )
    return f"{seen}; name the coordinates axis-0 (y) and axis-1 (x) as napari does, in pixels"


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
    if type(value) is str:  # Nearly all cells are: with 10,000 points this counts.
        return value
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return ""
    return number_text(value) if type(value) is float else str(value)


def write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> Path:
    """Write a comma-separated file in UTF-8; file names that are none become `printable`.

    Raises
    ------
    InputError
        When the file cannot be written.
    """
    with atomic_write(path) as aside, aside.open("w", encoding="utf-8", newline="") as stream:
        for cells in (header, *rows):
            stream.write(printable(",".join(map(_quoted, cells))) + "\n")
    return path


def _quoted(text: str) -> str:
    # csv.writer leaves a carriage return bare before Python 3.13, and readers split there.
    if any(mark in text for mark in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text
