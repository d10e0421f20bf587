"""Points tables: what is read is written back, and what is wrong is named."""

from __future__ import annotations

import string
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_lungcls.annotation import ClassScheme, Points, read_points, write_points
from napari_lungcls.errors import InputError

FINITE = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.one_of(
    st.sampled_from(["", "NA", "nan", "None", "007", "1e5", "a,b", 'say "x"', "a\nb", "a\r\nb"]),
    st.sampled_from([" both ends ", "é", "肺", "'", ";", "\t", "#", "\r", "\x00", "-0", "TRUE"]),
    st.text(max_size=12),
)
NAMES = st.text(string.ascii_letters + "_- é肺,\"'", min_size=1, max_size=8).filter(
    lambda name: name.strip().lower() not in {"index", "class", "image", "group", "observer"}
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]], np.ndarray]:
    """Draw a header in any order, the cells as text, and the coordinates they stand for."""
    ndim = draw(st.integers(2, 5))
    n = draw(st.integers(1, 6))
    coordinates = draw(hnp.arrays(np.float64, (n, ndim), elements=FINITE))
    columns = {
        f"axis-{axis}": [repr(float(v)) for v in coordinates[:, axis]] for axis in range(ndim)
    }
    extra = draw(st.lists(NAMES, unique=True, max_size=4))
    extra += draw(st.lists(st.sampled_from(["index", "class"]), unique=True, max_size=2))
    for name in dict.fromkeys(extra):
        columns[name] = draw(st.lists(TEXT, min_size=n, max_size=n))
    header = draw(st.permutations(list(columns)))
    return header, [[columns[name][row] for name in header] for row in range(n)], coordinates


def quoted(cells: list[str]) -> str:
    return ",".join('"' + cell.replace('"', '""') + '"' for cell in cells)


def save(path: Path, *lines: str) -> Path:
    path.write_bytes("\n".join(lines).encode())
    return path


@given(tables())
@example((["axis-1", "axis-0"], [["-0.0", "5e-324"]], np.array([[5e-324, -0.0]])))
@settings(max_examples=150)
def test_a_file_comes_back_cell_for_cell(table):
    header, rows, coordinates = table
    with tempfile.TemporaryDirectory() as folder:
        first = save(Path(folder) / "in.csv", quoted(header), *map(quoted, rows))
        points = read_points(first)
        again = read_points(write_points(Path(folder) / "out.csv", points))
    for found in (points, again):
        assert found.coordinates.tobytes() == coordinates.tobytes()
        assert found.columns == tuple(header)
        for place, name in enumerate(header):
            if not name.startswith("axis-"):
                assert list(found.column(name)) == [row[place] for row in rows]
    assert (points.labels is None) == ("class" not in header)


@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(2, 5)), elements=FINITE))
def test_built_points_come_back(coordinates):
    labels = [f"class {i}" for i in range(len(coordinates))]
    points = Points.build(coordinates, labels, group="mouse 1", source=range(len(coordinates)))
    with tempfile.TemporaryDirectory() as folder:
        again = read_points(write_points(Path(folder) / "p.csv", points))
    np.testing.assert_array_equal(again.coordinates, coordinates)
    assert list(again.labels) == labels
    assert again.column("source")[-1] == str(len(coordinates) - 1)
    assert again.columns[0] == "index"
    assert again.columns[-3:] == ("class", "group", "source")


def test_the_file_of_napari_is_written_back_unchanged(tmp_path):
    text = "index,axis-0,axis-1,class\n0,1570,4289,duct\n1,1023.25,3800,septa\n"
    (tmp_path / "a.csv").write_bytes(text.encode())
    write_points(tmp_path / "b.csv", read_points(tmp_path / "a.csv"))
    assert (tmp_path / "b.csv").read_bytes() == text.encode()


def test_pandas_reads_what_was_written(tmp_path):
    points = Points.build([[0.1, 2e300]], ["a,b"], note='a "quoted"\r\nline')
    frame = pd.read_csv(write_points(tmp_path / "p.csv", points))
    assert frame.loc[0, "note"] == 'a "quoted"\r\nline'
    assert frame.loc[0, "class"] == "a,b"
    assert frame.loc[0, "axis-1"] == 2e300


