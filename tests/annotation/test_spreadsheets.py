"""Tables as spreadsheets of any country save them read as the same points."""

from __future__ import annotations

import csv
import io
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_lungcls.annotation import ClassScheme, read_points
from napari_lungcls.annotation.decimals import read_numbers
from napari_lungcls.errors import InputError, LungclsWarning

WORDS = st.text("abcäöüßéèñ ;,\t'\"", max_size=10).map(lambda word: f"k{word}k")
"""Words of Western Europe, with what may separate cells in them."""


def written(value: float, digits: int, decimal: str, thousands: str) -> str:
    """Write a number as a spreadsheet does."""
    text = f"{value:,.{digits}f}".replace(",", "#").replace(".", decimal)
    return text.replace("#", thousands)


@st.composite
def dialects(draw: st.DrawFn) -> dict[str, Any]:
    """Draw how a spreadsheet saves tables."""
    decimal = draw(st.sampled_from(".,"))
    other = "," if decimal == "." else "."
    return {
        "separator": draw(st.sampled_from(",;\t")),
        "decimal": decimal,
        "thousands": draw(st.sampled_from(["", other, "\u00a0", "'", "\u202f"])),
        "digits": draw(st.integers(1, 2)),
        "encoding": draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])),
        "newline": draw(st.sampled_from(["\n", "\r\n", "\r"])),
        "sep": draw(st.booleans()),
        "quoting": draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        "tail": draw(st.integers(0, 2)),
        "empty rows": draw(st.integers(0, 2)),
        "header": draw(st.sampled_from(["lower", "title", "upper"])),
    }


def saved(dialect: dict[str, Any], rows: list[list[str]]) -> bytes:
    stream = io.StringIO()
    writer = csv.writer(
        stream, delimiter=dialect["separator"], lineterminator=dialect["newline"],
        quoting=dialect["quoting"],
    )  # fmt: skip
    if dialect["sep"]:
        stream.write(f"sep={dialect['separator']}\r\n")
    tail = [""] * dialect["tail"]
    writer.writerows([*row, *tail] for row in rows)
    writer.writerows([[""] * len(rows[0])] * dialect["empty rows"])
    return stream.getvalue().encode(dialect["encoding"])


@given(
    dialects(),
    st.lists(
        st.tuples(st.integers(-99999999, 99999999), st.integers(0, 99999999), WORDS), min_size=1,
        max_size=5,
    ),
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_a_table_in_any_dialect_reads_back_the_same(dialect, rows):
    digits = dialect["digits"]
    numbers = np.array([[y, x] for y, x, _ in rows]) / 10**digits
    how = (digits, dialect["decimal"], dialect["thousands"])
    header = [getattr(name, dialect["header"])() for name in ("axis-0", "axis-1", "class", "group")]
    cells = [
        [written(y, *how), written(x, *how), name, "m1"]
        for (y, x), (_, _, name) in zip(numbers.tolist(), rows, strict=True)
    ]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")
        path = Path(folder) / "p.csv"
        path.write_bytes(saved(dialect, [header, *cells]))
        points = read_points(path)
    np.testing.assert_array_equal(points.coordinates, numbers)
    assert list(points.labels) == [name for _, _, name in rows]
    assert points.columns == ("axis-0", "axis-1", "class", "group")


def table(path: Path, *lines: str, encoding: str = "utf-8") -> Path:
    path.write_bytes("\r\n".join(lines).encode(encoding))
    return path


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["index;axis-0;axis-1;class", "0;10,5;20,25;duct"], [10.5, 20.25]),
        (["index;axis-0;axis-1;class;;", "0;1.010,5;20;duct;;", ";;;;;"], [1010.5, 20]),
        (["Index\tAxis-0\tAxis-1\tClass", '0\t10,5\t20\t"duct"'], [10.5, 20]),
        (["axis-0,axis-1,class", '"10,5","20,25",duct'], [10.5, 20.25]),
        (["axis-0,axis-1,class", '"1,010.5","20",duct'], [1010.5, 20]),
        (["axis-0;axis-1;class", "1,234;20;duct"], [1.234, 20]),
        (["axis-0;axis-1;class", "1'010.5;2 000;duct"], [1010.5, 2000]),
        (["axis-0;axis-1;class", "1e3;-2,5e-1;duct"], [1000, -0.25]),
        (["axis-0;axis-1;class", "\u22121,5;2;duct"], [-1.5, 2]),
        (['"sep=;"', "axis-0;axis-1;class", "1;2;duct"], [1, 2]),
        (["sep=|", "axis-0|axis-1|class", "1,5|2|duct"], [1.5, 2]),
        ([" axis-0 ; axis-1 ; class ", " 1,5 ; 2 ;duct"], [1.5, 2]),
        (["axis-0,axis-1,class,", "1,2,duct,"], [1, 2]),
    ],
)  # fmt: skip
def test_tables_of_spreadsheets(tmp_path, lines, expected):
    points = read_points(table(tmp_path / "p.csv", *lines))
    assert points.coordinates.tolist() == [expected]
    assert points.codes(ClassScheme.preset("lung")).tolist() == [2]


def test_one_row_decides_for_all(tmp_path):
    points = read_points(table(tmp_path / "p.csv", "axis-0\taxis-1", "1,234\t2", "5\t1,5"))
    assert points.coordinates.tolist() == [[1.234, 2], [5, 1.5]]
    points = read_points(table(tmp_path / "p.csv", "axis-0\taxis-1", "1,234\t2", "5\t1.5"))
    assert points.coordinates.tolist() == [[1234, 2], [5, 1.5]]


def test_what_may_be_thousands_among_semicolons_is_said(tmp_path):
    path = table(tmp_path / "p.csv", "axis-0;axis-1", "1.023;2")
    with pytest.warns(LungclsWarning, match=r"1\.023 is read as a fraction; if it is a thousand"):
        assert read_points(path).coordinates.tolist() == [[1.023, 2]]


def test_western_letters_are_read_and_shown(tmp_path):
    path = table(tmp_path / "p.csv", "axis-0;axis-1;class", "1;2;Gefäß", encoding="cp1252")
    with pytest.warns(LungclsWarning, match=r"read as Western European .* such as 'Gefäß'; if"):
        assert list(read_points(path).labels) == ["Gefäß"]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"PK\x03\x04\x14\x00", "a workbook of a spreadsheet, or an archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a workbook of Excel"),
        (b'<?xml version="1.0"?>\n<svg/>', "XML"),
    ],
)
def test_points_of_other_programs_are_named(tmp_path, content, kind):
    path = tmp_path / "p.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"is {kind}, no table of points; save the points as CSV"):
        read_points(path)


def test_data_under_no_name_keep_their_column(tmp_path):
    points = read_points(table(tmp_path / "p.csv", "axis-0,axis-1,,", "1,2,a,", "3,4,,"))
    assert points.columns == ("axis-0", "axis-1", "")
    assert list(points.column("")) == ["a", ""]


def test_every_cell_is_finite():
    with pytest.raises(InputError, match=r"p\.csv, row 7: axis-1 is 'x', not a finite number"):
        read_numbers([["1,5", "x"]], [7], ["axis-0", "axis-1"], "p.csv", separator=";")
