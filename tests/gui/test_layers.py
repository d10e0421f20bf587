"""Places and coordinates of layers, against what napari itself says."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.layers import Image
from napari.layers import Points as PointsLayer
from napari.layers._source import layer_source

from napari_lungcls.annotation import ClassScheme, Points, read_points, write_points
from napari_lungcls.errors import InputError
from napari_lungcls.gui import layers, points_layer
from napari_lungcls.gui.image_id import ImageId
from napari_lungcls.gui.points_follower import PointsFollower
from napari_lungcls.gui.points_layer import annotation_layer, fill, set_scheme, to_points
from napari_lungcls.gui.readers import points_reader
from napari_lungcls.gui.writers import write_points_layer
from napari_lungcls.images.opening import as_stack
from napari_lungcls.inference.grid import MapGrid

LUNG = ClassScheme.preset("lung")
factors = st.floats(0.1, 10)
shifts = st.floats(-100, 100)
angles = st.floats(-80, 80)


def image(ndim=3, **place):
    return Image(np.zeros((3, 4, 40, 60)[-ndim:], np.uint8), name="lung", **place)


@st.composite
def places(draw, ndim=3, turned=True):
    place = {
        "scale": draw(st.tuples(*[factors] * ndim)),
        "translate": draw(st.tuples(*[shifts] * ndim)),
    }
    if turned and draw(st.booleans()):
        turn = np.deg2rad(draw(angles))
        rotate = np.eye(ndim)
        rotate[-2:, -2:] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
        place["rotate"] = rotate
        affine = np.eye(ndim + 1)
        affine[-3:-1, -1] = draw(st.tuples(shifts, shifts))
        affine[-2, -3] = draw(st.floats(-0.5, 0.5))
        place["affine"] = affine
        place["shear"] = draw(st.tuples(*[st.floats(-0.5, 0.5)] * (ndim * (ndim - 1) // 2)))
    return place


@given(places(), places(), st.lists(st.tuples(*[st.floats(-50, 50)] * 3), min_size=1, max_size=5))
@settings(max_examples=40)
def test_foreign_points_lie_where_they_are_seen(here, there, data):
    picture, points = image(**here), PointsLayer(data, ndim=3, **there)
    found = layers.positions(points, picture)
    expected = [picture.world_to_data(points.data_to_world(p)) for p in points.data]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    viewer = ViewerModel()
    viewer.layers.extend([picture, points])
    layers.link(viewer, points, picture)
    np.testing.assert_array_equal(points.data, found)
    np.testing.assert_allclose(
        [points.data_to_world(p) for p in found],
        [picture.data_to_world(p) for p in found],
        atol=1e-6,
    )


@given(places(), places(), places(), st.lists(st.tuples(*[st.floats(-50, 50)] * 3), min_size=1))
@settings(max_examples=30)
def test_both_saves_are_equal_byte_for_byte_wherever_the_layers_lie(one, two, three, data):
    viewer = ViewerModel()
    picture = viewer.add_layer(image(**one))
    layer = annotation_layer(viewer, picture, LUNG)
    fill(layer, Points.build(data, ["septa"] * len(data), note="a,b"), LUNG)
    with tempfile.TemporaryDirectory() as folder:
        first, saved, napari_saved = (Path(folder) / f"{n}.lungcls.csv" for n in range(3))
        write_points(first, to_points(layer, picture))
        for moved, place in ((picture, two), (layer, three)):
            for name, value in place.items():
                setattr(moved, name, value)
        write_points(saved, to_points(layer, picture))
        write_points_layer(str(napari_saved), *layer.as_layer_data_tuple()[:2])
        assert first.read_bytes() == saved.read_bytes() == napari_saved.read_bytes()
        ((where, options, _),) = points_reader(str(saved))(str(saved))
        again = PointsLayer(where, **options)
        np.testing.assert_array_equal(read_points(saved).coordinates, layer.data)
        np.testing.assert_array_equal(again.data, layer.data)
        assert list(again.features["class"]) == list(layer.features["class"])
        write_points(first, to_points(again))
        assert first.read_bytes() == saved.read_bytes()


@given(places(), places(), st.lists(st.tuples(*[st.floats(-50, 50)] * 3), min_size=1))
@settings(max_examples=20)
def test_both_saves_of_points_without_an_image_are_equal_too(one, two, data):
    viewer = ViewerModel()
    picture = viewer.add_layer(image(**one))
    viewer.add_layer(image(**one))
    layer = viewer.add_layer(PointsLayer(data, ndim=3, features={"n": range(len(data))}, **two))
    attributes = layer.as_layer_data_tuple()[:2]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(points_layer, "current_viewer", lambda: viewer)
        ours, napari_saved = (Path(folder) / f"{n}.lungcls.csv" for n in range(2))
        write_points(ours, to_points(layer, picture))
        write_points_layer(str(napari_saved), *attributes)
        assert ours.read_bytes() == napari_saved.read_bytes()
        viewer.layers[1].translate = viewer.layers[1].translate + 5
        with pytest.raises(InputError, match="belongs to no image, and several are open"):
            write_points_layer(str(napari_saved), *attributes)
        layers.link(viewer, layer, picture)
        write_points_layer(str(napari_saved), *layer.as_layer_data_tuple()[:2])
        assert ours.read_bytes() == napari_saved.read_bytes()


@given(places(), places(), st.booleans())
@settings(max_examples=20)
def test_points_follow_their_image(one, two, late):
    viewer = ViewerModel()
    follower = PointsFollower(viewer)
    picture = viewer.add_layer(image(**one))
    layer = annotation_layer(viewer, picture, LUNG)
    layer.data = [[1, 2, 3], [0, 30, 40]]
    if late:
        viewer.layers.remove(picture)
        assert layers.waits(viewer, layer)
    for name, value in two.items():
        setattr(picture, name, value)
    if late:
        viewer.add_layer(picture)
    layer.translate = (5, 5, 5)
    for where in layer.data:
        np.testing.assert_allclose(
            layer.data_to_world(where), picture.data_to_world(where), atol=1e-6
        )
    assert layers.positions(layer, picture).tolist() == [[1, 2, 3], [0, 30, 40]]
    del follower


def test_an_image_is_known_by_its_layer_or_file_and_not_by_its_name(tmp_path):
    file = tmp_path / "a.tif"
    viewer = ViewerModel()
    with layer_source(path=str(file)):
        first = viewer.add_layer(image())
    layer = annotation_layer(viewer, first, LUNG)
    first.name = "renamed"
    viewer.add_image(np.zeros((4, 40, 60)), name="lung")
    assert layers.image_of(viewer, layer) is first
    viewer.layers.remove(first)
    assert layers.waits(viewer, layer)
    with layer_source(path=str(tmp_path / "x" / ".." / "a.tif")):
        again = viewer.add_layer(image())
        assert layers.image_of(viewer, layer) is again
        viewer.add_layer(image())
    # Either of the two could be meant.
    assert layers.image_of(viewer, layer) is None
    viewer.layers.clear()
    with layer_source(path=str(file)):
        channels = [viewer.add_layer(image()) for _ in range(2)]
    layer = annotation_layer(viewer, channels[1], LUNG)
    viewer.layers.remove(channels[1])
    assert layers.waits(viewer, layer)


@given(places(), st.tuples(*[st.floats(-50, 50)] * 3))
@settings(max_examples=40)
def test_a_layer_in_an_images_place_counts_its_pixels(place, where):
    picture = image(**place)
    points = PointsLayer([where], ndim=3, **layers.place(picture))
    np.testing.assert_array_equal(layers.positions(points, picture), points.data)
    world = (7.0, *picture.data_to_world(where))
    np.testing.assert_allclose(layers.from_world(picture, world), where, atol=1e-6)


@given(places(ndim=4), st.sampled_from([1, 2, 3, 5, 8, 64]), st.integers(0, 9), st.integers(0, 9))
@settings(max_examples=60)
def test_cells_of_a_map_lie_in_the_middle_of_their_pixels(place, stride, top, left):
    picture = image(ndim=4, **place)
    region = (slice(top, 40), slice(left, 60))
    grid = MapGrid.over(as_stack(picture), stride, region, slice(1, 3))
    header = grid.header(LUNG, probabilities=False, provenance={})
    painted = Image(np.zeros(header.shape), **layers.map_place(picture, header))
    for cell in ((0, 0, 0, 0), tuple(n - 1 for n in header.shape)):
        middle = (
            top + cell[2] * stride + (stride - 1) / 2,
            left + cell[3] * stride + (stride - 1) / 2,
        )
        pixel = (cell[0], cell[1] + 1, *middle)
        np.testing.assert_allclose(
            painted.data_to_world(cell), picture.data_to_world(pixel), rtol=1e-9, atol=1e-6
        )


def test_a_map_lies_on_its_pixels_when_the_pixel_size_was_set_later():
    picture = image(ndim=4, scale=(2, 1, 1, 1), translate=(0, 0, 5, 7))
    region = (slice(3, 40), slice(4, 60))
    header = MapGrid.over(as_stack(picture), 4, region, slice(1, 3)).header(
        LUNG, probabilities=False, provenance={}
    )
    picture.scale = (2, 1, 0.5, 0.5)
    painted = Image(np.zeros(header.shape), **layers.map_place(picture, header))
    np.testing.assert_allclose(
        painted.data_to_world((0, 0, 2, 3)),
        picture.data_to_world((0, 1, 3 + 2 * 4 + 1.5, 4 + 3 * 4 + 1.5)),
    )


def test_points_of_another_image_and_waiting_ones_are_refused():
    viewer = ViewerModel()
    first, second = viewer.add_layer(image()), viewer.add_layer(image())
    layer = annotation_layer(viewer, first, LUNG)
    with pytest.raises(InputError, match=r"belongs to the image 'lung', not to 'lung \[1\]'"):
        layers.positions(layer, second)
    layer.metadata["lungcls"]["image"] = ImageId("lung")
    with pytest.raises(InputError, match="waits for its image; choose it in the Label window"):
        layers.positions(layer, first)


def test_layers_with_other_axes_are_refused():
    with pytest.raises(InputError, match=r"'p' has 2 axes and layer 'lung' has 3"):
        layers.positions(PointsLayer(np.zeros((1, 2)), name="p"), image())


def test_an_annotation_layer_is_empty_in_place_and_in_the_schemes_colours():
    viewer = ViewerModel()
    picture = viewer.add_layer(image(scale=(5, 0.5, 0.5), units=("um",) * 3))
    layer = annotation_layer(viewer, picture, LUNG)
    assert viewer.layers[-1] is layer
    assert (layer.ndim, len(layer.data), layer.units) == (3, 0, picture.units)
    assert layers.scheme_of(layer) == LUNG
    assert layers.image_of(viewer, layer) is picture
    layer.feature_defaults = {"class": "duct"}
    layer.add([1, 2, 3])
    assert list(layer.features["class"]) == ["duct"]
    np.testing.assert_allclose(layer.face_color[0][:3], [0, 0xB3 / 255, 0x86 / 255], atol=1e-3)


def test_points_go_in_and_come_out():
    viewer = ViewerModel()
    picture = viewer.add_layer(image(scale=(5, 0.5, 0.5)))
    layer = annotation_layer(viewer, picture, LUNG)
    points = Points.build([[0, 1, 2], [1, 3.25, 4]], ["septa", ""], note=["007", ""])
    fill(layer, points, LUNG)
    again = to_points(layer, picture)
    np.testing.assert_array_equal(again.coordinates, points.coordinates)
    assert list(again.labels) == ["septa", ""]
    assert list(again.column("note")) == ["007", ""]
    assert again.source == "layer 'lung points'"


def test_another_scheme_keeps_classes_of_the_same_name():
    viewer = ViewerModel()
    layer = annotation_layer(viewer, viewer.add_layer(image()), LUNG)
    fill(layer, Points.build([[0, 1, 2], [0, 3, 4]], ["septa", "duct"]), LUNG)
    set_scheme(layer, ClassScheme.of_names(["septa", "vessel"]))
    assert list(layer.features["class"].astype(object)) == ["septa", np.nan] or (
        layer.features["class"].isna().tolist() == [False, True]
    )
    assert list(layer.features["class"].dtype.categories) == ["septa", "vessel"]
    assert layers.scheme_of(layer).names == ("septa", "vessel")


def test_the_classes_of_a_plain_points_layer_are_found():
    layer = PointsLayer([[1, 2], [3, 4]], features={"class": ["duct", "septa"]})
    assert layers.scheme_of(layer) == LUNG
    assert layers.scheme_of(PointsLayer([[1, 2]])) is None
    assert layers.scheme_of(image()) is None