def test_bom_blank_lines_and_windows_line_ends(tmp_path):
    path = tmp_path / "p.csv"
    path.write_bytes("\ufeffaxis-0,axis-1\r\n\r\n1,2\r\n\r\n".encode())
    np.testing.assert_array_equal(read_points(path).coordinates, [[1, 2]])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], r"is empty; a points file begins with a header"),
        (["index,axis-0,axis-1,class"], r"holds no points; label some"),
        (["axis-0,axis-1", "1,nan"], r"row 2: axis-1 is 'nan', not a finite number; correct"),
        (["axis-0,axis-1", "1,2", "", "-inf,2"], r"row 4: axis-0 is '-inf'"),
        (["axis-0,axis-1", "1,2", "1e999,2"], r"row 3: axis-0 is '1e999'"),
        (["axis-0,axis-1", "1,"], r"row 2: axis-1 is ''"),
        (["axis-0,axis-1", '1.5,"2,5"'], r"row 2: axis-1 is '2,5', but row 2 has '1.5'; write all"),
        (["axis-0,axis-1", '"1,250",2'], r"row 2: axis-0 is '1,250', which may be a thousand"),
        (["axis-0;axis-1", "1,5;2", "3;4.5"], r"row 3: axis-1 is '4.5', but row 2 has '1,5'"),
        (["axis-0;axis-1", "1,5;2,5,5"], r"row 2: axis-1 is '2,5,5', not a finite number"),
        (["axis-0,axis-1,class", "1,5,2,5,duct"], r"5 cells .* semicolons if commas are decimal"),
        (["axis-0\taxis-1", "1\t"], r"row 2: axis-1 is '', not a finite number"),
        (["1,2,duct", "3,4,duct"], r"has no column axis-0 \(columns: '1, 2, duct'\)"),
        (["1.5;2", "3;4"], r"has no header; begin it with a line such as axis-0,axis-1,class"),
        (["Class,class,axis-0,axis-1", "a,b,1,2"], r"two columns are named 'class'; rename"),
        (
            ["index,shape-type,vertex-index,axis-0,axis-1", "0,polygon,0,1,2"],
            r"is a table of shapes \(columns: 'index, shape-type, .*save a layer of points, with",
        ),
        (
            ["index,axis-0,axis-1,direction-0,direction-1", "0,1,2,3,4"],
            r"is a table of vectors .*; save a layer of points",
        ),
        (["track_id,t,y,x", "0,1,2,3"], r"table of tracks, give their positions as axis-0 \(y\)"),
        (["ID,T,Z,Y,X", "0,1,2,3,4"], r"rename t to axis-0, z to axis-1, y to axis-2, x to axis-3"),
        (
            ["Image\tClass\tCentroid X µm\tCentroid Y µm", "a.tif\tduct\t1\t2"],
            r"columns: 'image, class, Centroid X.*table of measurements, add the position in pix",
        ),
        ([" ,Area,Mean", "1,2,3"], r"columns: ' , Area, Mean'\); name the coordinates axis-0"),
        (["axis-0,axis-1", "1_0,2"], r"row 2: axis-0 is '1_0'"),
        (["y,x,class", "1,2,duct"], r"no column axis-0 \(columns: 'y, x, class'\); rename y to"),
        (["axis-0,axis-2", "1,2"], r"has axis-0, axis-2 but not axis-1; add it or renumber"),
        (["axis-1,axis-2", "1,2"], r"but not axis-0"),
        (["axis-0,axis-99999999999", "1,2"], r"but not axis-1"),
        (["axis-0,class", "1,duct"], r"has axis-0 but not axis-1"),
        (["axis-0,axis-1,a,a", "1,2,3,4"], r"two columns are named 'a'; rename"),
        (["axis-0,axis-1", "1,2,3"], r"row 2: 3 cells where the header has 2; correct the row"),
        (["axis-0,axis-1,class", "1,2"], r"row 2: 2 cells where the header has 3"),
        (["axis-0,axis-1,note", '1,2,"open'], r"row 2: unexpected end of data; correct"),
        (["axis-0,axis-1", "1,2", "x" * 200_000], r"row 3: field larger than field limit"),
    ],
)
def test_a_bad_table_is_refused_in_one_line(tmp_path, lines, message):
    path = save(tmp_path / "bad.csv", *lines)
    with pytest.raises(InputError, match=message) as caught:
        read_points(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x89PNG\r\n\x1a\n\x00", "line 1: is not text in UTF-8; save it as UTF-8"),
        ("axis-0,axis-1\n1,2\n".encode("utf-16")[:-1], "is cut short, or no text in UTF-16"),
        ("axis-0,axis-1\n1,2\n".encode("utf-32"), "is not text in UTF-8"),
        ("axis-0,axis-1,class\n1,2,перегородка\n".encode("cp1251"), "line 2: is not text in UTF"),
        ("axis-0,axis-1,class\n1,2,Gefäß\n".encode("mac-roman"), "line 2: is not text in UTF-8"),
    ],
)
def test_what_is_no_text_that_can_be_told_is_refused(tmp_path, content, message):
    path = tmp_path / "p.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_points(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"none\.csv does not exist; check the name"):
        read_points(tmp_path / "none.csv")
    with pytest.raises(InputError, match=r"cannot be read .*; choose a points file"):
        read_points(tmp_path)


