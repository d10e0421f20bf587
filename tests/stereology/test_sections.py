"""Tables of sections in the dialects of spreadsheets, and what contradicts itself."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.stereology.sections import NUMBERS, read_sections

TABLE = """image,plane,section,animal,group,lung_volume_cm3,section_spacing_um,volume_shrinkage
a.ome.tif,,1,m1,control,1.25,1000,0.6
a.ome.tif,3,2,m1,,,1000,
b.ome.tif,,1,m2,treated,1.4,1000,0.61
"""


def table(folder: Path, text: str = TABLE, encoding: str = "utf-8") -> Path:
    """Write a table."""
    path = folder / "sections.csv"
    path.write_text(text, encoding=encoding)
    return path


def test_planes_find_their_rows(tmp_path):
    sections = read_sections(table(tmp_path))
    first = sections.find(tmp_path / "a.ome.tif", (0,))
    assert (first.section, first.animal, first.group, first.lung_volume_cm3) == (
        "1", "m1", "control", 1.25,
    )  # fmt: skip
    assert first is sections.find(tmp_path / "a.ome.tif", (7,))
    third = sections.find(tmp_path / "a.ome.tif", (3,))
    assert (third.section, third.plane, third.volume_shrinkage) == ("2", (3,), None)
    assert sections.find(tmp_path / "b.ome.tif").animal == "m2"
    assert sections.find(tmp_path / "c.ome.tif") is None
    assert sections.find("/elsewhere/b.ome.tif").animal == "m2", "only one file is called so"


def test_what_one_row_says_of_an_animal_holds_for_all(tmp_path):
    row = read_sections(table(tmp_path)).find(tmp_path / "a.ome.tif", (3,))
    assert (row.group, row.lung_volume_cm3, row.section_spacing_um) == ("control", 1.25, 1000)


def german(text: str) -> str:
    return "\r\n".join(line.replace(",", ";").replace(".", ",").replace(",ome,tif", ".ome.tif")
                       for line in text.splitlines())  # fmt: skip


@pytest.mark.parametrize(
    ("change", "encoding"),
    [
        (lambda t: t.replace(",", "\t"), "utf-16"),
        (german, "utf-8-sig"),
        (lambda t: "sep=;\n" + german(t), "utf-8"),
        (lambda t: t.replace("lung_volume_cm3", "Lung volume cm3"), "utf-8"),
        (lambda t: t.replace("group", " Group"), "utf-8"),
        (lambda t: t.replace("\n", ",,\n"), "utf-8"),
    ],
)  # fmt: skip
def test_dialects_say_the_same(tmp_path, change, encoding):
    wanted = read_sections(table(tmp_path)).rows
    assert read_sections(table(tmp_path, change(TABLE), encoding)).rows == wanted


def test_layers_of_napari_are_found_by_the_name_of_their_file(tmp_path):
    sections = read_sections(table(tmp_path))
    assert sections.find("layer 'b'").animal == sections.find(tmp_path / "b.ome.tif").animal
    assert sections.find("layer 'c'") is None
    assert sections.find("x/c.tif", (0,)) is None


def test_whole_tables_pass_in_silence(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sections = read_sections(table(tmp_path))
    assert all(sections.find(tmp_path / "a.ome.tif", (k,)) is not None for k in range(9))


def test_unknown_columns_are_kept_and_said(tmp_path):
    path = table(tmp_path, "image,animal,aminal,Stain\na.tif,m1,?,H&E\n")
    with pytest.warns(LungclsWarning, match="the columns aminal, Stain are kept, but mean nothing"):
        (row,) = read_sections(path).rows
    assert row.extra == {"aminal": "?", "Stain": "H&E"}


def test_rows_without_an_animal_are_said(tmp_path):
    with pytest.warns(LungclsWarning, match="2 rows name no animal, so their images count"):
        rows = read_sections(table(tmp_path, "image,plane\nx/a.tif,0\nx/a.tif,1\n")).rows
    assert [(row.section, row.animal) for row in rows] == [
        ("a.tif, plane 0", "a.tif"), ("a.tif, plane 1", "a.tif"),
    ]  # fmt: skip


def test_names_are_compared_as_everywhere(tmp_path):
    text = "image,animal,group\n.\\x\\a.tif,Mäuse 1,\n x/b.tif , Ma\u0308use 1,A\n"
    sections = read_sections(table(tmp_path, text))
    assert sections.rows[0].animal == sections.rows[1].animal
    assert sections.rows[0].group == "A"
    assert sections.find(tmp_path / "x" / "a.tif") is sections.rows[0]
    with pytest.warns(LungclsWarning, match="the animals 'm1' and 'M1' differ only by case"):
        read_sections(table(tmp_path, "image,animal\na.tif,m1\nb.tif,M1\n"))


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(*[st.one_of(st.none(), st.floats(1e-3, 2))] * len(NUMBERS)),
        min_size=1,
        max_size=5,
    ),
    st.booleans(),
)  # fmt: skip
def test_numbers_come_back(tmp_path_factory, values, comma):
    lines = [",".join(("image", "animal", *NUMBERS))]
    for k, row in enumerate(values):
        cells = ["" if v is None else f"{v:.12f}" for v in row]
        lines.append(",".join((f"{k}", f"m{k}", *cells)))
    text = "\n".join(lines)
    if comma:
        text = text.replace(",", ";").replace(".", ",")
    rows = read_sections(table(tmp_path_factory.mktemp("s"), text)).rows
    for row, given_values in zip(rows, values, strict=True):
        assert [getattr(row, name) for name in NUMBERS] == [
            None if v is None else float(f"{v:.12f}") for v in given_values
        ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; a sections file begins with a header, image,plane,section"),
        ("picture,animal\na,b\n", "has no column image .columns: 'picture, animal'.; name the"),
        ("image,animal\n,m1\n", "row 2: the image is empty"),
        ("image,Animal,animal\na,m,n\n", "two columns are named animal"),
        ("image,plane,animal\na,x,m\n", "row 2: the plane is 'x'; give its number, from 0"),
        ("image,plane,animal\na,-1,m\n", "row 2: the plane is '-1'"),
        ("image,animal\na,m\n./a,m\n", r"row 3: \./a stands in row 2 too; remove one"),
        ("image,plane,animal\na,1,m\na,1,m\n", "row 3: a, plane 1, stands in row 2 too"),
        (
            "image,animal,group\na,m,x\nb,n,y\nc,m,y\n",
            "row 4: the animal 'm' has the group 'y', but 'x' in row 2; an animal has one",
        ),
        ("image,animal,sex\na,m,f\nb,m,m\n", "has the sex 'm', but 'f' in row 2"),
        ("image,animal,lung_volume_cm3\na,m,1\nb,m,2\n", "has the lung_volume_cm3 2.0, but 1.0"),
        (
            "image,animal,lung_volume_cm3\na,m,big\n",
            "row 2: lung_volume_cm3 is 'big', not a finite",
        ),
        ("image,animal,pixel_size_um\na,m,0\n", "row 2: pixel_size_um is '0'; give a positive num"),
        (
            "image,animal,volume_shrinkage\na,m,60\n",
            "volume_shrinkage is '60'; give the volume aft",
        ),
    ],
)
def test_contradictions_are_refused_with_their_row(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_sections(table(tmp_path, text))


def test_other_files_are_no_tables_of_sections(tmp_path):
    path = tmp_path / "sections.xlsx"
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(InputError, match="no table of sections; save the sections as CSV"):
        read_sections(path)
    with pytest.raises(InputError, match="check the name of the sections file"):
        read_sections(tmp_path / "none.csv")
