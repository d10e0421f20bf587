"""Polygons of maps: valid, as large as the cells, where QuPath looks for them."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from shapely.geometry import shape

from napari_lungcls.errors import InputError
from napari_lungcls.inference import geojson
from napari_lungcls.inference.geojson import polygons
from napari_lungcls.inference.painted import PaintedMap

RING = np.ones((3, 3), bool)
RING[1, 1] = False
CORNERS = np.eye(4, dtype=bool)
CLOSED_BY_A_CORNER = np.array([[1, 1, 1, 1], [1, 0, 0, 1], [1, 0, 1, 0], [1, 1, 0, 0]], bool)


@settings(max_examples=150, deadline=None)
@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)))
@example(RING)
@example(CORNERS)
@example(CLOSED_BY_A_CORNER)
@example(np.ones((1, 5), bool))
def test_polygons_are_valid_and_cover_the_cells_and_nothing_else(mask):
    found = polygons(mask)
    together = shapely.MultiPolygon(found)
    assert together.is_valid
    assert together.area == mask.sum()
    centres = shapely.points(*(np.indices(mask.shape)[::-1] + 0.5))
    np.testing.assert_array_equal(shapely.contains(together, centres), mask)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_areas_of_classes(tmp_path_factory, header, data):
    shape_ = data.draw(st.tuples(st.integers(1, 2), st.integers(1, 25), st.integers(1, 25)))
    cells = data.draw(hnp.arrays("uint8", shape_, elements=st.integers(0, 3)))
    described = header(shape_, probabilities=False, origin=(16, 32))
    path = tmp_path_factory.mktemp("g") / "m.geojson"
    PaintedMap(cells, None, described).save(path)
    areas: Counter[tuple[str, int]] = Counter()
    for feature in json.loads(path.read_text(encoding="utf-8"))["features"]:
        z = feature["geometry"].pop("plane", {"z": 0})["z"]
        areas[feature["properties"]["classification"]["name"], z] += shape(feature["geometry"]).area
    for z, plane in enumerate(cells):
        for code, name in enumerate(described.scheme.names, 1):
            assert areas[name, z] == (plane == code).sum() * described.stride**2


def test_what_qupath_reads(tmp_path, header):
    cells = np.zeros((2, 2, 3, 4), np.uint8)
    cells[1, 1, 1:, 2] = 2
    described = header(cells.shape, probabilities=False, provenance={"first_plane": 5})
    path = PaintedMap(cells, None, described).save(tmp_path / "m.geojson")
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["type"] == "FeatureCollection"
    (feature,) = found["features"]
    spec = described.scheme.classes[1]
    assert feature["properties"] == {
        "objectType": "annotation",
        "classification": {"name": spec.name, "color": list(bytes.fromhex(spec.color[1:]))},
        # Two cells of 4 by 4 pixels, of 4 by 5 µm each; all that is painted in this plane.
        "measurements": {"Area px^2": 32.0, "Area µm^2": 40.0, "Share of painted area": 1.0},
    }
    geometry = feature["geometry"]
    assert geometry["plane"] == {"c": -1, "z": 6, "t": 1}
    # Cells of 4 pixels from pixel (16, 32): rows 1 to 2 of column 2.
    assert shape(geometry).bounds == (40, 20, 44, 28)


def test_large_maps_are_cut_into_parts(tmp_path, header, monkeypatch):
    monkeypatch.setattr(geojson, "EDGE", 8)
    cells = np.ones((20, 20), np.uint8)
    painted = PaintedMap(cells, None, header(cells.shape, probabilities=False))
    told = []
    path = painted.save(tmp_path / "m.geojson", progress=lambda *step: told.append(step))
    features = json.loads(path.read_text(encoding="utf-8"))["features"]
    assert len(features) == 9
    assert sum(shape(feature["geometry"]).area for feature in features) == 400 * 16
    assert told == [(i, 9) for i in range(10)]


def test_older_files_and_a_wish_to_stop(tmp_path, header):
    cells = np.ones((4, 4), np.uint8)
    painted = PaintedMap(cells, None, header(cells.shape, probabilities=False))
    path = tmp_path / "m.geojson"
    assert painted.save(path, cancelled=lambda: True) is None
    assert not any(tmp_path.iterdir())
    painted.save(path)
    with pytest.raises(InputError, match=r"m\.geojson: exists already"):
        painted.save(path)
    painted.save(path, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["m.geojson"]
