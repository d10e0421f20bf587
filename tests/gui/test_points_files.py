"""Points layers to files and back, without a viewer."""

from __future__ import annotations

import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from napari.layers import Image as ImageLayer
from napari.layers import Points as PointsLayer
from napari.utils.colormaps.standardize_color import transform_color
from PIL import Image as Picture

from napari_lungcls.annotation import ClassScheme, Points, read_points, write_points
from napari_lungcls.errors import InputError
from napari_lungcls.gui.image_id import ImageId, find, identify
from napari_lungcls.gui.layers import scheme_of
from napari_lungcls.gui.points_layer import belonging, layer_data, suggested
from napari_lungcls.gui.readers import points_reader
from napari_lungcls.gui.writers import write_points_layer

LUNG = ClassScheme.preset("lung")


def layer_of(points: Points, **options: object) -> PointsLayer:
    data, keywords, kind = layer_data(points, **options)
    assert kind == "points"
    return PointsLayer(data, **keywords)


def save(layer: PointsLayer, path: Path) -> Points:
    data, attributes, _ = layer.as_layer_data_tuple()
    assert write_points_layer(str(path), data, attributes) == [str(path)]
    return read_points(path)


@given(
    st.data(),
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(1, 6), st.integers(2, 5)),
        elements=st.floats(-1e6, 1e6),
    ),
)
@settings(max_examples=30)
def test_a_layer_keeps_points_classes_and_notes(data, coordinates):
    n = len(coordinates)
    labels = data.draw(st.lists(st.sampled_from(["", *LUNG.names]), min_size=n, max_size=n))
    notes = data.draw(st.lists(st.sampled_from(["", "007", "NA", "a,b"]), min_size=n, max_size=n))
    layer = layer_of(Points.build(coordinates, labels, note=notes))
    with tempfile.TemporaryDirectory() as folder:
        again = save(layer, Path(folder) / "p.lungcls.csv")
    # napari keeps the positions of points as they are given to it.
    np.testing.assert_array_equal(again.coordinates, coordinates)
    assert list(again.labels) == labels
    assert list(again.column("note")) == notes


def test_classes_have_the_colours_and_order_of_the_scheme():
    layer = layer_of(Points.build([[1, 2], [3, 4], [5, 6]], ["duct", "septa", "duct"]))
    assert list(layer.features["class"].cat.categories) == list(LUNG.names)
    for row, name in enumerate(["duct", "septa", "duct"]):
        color = transform_color(LUNG.colors[LUNG.code(name)])[0]
        np.testing.assert_allclose(layer.face_color[row], color)


def test_a_new_point_takes_the_first_class_and_what_all_share():
    points = Points.build([[1, 2], [3, 4]], ["duct", "septa"], group="mouse 1", note=["a", "b"])
    layer = layer_of(points)
    layer.add([[5, 6]])
    last = layer.features.iloc[-1]
    assert (last["class"], last["group"], last["note"]) == ("alveoli", "mouse 1", "")
    np.testing.assert_allclose(layer.face_color[-1], transform_color(LUNG.colors[0])[0])


def test_a_scheme_may_be_given():
    points = Points.build([[1, 2]], ["b"])
    layer = layer_of(points, scheme=ClassScheme.of_names(["a", "b"]))
    assert list(layer.features["class"].cat.categories) == ["a", "b"]
    with pytest.raises(InputError, match="class 'b' is unknown"):
        layer_data(points, scheme=LUNG)


def test_points_without_classes(tmp_path):
    layer = layer_of(Points.build([[1, 2]], name="x"))
    assert list(layer.features) == ["name"]
    again = save(layer, tmp_path / "p.lungcls.csv")
    assert again.labels is None
    assert again.columns == ("index", "axis-0", "axis-1", "name")


def test_a_file_is_read_by_its_suffix(tmp_path):
    one, two = tmp_path / "one.lungcls.csv", tmp_path / "TWO.LUNGCLS.CSV"
    for path in (one, two):
        write_points(path, Points.build([[1, 2]], ["duct"]))
    for path in (str(one), [str(one), str(two)]):
        layers = points_reader(path)(path)
        names = [options["name"] for _, options, _ in layers]
        assert names == ["one", "TWO"][: len(layers)]
        assert len(layers) == (1 if isinstance(path, str) else 2)
    assert points_reader(str(tmp_path / "one.png")) is None
    assert points_reader(str(tmp_path / "absent.csv")) is None
    assert points_reader([str(one), "image.png"]) is None


def test_points_of_other_programs_are_read_and_what_only_looks_like_them_is_not(tmp_path):
    path = tmp_path / "p.geojson"
    layer = layer_of(Points.build([[1, 2], [3, 4]], ["duct", "septa"]))
    assert list(save(layer, path).labels) == ["duct", "septa"]
    assert b'"name": "duct", "color": [0, 179, 134]' in path.read_bytes()
    ((data, options, _),) = points_reader(str(path))(str(path))
    assert (data.tolist(), options["name"]) == ([[1, 2], [3, 4]], "p")
    for name, text in (("a.geojson", '{"type": "Polygon"}'), ("a.xml", "<svg/>"), ("a.roi", "x")):
        (tmp_path / name).write_text(text)
        assert points_reader(str(tmp_path / name)) is None
    assert points_reader(str(tmp_path / "absent.xml")) is None


