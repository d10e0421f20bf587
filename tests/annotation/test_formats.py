"""Points of other programs: as they write them, to them and back, and what strangers may send."""

from __future__ import annotations

import json
import tempfile
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_lungcls.annotation import ClassScheme, Points, read_points, write_points
from napari_lungcls.annotation.files import KINDS, is_foreign
from napari_lungcls.annotation.formats.catalogue import POINTS_FORMATS
from napari_lungcls.errors import InputError, LungclsWarning

roifile = pytest.importorskip("roifile", reason="selections of ImageJ are an extra")

LUNG = ClassScheme.preset("lung")
SUFFIX = {form.name: form.suffixes[0] for form in POINTS_FORMATS} | {"csv": ".csv"}


class Image(NamedTuple):
    shape: tuple[int, ...]
    source: str = "/data/a.tif"


FLAT = Image((100, 80))


def markers(image: str, *types: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\r\n<CellCounter_Marker_File>\r\n'
        f" <Image_Properties>\r\n     <Image_Filename>{image}</Image_Filename>\r\n"
        "     <X_Calibration>0.5</X_Calibration>\r\n </Image_Properties>\r\n"
        " <Marker_Data>\r\n     <Current_Type>0</Current_Type>\r\n"
        + "".join(f"     <Marker_Type>\r\n{kind}     </Marker_Type>\r\n" for kind in types)
        + " </Marker_Data>\r\n</CellCounter_Marker_File>\r\n"
    ).encode()


def marker(x: int, y: int, z: int) -> str:
    place = f"<MarkerX>{x}</MarkerX>\r\n<MarkerY>{y}</MarkerY>\r\n<MarkerZ>{z}</MarkerZ>"
    return f"<Marker>\r\n{place}\r\n</Marker>\r\n"


def selection(**changes: object) -> bytes:
    """What ImageJ's multi-point tool saves: a click on pixel (row 20, column 10)."""
    roi = roifile.ImagejRoi.frompoints(np.array([[10, 20]]))
    roi.roitype, roi.options = roifile.ROI_TYPE.POINT, roifile.ROI_OPTIONS.NONE
    for name, value in changes.items():
        setattr(roi, name, value)
    return roi.tobytes()


FEATURE = {
    "type": "Feature",
    "id": "d0a3",
    "geometry": {"type": "MultiPoint", "coordinates": [[10.5, 20.5]]},
    "properties": {
        "objectType": "annotation",
        "classification": {"name": "septa", "color": [1, 2, 3]},
    },
}
OLD = {
    "type": "Feature",
    "id": "PathAnnotationObject",
    "geometry": {"type": "Point", "coordinates": [10.5, 20.5]},
    "properties": {"classification": {"name": "septa", "colorRGB": -3140401}, "isLocked": False},
}
NAMED = "<Type>1</Type>\r\n<Name>septa</Name>\r\n" + marker(10, 20, 1)
AS_WRITTEN = {
    "qupath": json.dumps({"type": "FeatureCollection", "features": [FEATURE]}).encode(),
    "qupath, bare list": json.dumps([FEATURE]).encode(),
    "qupath 0.2": json.dumps([OLD]).encode(),
    "qupath, one": json.dumps(OLD).encode(),
    "cell-counter": markers("a.tif", NAMED, "<Type>2</Type>\r\n<Name>Type 2</Name>\r\n"),
    "cell-counter, bare &": markers("a & b.tif", NAMED),
    "imagej": selection(counters=np.array([0]), props="lungcls-class-0: septa\n"),
    "cellfinder": markers("placeholder.tif", f"<Type>2</Type>\n{marker(10, 20, 0)}"),
    "cellfinder-yaml": (
        b"brainglobe_utils_version: 0.9.0\nCellCounter_Marker_File: true\nnum_candidates: 1\n"
        b"candidate_cells:\n  - x: 10\n    y: 20\n    z: 0\n    type: 2\n    metadata: {}\n"
    ),
    "cellfinder-yaml, as JSON": (
        b'{"CellCounter_Marker_File": true,"num_candidates": 1,"candidate_cells": '
        b'[{"x": 10,"y": 20,"z": 0,"type": 2,"metadata": {"score": 0.5}}]}'
    ),
    "asap": (
        b'<?xml version="1.0"?>\n<ASAP_Annotations>\n\t<Annotations>\n\t\t<Annotation '
        b'Name="Annotation 0" Type="Dot" PartOfGroup="septa" Color="#ffe119">\n\t\t\t<Coordinates>'
        b'\n\t\t\t\t<Coordinate Order="0" X="10.5" Y="20.5" />\n\t\t\t</Coordinates>\n\t\t'
        b'</Annotation>\n\t</Annotations>\n\t<AnnotationGroups>\n\t\t<Group Name="septa" '
        b'PartOfGroup="None" Color="#ffe119">\n\t\t\t<Attributes />\n\t\t</Group>\n\t'
        b"</AnnotationGroups>\n</ASAP_Annotations>\n"
    ),
}
"""The pixel in row 20 and column 10, as each program writes it; typed from what they document."""


