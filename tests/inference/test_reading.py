"""Maps that are read: damaged ones, and files of others."""

from __future__ import annotations

import contextlib
import json
import shutil

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given
from hypothesis import strategies as st

from napari_lungcls.errors import InputError
from napari_lungcls.inference.map_data import MapHeader
from napari_lungcls.inference.painted import read_map
from napari_lungcls.inference.store_cells import parse_document


def test_no_such_map(tmp_path):
    with pytest.raises(InputError, match="there is no such map; check the path"):
        read_map(tmp_path / "m.zarr")
    (tmp_path / "m.png").write_bytes(b"")
    with pytest.raises(InputError, match="is no painted map, which is an"):
        read_map(tmp_path / "m.png")


def test_images_of_others_are_no_maps(tmp_path):
    group = zarr.create_group(tmp_path / "g.zarr", zarr_format=2)
    group.create_array("0", data=np.zeros((4, 5), "uint8"))
    zarr.create_array(tmp_path / "a.zarr", data=np.zeros((4, 5), "uint8"))
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 5), "uint8"))
    tifffile.imwrite(tmp_path / "a.ome.tif", np.zeros((4, 5), "uint8"))
    for name in ("g.zarr", "a.zarr", "a.tif", "a.ome.tif"):
        with pytest.raises(InputError, match="is no painted map; paint one with"):
            read_map(tmp_path / name)
    (tmp_path / "text.tif").write_text("hello")
    with pytest.raises(InputError, match="is not a TIFF that can be read"):
        read_map(tmp_path / "text.tif")


def _newer(found):
    found["format"] = 2


def _bad_stride(found):
    found["header"]["stride"] = 0


def _no_header(found):
    del found["header"]


def _bad_scale(found):
    found["header"]["scale"] = [1.0]


def _bad_shape(found):
    found["header"]["shape"] = [5, 5]


def _another_plane(found):
    for name in ("shape", "scale", "translate"):
        found["header"][name] = [2, *found["header"][name]]


def _more_classes(found):
    found["header"]["scheme"]["classes"].append("vein")


@pytest.mark.parametrize("suffix", [".ome.zarr", ".ome.tif"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_newer, "is a map of format 2, and this program knows formats up to 1; update"),
        (_bad_stride, r"its map header is damaged \(stride: "),
        (_no_header, "its map header is damaged"),
        (_bad_scale, r"its map header is damaged \(scale per axis\)"),
        (_bad_shape, r"the class map of a map should be uint8 of shape \(5, 5\)"),
        (_another_plane, r"should be uint8 of shape \(2, 4, 5\), not uint8 of shape \("),
        (_more_classes, r"probabilities of a map should be float16 of shape \(4, 4, 5\)"),
    ],
)
def test_damaged_headers(tmp_path, header, random_map, suffix, change, message):
    path = random_map(header((4, 5))).save(tmp_path / f"m{suffix}")
    if path.is_dir():
        attributes = json.loads((path / ".zattrs").read_text())
        change(attributes["napari-lungcls"])
        (path / ".zattrs").write_text(json.dumps(attributes))
    else:
        text = tifffile.tiffcomment(path)
        assert isinstance(text, str)
        start, end = text.index("{"), text.rindex("}") + 1
        found = json.loads(_unescaped(text[start:end]))
        change(found)
        changed = text[:start] + _escaped(json.dumps(found)) + text[end:]
        tifffile.tiffcomment(path, changed.encode())
    with pytest.raises(InputError, match=message) as error:
        read_map(path)
    assert str(error.value).startswith(str(path))


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


def _unescaped(text: str) -> str:
    for code, character in (("quot", '"'), ("lt", "<"), ("gt", ">"), ("amp", "&")):
        text = text.replace(f"&{code};", character)
    return text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*MapHeader.model_fields, "classes", "name"]), inner)
    ),
    max_leaves=10,
)


@given(JSON, st.sampled_from(list(MapHeader.model_fields)))
def test_no_header_leaks_a_foreign_error(header, value, field):
    described = header((4, 5)).model_dump(mode="json")
    described[field] = value
    for attributes in (value, {"format": 1, "header": value}, {"format": 1, "header": described}):
        with contextlib.suppress(InputError):
            assert isinstance(parse_document(attributes, "m.zarr"), MapHeader)


def test_missing_probabilities(tmp_path, header, random_map):
    path = random_map(header((4, 5))).save(tmp_path / "m.zarr")
    shutil.rmtree(path / "probabilities")
    with pytest.raises(InputError, match="its part 'probabilities' is missing"):
        read_map(path)


def test_a_truncated_tiff(tmp_path, header, random_map):
    path = random_map(header((200, 200))).save(tmp_path / "m.tif")
    whole = path.read_bytes()
    for keep in (len(whole) // 3, 100, 5, 0):
        path.write_bytes(whole[:keep])
        with pytest.raises(InputError):
            np.asarray(read_map(path).probabilities)


def test_maps_from_before_classes_had_phases_open(tmp_path, header, random_map):
    painted = random_map(header((4, 5)))
    path = painted.save(tmp_path / "m.ome.zarr")
    text = (path / ".zattrs").read_text()
    attributes = json.loads(text)
    for row in attributes["napari-lungcls"]["header"]["scheme"]["classes"]:
        del row["phase"]
    (path / ".zattrs").write_text(json.dumps(attributes))
    old = read_map(path)
    assert old.scheme.phases == ("none",) * 3
    assert old.scheme.same_classes(painted.scheme)