def test_a_file_name_that_is_no_utf8_is_written_so_that_it_is_found(tmp_path):
    path = write_points(tmp_path / "p.csv", Points.build([[1, 2]], image="\udcff.png"))
    assert read_points(path).column("image")[0] == "%FF.png"


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = save(tmp_path / "p.csv", "old")
    monkeypatch.setattr("napari_lungcls.annotation.tables.printable", lambda text: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_points(path, Points.build([[1, 2]]))
    assert [p.name for p in tmp_path.iterdir()] == ["p.csv"]
    assert path.read_text() == "old"


@given(st.data())
def test_select_keeps_rows_together(data):
    n = data.draw(st.integers(1, 8))
    points = Points.build(np.arange(2 * n).reshape(n, 2), list(map(str, range(n))), twice=range(n))
    mask = data.draw(hnp.arrays(bool, n))
    order = data.draw(st.lists(st.integers(0, n - 1)))
    for which, expected in ((mask, np.flatnonzero(mask)), (order, np.array(order, dtype=int))):
        part = points.select(which)
        assert len(part) == len(expected)
        np.testing.assert_array_equal(part.coordinates[:, 0], 2 * expected)
        assert list(part.labels) == list(part.column("twice")) == [str(i) for i in expected]
        assert len(part.with_columns(more="x").column("more")) == len(expected)


def test_select_refuses_a_mask_of_another_length():
    with pytest.raises(ValueError, match="mask of shape"):
        Points.build(np.zeros((3, 2))).select([True, False])


def test_columns_are_added_replaced_and_written_as_text():
    points = Points.build([[1, 2], [3, 4]], ["a", "b"], note=["x", "y"])
    more = points.with_columns(
        **{"class": ["b", "b"], "p_non-parenchyma": np.array([0.1, np.nan], np.float32)},
        note=[pd.NA, "z"],
        score=[1 / 3, 2.0],
        shape=[(1, 2), None],
    )
    assert list(more.labels) == ["b", "b"]
    assert list(more.column("p_non-parenchyma")) == ["0.1", ""]
    assert list(more.column("note")) == ["", "z"]
    assert [float(text) for text in more.column("score")] == [1 / 3, 2.0]
    assert more.columns == (*points.columns, "p_non-parenchyma", "score", "shape")
    assert list(more.column("shape")) == ["(1, 2)", ""]
    assert list(points.labels) == ["a", "b"]
    assert points.column("score") is None


def test_columns_that_do_not_fit_are_refused():
    points = Points.build([[1, 2], [3, 4]])
    with pytest.raises(InputError, match="'note' has 3 values for 2 points"):
        points.with_columns(note=["a", "b", "c"])
    with pytest.raises(InputError, match="axis-0 is a coordinate"):
        points.with_columns(**{"axis-0": [1, 2]})


@pytest.mark.parametrize(
    ("coordinates", "message"),
    [([[1, np.nan]], "row 0: .* is not a finite position"), ([1, 2], "shape"), ([[1]], "shape")],
)
def test_bad_arrays_are_refused(coordinates, message):
    with pytest.raises(InputError, match=message):
        Points.build(coordinates)


def test_codes_follow_the_scheme():
    scheme = ClassScheme.preset("lung")
    points = Points.build(np.zeros((3, 2)), ["duct", "alveoli", "septa"])
    codes = points.codes(scheme)
    assert codes.dtype == np.int64
    assert codes.tolist() == [2, 0, 1]


@pytest.mark.parametrize(("label", "problem"), [("vein", "'vein' is unknown"), ("", "is empty")])
def test_an_unknown_class_is_named_with_its_row(tmp_path, label, problem):
    path = save(tmp_path / "p.csv", "axis-0,axis-1,class", "1,2,duct", f"3,4,{label}", "5,6,x")
    points = read_points(path)
    with pytest.raises(InputError) as caught:
        points.codes(ClassScheme.preset("lung"))
    message = str(caught.value)
    assert message.startswith(f"{path}, row 3: ")
    assert problem in message
    assert "(and 1 more rows)" in message
    assert "alveoli, septa, duct" in message
    assert "use classes=... for a scheme that has it" in message
    with pytest.raises(InputError, match="row 4: class 'x'"):
        points.select([2]).codes(ClassScheme.preset("lung"))


def test_codes_need_a_class_column():
    with pytest.raises(InputError, match="no column 'class'; add it"):
        Points.build([[1, 2]]).codes(ClassScheme.preset("lung"))