@pytest.mark.parametrize("program", AS_WRITTEN)
def test_what_programs_write_is_known_by_its_content(tmp_path, program):
    path = tmp_path / "points"
    path.write_bytes(AS_WRITTEN[program])
    points = read_points(path)
    assert points.coordinates.tolist() == [[20, 10]]
    assert list(points.labels) == ["cell" if "cellfinder" in program else "septa"]
    assert is_foreign(path)
    stack = read_points(path, image=Image((3, 100, 80)))
    assert stack.coordinates.tolist() == [[0, 20, 10]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_pixel_is_written_where_the_program_looks_for_it(tmp_path, kind):
    label = "cell" if "cellfinder" in kind else "septa"
    path = tmp_path / f"p{SUFFIX[kind]}"
    write_points(path, Points.build([[20, 10]], [label]), kind=kind, image=FLAT)
    text = path.read_bytes()
    if kind == "imagej":
        roi = roifile.ImagejRoi.fromfile(path)
        assert (roi.roitype, roi.coordinates().tolist()) == (roifile.ROI_TYPE.POINT, [[10, 20]])
        return
    wanted = {
        "csv": b"0,20,10,septa",
        "qupath": b'"coordinates": [[10.5, 20.5]]',
        "cell-counter": b"<MarkerZ>1</MarkerZ>",
        "cellfinder": b"<MarkerZ>0</MarkerZ>",
        "cellfinder-yaml": b"- {x: 10, y: 20, z: 0, type: 2, metadata: {}}",
        "asap": b'<Coordinate Order="0" X="10.5" Y="20.5" />',
    }
    assert wanted[kind] in text
    if kind in ("cell-counter", "cellfinder"):
        assert b"<MarkerX>10</MarkerX>" in text
        assert b"<MarkerY>20</MarkerY>" in text
    if kind == "cell-counter":
        assert b"<Image_Filename>a.tif</Image_Filename>\r\n" in text


NAMES = st.sampled_from(["", "septa", "Gänge & <Rest>", 'a "b"', "肺", "None?", "007", "true"])
NOTES = st.sampled_from(["", "0.25", "1e3", "mouse 3", "007", "a\nb", "é"])


def spots(whole: bool) -> st.SearchStrategy[float]:
    steps = st.integers(-(10**5), 10**5)
    return steps.map(float) if whole else steps.map(lambda n: n / 8)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_there_and_back(data):
    form = data.draw(st.sampled_from(POINTS_FORMATS))
    axes = {"t and z": 2, "slice": 2, "z": 1, "none": 0}[form.planes]
    planes = data.draw(st.sampled_from([(), (4,), (2, 4)][: axes + 1]))
    n = data.draw(st.integers(1, 6))
    rows = [
        [*(data.draw(st.integers(0, size - 1)) for size in planes)]
        + [data.draw(spots(form.whole)) for _ in "yx"]
        for _ in range(n)
    ]
    names = st.sampled_from(["cell", "no cell"]) if "cellfinder" in form.name else NAMES
    labels = data.draw(st.lists(names, min_size=n, max_size=n))
    points = Points.build(rows, labels)
    if form.columns is True:
        notes = data.draw(st.lists(NOTES, min_size=n, max_size=n))
        score = data.draw(st.sampled_from(["0.5", "x", "-1"]))
        points = points.with_columns(note=notes, score=score)
    image = Image((*planes, 10, 10))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")  # Nothing is lost of such points.
        path = Path(folder) / f"p{form.suffixes[0]}"
        write_points(path, points, kind=form.name, image=image)
        again = read_points(path, image=image)

    def all_of(table: Points) -> list[object]:
        said = [table.column(name) for name in ("class", "note", "score")]
        texts = [[""] * n if column is None else list(column) for column in said]
        return sorted(zip(table.coordinates.tolist(), *texts, strict=True))

    assert all_of(again) == all_of(points)


def test_qupath_keeps_what_stands_beside_a_class(tmp_path):
    points = Points.build(
        [[1, 2], [3, 4], [5, 6]], ["septa", "septa", ""], group="m 1", p_septa=[0.5, 0.5, 0.25]
    )
    path = write_points(tmp_path / "p.geojson", points, classes=LUNG)
    first, second = json.loads(path.read_text("utf-8"))["features"]
    assert first["geometry"]["coordinates"] == [[2.5, 1.5], [4.5, 3.5]]
    assert first["properties"] == {
        "objectType": "annotation",
        "classification": {"name": "septa", "color": [255, 225, 25]},
        "measurements": {"p_septa": 0.5},
        "metadata": {"group": "m 1"},
    }
    assert "classification" not in second["properties"]
    assert "plane" not in second["geometry"]


def test_planes_of_qupath(tmp_path):
    path = write_points(tmp_path / "p.geojson", Points.build([[2, 5, 20, 10]], ["septa"]))
    assert b'"plane": {"c": -1, "z": 5, "t": 2}' in path.read_bytes()
    assert read_points(path).coordinates.tolist() == [[2, 5, 20, 10]]
    with pytest.raises(InputError, match=r"several planes, and /data/a\.tif has one;"):
        read_points(path, image=FLAT)
    with pytest.raises(InputError, match=r"lies in plane 6, and /data/a\.tif has 3"):
        read_points(path, image=Image((4, 3, 50, 50)))


def test_a_slice_counts_through_a_hyperstack(tmp_path):
    path, image = tmp_path / "p.roi", Image((2, 3, 50, 50))
    points = Points.build([[1, 2, 20, 10.25]], ["septa"])
    with pytest.raises(InputError, match=r"counts slices through all of 2 axes; use image="):
        write_points(path, points)
    write_points(path, points, image=image)
    assert roifile.ImagejRoi.fromfile(path).counter_positions.tolist() == [6]
    assert read_points(path, image=image).coordinates.tolist() == [[1, 2, 20, 10.25]]
    assert read_points(path).coordinates.tolist() == [[5, 20, 10.25]]
    with pytest.raises(InputError, match=r"lies in slice 6, and .* has 4"):
        read_points(path, image=Image((2, 2, 50, 50)))


def test_imagej_says_the_place_of_all_points_in_a_hyperstack(tmp_path):
    path = tmp_path / "p.roi"
    path.write_bytes(selection(z_position=3, t_position=2))
    assert read_points(path).coordinates.tolist() == [[1, 2, 20, 10]]
    path.write_bytes(selection(position=4))
    points = read_points(path)
    assert points.coordinates.tolist() == [[3, 20, 10]]
    assert points.labels is None


def test_numbers_take_the_names_that_are_given(tmp_path):
    path = tmp_path / "c.xml"
    unnamed = "<Type>3</Type>\r\n<Name>Type 3</Name>\r\n" + marker(1, 2, 1)
    path.write_bytes(markers("a.tif", NAMED, unnamed))
    with pytest.raises(InputError, match=r"Type 3 have no name.*\(Rename\), or use classes="):
        read_points(path)
    assert list(read_points(path, classes=LUNG).labels) == ["septa", "duct"]
    assert list(read_points(path, classes={3: "vessel"}).labels) == ["septa", "vessel"]
    with pytest.raises(InputError, match="Type 3 have no name, and the scheme has 2 classes"):
        read_points(path, classes=ClassScheme.of_names("ab"))
    counted = tmp_path / "p.roi"
    counted.write_bytes(selection(counters=np.array([2])))
    with pytest.raises(InputError, match="points of counter 2 have no name"):
        read_points(counted)
    assert list(read_points(counted, classes="lung").labels) == ["duct"]


def test_cell_counter_and_cellfinder_are_told_apart_or_asked_for(tmp_path):
    path = tmp_path / "c.xml"
    path.write_bytes(markers("a.tif", f"<Type>2</Type>\n{marker(10, 20, 1)}"))
    with pytest.raises(InputError, match="use kind='cell-counter' or use kind='cellfinder'"):
        read_points(path)
    assert read_points(path, kind="cellfinder").coordinates.tolist() == [[1, 20, 10]]
    found = read_points(path, kind="cell-counter", classes="lung")
    assert (found.coordinates.tolist(), list(found.labels)) == ([[20, 10]], ["septa"])


@pytest.mark.parametrize(
    ("kind", "points", "message"),
    [
        (
            "cell-counter",
            {"note": "x"},
            "not keep fractions of pixels .* nor the columns note",
        ),
        ("imagej", {"note": "x"}, "does not keep digits beyond single precision, nor the col"),
        ("asap", {"note": "x"}, "does not keep the columns note"),
        ("cellfinder-yaml", {}, r"nor names of classes \(septa is type 1, duct is type 2\)"),
    ],
)
def test_what_is_lost_is_said(tmp_path, kind, points, message):
    table = Points.build([[1.3, 2]], ["duct"], **points)
    scheme = ClassScheme.of_names(["septa", "duct"])
    path = tmp_path / f"p{SUFFIX[kind]}"
    with pytest.warns(LungclsWarning, match=message):
        write_points(path, table, kind=kind, classes=scheme, image=FLAT)


@pytest.mark.parametrize(
    ("kind", "points", "message"),
    [
        (
            "asap",
            Points.build([[0, 1, 2], [1, 1, 2]]),
            "points in several planes, and ASAP has",
        ),
        ("qupath", Points.build([[1, 0, 0, 1, 2]]), "no place for 3 axes"),
        ("cellfinder", Points.build([[1, 2]] * 3, LUNG.names), "cellfinder knows two types"),
        ("cell-counter", Points.build([[1, 2]] * 2, image=["a", "b"]), "points of 2 images"),
        ("asap", Points.build([[1, 2]], ["None"]), "a class None is no class for ASAP"),
        ("foo", Points.build([[1, 2]]), "no such format of points; use qupath, "),
        (None, Points.build([[1, 2]]), "say which; use cell-counter, cellfinder or asap"),
    ],
)
def test_what_cannot_be_written_leaves_the_old_file(tmp_path, kind, points, message):
    path = tmp_path / "p.xml"
    path.write_text("old")
    with pytest.raises(InputError, match=message):
        write_points(path, points, kind=kind)
    assert path.read_text() == "old"


BOMB = b'<!DOCTYPE a [<!ENTITY b "%s"><!ENTITY c "&b;&b;">]>' % (b"x" * 99)
ALIASES = b"CellCounter_Marker_File: true\na: &a [1]\ncandidate_cells: [*a, *a]\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (BOMB + markers("a", NAMED).split(b"?>")[1], "document type or entities"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd">' + markers("a").split(b"?>")[1], "document t"),
        (b"<ASAP_Annotations>" + b"<a>" * 99, "too deep or too large"),
        (b"<ASAP_Annotations><a>" + b"x" * 2**17, "is too long"),
        (b"<ASAP_Annotations><a></ASAP_Annotations>", "line 1: mismatched tag"),
        (b'<?xml version="1.0" encoding="what"?><ASAP_Annotations/>', "letters cannot be"),
        (markers("a", NAMED.replace(">10<", ">nan<")), "'nan', no place in an image"),
        (markers("a", NAMED.replace(">1<", ">0<", 2)), "but planes count from 1"),
        (markers("a", marker(1, 2, 1)), "has no Type"),
        (markers("a"), "may be of"),
        (b"[" * 10**5, "is no JSON"),
        (b'[{"geometry": {"type": "Point", "coordinates": [1e999, 2]}}]', "no place in an image"),
        (b'[{"geometry": {"type": "Point", "coordinates": [NaN, 2]}}]', "NaN is no number"),
        (b'[{"geometry": {"type": "Point", "coordinates": ["1", []]}}]', "no number"),
        (b'{"type": "FeatureCollection", "features": []}', "holds no points"),
        (ALIASES, "anchors or aliases"),
        (b"CellCounter_Marker_File: !!python/name:os.system x\n", "has the tag"),
        (b"CellCounter_Marker_File: true\ncandidate_cells: " + b"[" * 99, "too deep"),
        (b"CellCounter_Marker_File: true\ncandidate_cells: [{x: 1}]", "lacks x, y, z or type"),
        (b"Iout" + bytes(20), "no selection that can be read"),
        (selection(roitype=roifile.ROI_TYPE.POLYGON), "of the type polygon, not of points"),
        (b"<svg></svg>", "is XML, no table of points"),
    ],
)  # fmt: skip
def test_what_strangers_may_send_is_refused(tmp_path, content, message):
    path = tmp_path / "points.xml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_points(path)


def test_other_objects_are_left_out_and_counted(tmp_path):
    path = tmp_path / "p.geojson"
    area = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
    path.write_text(json.dumps([{"type": "Feature", "geometry": area}]))
    assert not is_foreign(path)
    path.write_text(json.dumps([FEATURE, {"type": "Feature", "geometry": area}]))
    assert is_foreign(path)
    with pytest.warns(LungclsWarning, match="1 of its objects are no points and are left out"):
        assert len(read_points(path)) == 1


def test_without_the_library_selections_are_refused_with_the_remedy(tmp_path, monkeypatch):
    path = tmp_path / "p.roi"
    path.write_bytes(selection())
    monkeypatch.setitem(__import__("sys").modules, "roifile", None)
    with pytest.raises(InputError, match=r"pip install \"napari-lungcls\[interchange\]"):
        read_points(path)
