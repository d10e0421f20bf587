"""Points saved from napari and opened again: same values, place, colours, classes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from napari.utils.colormaps.standardize_color import transform_color

from napari_lungcls.annotation import ClassScheme, Points, read_points, write_points
from napari_lungcls.errors import InputError
from napari_lungcls.gui.layers import positions, scheme_of
from napari_lungcls.gui.points_layer import annotation_layer, fill, to_points
from napari_lungcls.gui.writers import NotSaved
from plugin_in_napari import NAME, plugin_registered

LUNG = ClassScheme.preset("lung")
PLACE = {"scale": (5.0, 0.5, 0.5), "translate": (-3.0, 10.0, 20.0), "units": ("um",) * 3}


@pytest.fixture
def viewer(make_napari_viewer_proxy):
    with plugin_registered():
        yield make_napari_viewer_proxy()


def some_points(n: int = 12) -> Points:
    random = np.random.default_rng(3)
    labels = [*LUNG.names, *random.choice(LUNG.names, n - 4), ""]
    where = random.uniform(0, [4, 40, 48], (n, 3))
    return Points.build(where, labels, group="mouse 7", note=[f"a,{i}" for i in range(n)])


def test_labels_come_back_as_they_were(viewer, tmp_path):
    image = viewer.add_image(np.zeros((4, 40, 48)), name="lung", **PLACE)
    layer = annotation_layer(viewer, image, LUNG)
    points = some_points()
    fill(layer, points, LUNG)
    path = tmp_path / f"{layer.name}.lungcls.csv"
    assert layer.save(str(path)) == [str(path)]
    viewer.add_image(np.zeros((4, 40, 48)), name="another")
    (again,) = viewer.open(str(path), plugin=NAME)
    np.testing.assert_array_equal(again.data, points.coordinates)
    assert list(to_points(again).labels) == list(points.labels)
    assert list(again.features["note"]) == list(points.column("note"))
    with pytest.raises(InputError, match="waits for its image"):
        positions(again, image)
    assert again.units == layer.units
    assert again.size[0] == layer.size[0]
    np.testing.assert_allclose(again.face_color, layer.face_color)
    assert scheme_of(again) == LUNG
    assert again.metadata["lungcls"]["image"].name == "lung"
    np.testing.assert_allclose(again.data_to_world([1, 2, 3]), image.data_to_world([1, 2, 3]))
    assert again.name == "lung points [1]"


def test_a_point_added_after_opening_has_class_and_colour(viewer, tmp_path):
    path = tmp_path / "lung.lungcls.csv"
    write_points(path, Points.build([[1, 2], [50, 60.25]], ["duct", "septa"], group="007"))
    (layer,) = viewer.open(str(path), plugin=NAME)
    layer.feature_defaults = {"class": "duct", "group": "007"}
    layer.add([[5, 6]])
    np.testing.assert_allclose(layer.face_color[-1], transform_color(LUNG.colors[2])[0])
    layer.save(str(path))
    again = read_points(path)
    assert list(again.labels) == ["duct", "septa", "duct"]
    assert list(again.column("group")) == ["007"] * 3


def test_napari_csv_opens_with_classes_and_in_place(viewer, tmp_path):
    image = viewer.add_image(np.zeros((40, 48)), name="lung", scale=(0.5, 0.5), units="um")
    features = pd.DataFrame({"class": ["septa", "alveoli"], "area": [1.5, 2.0]})
    plain = viewer.add_points([[1, 2], [3.5, 4]], name="plain", features=features)
    plain.save(str(tmp_path / "plain.csv"), plugin="napari")
    ours = (tmp_path / "plain.csv").rename(tmp_path / "lung.lungcls.csv")
    (layer,) = viewer.open(str(ours), plugin=NAME)
    assert list(layer.features["class"].cat.categories) == list(LUNG.names)
    assert list(layer.features["class"]) == ["septa", "alveoli"]
    assert [float(area) for area in layer.features["area"]] == [1.5, 2.0]
    np.testing.assert_allclose(layer.data_to_world([1, 2]), image.data_to_world([1, 2]))


def test_napari_itself_still_opens_and_saves_csv(viewer, tmp_path):
    (tmp_path / "p.csv").write_text("index,axis-0,axis-1\n0,1,2\n")
    (layer,) = viewer.open(str(tmp_path / "p.csv"), plugin="napari")
    assert layer.save(str(tmp_path / "q.csv")) == [str(tmp_path / "q.csv")]
    assert (tmp_path / "q.csv").read_text().startswith("index,axis-0,axis-1\n")


def test_the_line_of_an_error_reaches_the_user(viewer, tmp_path):
    empty = viewer.add_points(np.empty((0, 2)), name="mine")
    with pytest.raises(NotSaved, match="layer 'mine' has no points; add some before saving it"):
        empty.save(str(tmp_path / "p.lungcls.csv"))
    (tmp_path / "bad.lungcls.csv").write_text("axis-0,axis-1\n1,nan\n")
    with pytest.raises(InputError, match="row 2: axis-1 is 'nan', not a finite number"):
        viewer.open(str(tmp_path / "bad.lungcls.csv"), plugin=NAME)
    assert list(viewer.layers) == [empty]
