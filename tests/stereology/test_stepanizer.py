"""Tables in the layout that public readers of STEPanizer's files agree on."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_lungcls.errors import InputError
from napari_lungcls.stereology.stepanizer import join_stepanizer, read_stepanizer

HEAD = [
    ["STEPanizer", "1.8"],
    [],
    ["Pixel size:", "0.5"],
    ["a(p):", "1600"],
    ["l(p):", "80"],
    ["Number of test points:", "36"],
]
COUNTERS = [["1", "Alveoli", "a", "60"], ["2", "Septa", "s", "12"], ["3", "Intercepts", "i", "0"]]


def table(folder: Path, rows: list[list[str]], name: str = "counts.xls") -> Path:
    """Write cells between tabs."""
    path = folder / name
    path.write_text("\r\n".join("\t".join(row) for row in rows))
    return path


def test_totals_and_what_a_point_stands_for(tmp_path):
    found = read_stepanizer(table(tmp_path, HEAD + COUNTERS))
    assert found.counts.to_dict("list") == {
        "field": [0, 0, 0],
        "counter": ["Alveoli", "Septa", "Intercepts"],
        "count": [60, 12, 0],
    }
    assert (found.pixel_size, found.test_points) == (0.5, 36)
    assert (found.area_per_point, found.length_per_point) == (400, 40)
    assert found.header["a(p):"] == "1600"


def test_counts_of_single_images_where_they_add_up(tmp_path):
    rows = [[*row, *cells] for row, cells in zip(
        COUNTERS, (["20", "30", "10"], ["4", "4", "4"], ["0", "0", "0"]), strict=True)]  # fmt: skip
    found = read_stepanizer(table(tmp_path, HEAD + rows)).counts
    assert found["field"].tolist() == [0] * 3 + [1] * 3 + [2] * 3
    assert found[found["counter"] == "Alveoli"]["count"].tolist() == [20, 30, 10]
    rows[0][5] = "31"
    assert read_stepanizer(table(tmp_path, HEAD + rows)).counts["count"].tolist() == [60, 12, 0]


def test_several_tables_are_joined(tmp_path):
    comma = [[cell.replace(".", ",") for cell in row] for row in HEAD]
    tables = [
        read_stepanizer(table(tmp_path, head + COUNTERS, name))
        for head, name in ((HEAD, "a.xls"), (comma, "b.xls"))
    ]
    found = join_stepanizer(tables)
    assert found["source"].tolist() == ["a.xls"] * 3 + ["b.xls"] * 3
    assert set(found["area_per_point_um2"]) == {400}
    assert list(found) == [
        "source", "field", "counter", "count", "test_points", "area_per_point_um2",
        "length_per_point_um",
    ]  # fmt: skip


def test_what_is_not_said_is_none(tmp_path):
    found = read_stepanizer(table(tmp_path, [HEAD[2], *COUNTERS]))
    assert (found.test_points, found.area_per_point, found.length_per_point) == (None, None, None)
    joined = join_stepanizer([found, read_stepanizer(table(tmp_path, HEAD + COUNTERS))])
    assert joined["test_points"].isna().tolist() == [True] * 3 + [False] * 3


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (HEAD, "has no row of a counter, as tables of STEPanizer have"),
        (COUNTERS, "has no row 'Pixel size:'"),
        ([["Pixel size:", "x"], *COUNTERS], "Pixel size: 'x' is no positive number"),
        ([*HEAD, *COUNTERS, ["4", "Septa", "", "3"]], "two counters are named 'Septa'"),
    ],
)
def test_other_tables_are_refused(tmp_path, rows, message):
    with pytest.raises(InputError, match=message):
        read_stepanizer(table(tmp_path, rows))


def test_workbooks_and_missing_files(tmp_path):
    (tmp_path / "a.xls").write_bytes(b"\xd0\xcf\x11\xe0 and more")
    with pytest.raises(InputError, match="is a workbook, as a spreadsheet program writes it"):
        read_stepanizer(tmp_path / "a.xls")
    with pytest.raises(InputError, match="does not exist"):
        read_stepanizer(tmp_path / "none.xls")