def test_other_tables_are_left_to_napari(tmp_path):
    for name in ("points.csv", "shapes.csv"):
        assert points_reader(str(tmp_path / name)) is None
    assert points_reader([str(tmp_path / "a.lungcls.csv"), str(tmp_path / "b.csv")]) is None


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_tables_of_spreadsheets_are_read(tmp_path, encoding):
    path = tmp_path / "p.lungcls.csv"
    path.write_text("sep=;\nIndex;Axis-0;Axis-1;Class\n0;1,5;2;duct \n", encoding=encoding)
    ((data, options, _),) = points_reader(str(path))(str(path))
    assert data.tolist() == [[1.5, 2]]
    assert list(options["features"]["class"]) == ["duct"]


def test_classes_take_the_spelling_of_the_scheme():
    scheme = ClassScheme.of_names(["Gänge", "septa"])
    labels = [unicodedata.normalize("NFD", "Gänge"), "septa ", "", "Gänge"]
    layer = layer_of(Points.build(np.zeros((4, 2)), labels), scheme=scheme)
    shown = [None if pd.isna(name) else name for name in layer.features["class"]]
    assert shown == ["Gänge", "septa", None, "Gänge"]


def test_the_label_window_knows_the_layer():
    layer = layer_of(Points.build([[1, 2]], ["b"]), scheme=ClassScheme.of_names(["b", "a"]))
    assert scheme_of(layer).names == ("b", "a")
    assert layer.metadata["lungcls"]["kind"] == "points"


TURNED = {"scale": (2.0, 3.0), "translate": (10.0, 20.0), "rotate": 30.0, "units": "um"}


def images(*names: str, **place: object) -> list[ImageLayer]:
    return [ImageLayer(np.zeros((8, 9)), name=name, **place) for name in names]


def known(layer: PointsLayer) -> ImageId:
    return layer.metadata["lungcls"]["image"]


@pytest.mark.parametrize("sure", [True, False])
def test_points_are_shown_on_their_image_and_on_the_suggested_one(sure):
    (image,) = images("lung", **TURNED)
    belongs = identify(image, [image]) if sure else ImageId("lung")
    points = Points.build([[1, 2], [3.25, 4]], ["duct", "septa"])
    layer = layer_of(points, belongs=belongs, images=[image])
    np.testing.assert_allclose(
        [layer.data_to_world(p) for p in layer.data], [image.data_to_world(p) for p in layer.data]
    )
    np.testing.assert_array_equal(layer.data, points.coordinates)
    assert layer.units == image.units
    assert (find(known(layer), [image]) is image) == sure


def found(points: Points, file: str, *names: str) -> str | None:
    layer = find(belonging(points, f"/data/{file}"), images(*names))
    return layer and layer.name


@pytest.mark.parametrize("file", ["b.lungcls.csv", "b points.lungcls.csv", "b points.csv"])
def test_the_name_of_a_file_suggests_an_image_and_decides_nothing(file):
    points = Points.build([[1, 2]], ["duct"])
    assert found(points, file, "a", "b") is None
    assert found(points, file, "b") is None
    belongs = belonging(points, f"/data/{file}")
    assert suggested(belongs, images("a", "b")).name == "b"
    assert suggested(belongs, images("b", "b")) is None


@pytest.mark.parametrize(
    "named", ["b", "b.tif", "../slides/b.tif", "..\\slides\\b.tif", " s/b.tif "]
)
def test_the_column_image_names_the_image(named):
    points = Points.build([[1, 2], [2, 3]], ["duct", "duct"], image=named)
    assert found(points, "a.lungcls.csv", "a", "b") == "b"
    assert found(points, "a.lungcls.csv", "a") is None
    assert found(points, "a.lungcls.csv", "b", "b") is None
    several = points.with_columns(image=[named, "a"])
    assert found(several, "a.lungcls.csv", "a", "b") is None


def test_the_column_image_finds_a_renamed_layer_by_its_file(make_napari_viewer_proxy, tmp_path):
    viewer = make_napari_viewer_proxy()
    Picture.fromarray(np.zeros((8, 9), np.uint8)).save(tmp_path / "slide 7.png")
    opened = viewer.open(tmp_path / "slide 7.png", plugin="napari") + list(
        viewer.add_image(np.zeros((8, 9)), name=name) for name in "ab"
    )
    opened[0].name = "mouse"
    points = Points.build([[1, 2]], ["duct"], image="../slide 7.png")
    belongs = belonging(points, str(tmp_path / "points" / "p.lungcls.csv"))
    assert find(belongs, opened).name == "mouse"


def test_a_bad_file_is_named(tmp_path):
    path = tmp_path / "bad.lungcls.csv"
    path.write_text("axis-0,axis-1\n1,nan\n")
    with pytest.raises(InputError, match="row 2: axis-1"):
        points_reader(str(path))(str(path))


def test_what_cannot_be_saved_leaves_the_old_file(tmp_path):
    path = tmp_path / "p.lungcls.csv"
    path.write_text("old")
    with pytest.raises(InputError, match="layer 'mine' has no points; add some"):
        write_points_layer(str(path), np.empty((0, 2)), {"name": "mine", "features": None})
    features = pd.DataFrame({"axis-0": [1]})
    with pytest.raises(InputError, match="rename the feature 'axis-0'"):
        write_points_layer(str(path), np.zeros((1, 2)), {"name": "mine", "features": features})
    assert path.read_text() == "old"
