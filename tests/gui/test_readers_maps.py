"""Painted maps saved from napari and opened again: same cells, place, colours, names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from napari.layers import Image, Layer

from known_maps import paint
from napari_lungcls.errors import InputError
from napari_lungcls.gui.map_files import layer_name
from napari_lungcls.gui.maps import map_layers, map_of
from napari_lungcls.gui.readers import image_reader
from napari_lungcls.gui.writers import NotSaved, write_map_layer
from napari_lungcls.images.opening import as_stack
from napari_lungcls.inference.painted import PaintedMap, read_map
from plugin_in_napari import NAME, plugin_registered

IMAGE = np.tile(np.linspace(0, 300, 48, dtype=np.float32), (2, 40, 1))
PLACE = {"scale": (5.0, 0.5, 0.5), "translate": (-3.0, 10.0, 20.0), "units": ("um",) * 3}
ENDINGS = [".ome.zarr", ".ome.tif"]


@pytest.fixture
def viewer(make_napari_viewer_proxy):
    with plugin_registered():
        yield make_napari_viewer_proxy()


def painted_over(layer: Image) -> PaintedMap:
    return paint(as_stack(layer), stride=4, pixel_size=0.5)


def added(viewer, painted: PaintedMap, image: Image, name: str = "painted") -> list[Layer]:
    layers = map_layers(painted, name, image, probabilities=True)
    return [viewer.add_layer(Layer.create(*data)) for data in layers]


def same_place(one: Layer, other: Layer) -> None:
    corners = np.array([[0, 0, 0], [1, 9, 11], [0.5, 2.25, 7]])
    for corner in corners:
        np.testing.assert_allclose(one.data_to_world(corner), other.data_to_world(corner))
    assert one.units == other.units


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_map_comes_back_as_it_was(viewer, tmp_path, ending):
    image = viewer.add_image(IMAGE, name="lung", **PLACE)
    painted = painted_over(image)
    *_, classes = added(viewer, painted, image)
    path = tmp_path / f"painted{ending}"
    assert classes.save(str(path)) == [str(path)]
    *probabilities_again, again = viewer.open(str(path), plugin=NAME)
    np.testing.assert_array_equal(np.asarray(again.data), np.asarray(classes.data))
    assert set(np.unique(again.data)) == {1, 2}
    assert again.name == "painted [1]"
    assert again.opacity == classes.opacity
    np.testing.assert_allclose(again.colormap.map(np.arange(3)), classes.colormap.map(np.arange(3)))
    assert list(again.features["class"]) == list(classes.features["class"])
    assert map_of(again).header == painted.header
    same_place(again, classes)
    # Its probabilities are there to be shown, and add no layer.
    assert probabilities_again == []
    kept = map_of(again).probabilities
    np.testing.assert_array_equal(np.asarray(kept), painted.probabilities)


@pytest.mark.parametrize("ending", ENDINGS)
def test_without_the_image_the_file_says_where_it_lies(viewer, tmp_path, ending):
    image = Image(IMAGE, name="lung", **PLACE)
    painted = painted_over(image)
    painted.save(tmp_path / f"m{ending}")
    *_, again = viewer.open(str(tmp_path / f"m{ending}"), plugin=NAME)
    (expected,) = map_layers(painted, "m", image)
    same = Layer.create(*expected)
    for cell in ([0, 0, 0], [1, 9, 11]):
        np.testing.assert_allclose(again.data_to_world(cell), same.data_to_world(cell))
    assert str(again.units[-1]) == "micrometer"


def test_over_a_turned_image_it_takes_the_place_of_the_image(viewer, tmp_path):
    image = viewer.add_image(IMAGE, name="lung", rotate=(0, 0, 30), **PLACE)
    painted = painted_over(image)
    (*_, classes) = added(viewer, painted, image)
    classes.save(str(tmp_path / "m.ome.zarr"))
    viewer.add_image(IMAGE, name="another", **PLACE)
    *_, again = viewer.open(str(tmp_path / "m.ome.zarr"), plugin=NAME)
    same_place(again, classes)
    assert again.metadata["lungcls"]["image"] == "lung"


def test_cells_that_were_corrected_are_saved(viewer, tmp_path):
    image = viewer.add_image(IMAGE, name="lung", **PLACE)
    painted = painted_over(image)
    (*_, classes) = added(viewer, painted, image)
    corrected = np.asarray(classes.data).copy()
    corrected[1, 2:5, 3:6] = 0
    classes.data = corrected
    classes.save(str(tmp_path / "m.ome.tif"))
    np.testing.assert_array_equal(np.asarray(read_map(tmp_path / "m.ome.tif").classes), corrected)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_map_is_saved_over_the_file_it_was_read_from(viewer, tmp_path, ending, monkeypatch):
    monkeypatch.setattr("napari_lungcls.gui.maps.RESIDENT", 0)
    painted = painted_over(Image(IMAGE, name="lung", **PLACE))
    path = tmp_path / f"m{ending}"
    painted.save(path)
    *_, classes = viewer.open(str(path), plugin=NAME)
    assert not isinstance(classes.data, np.ndarray)
    assert classes.save(str(path)) == [str(path)]
    np.testing.assert_array_equal(np.asarray(read_map(path).classes), painted.classes)


def test_what_is_no_map_cannot_be_saved_as_one(viewer, tmp_path):
    layer = viewer.add_labels(np.ones((4, 5), np.uint8), name="cells")
    for plugin in (NAME, None):
        with pytest.raises(NotSaved, match=r"layer 'cells' is no painted map; save it as \.tif"):
            layer.save(str(tmp_path / "cells.ome.tif"), plugin=plugin)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_kind_is_not_replaced(tmp_path):
    path = tmp_path / "notes.ome.zarr"
    path.mkdir()
    (path / "thesis.txt").write_text("mine")
    painted = painted_over(Image(IMAGE, name="lung", **PLACE))
    attributes = {"name": "m", "metadata": {"lungcls": {"map": painted}}}
    with pytest.raises(InputError, match=r"notes\.ome\.zarr"):
        write_map_layer(str(path), painted.classes, attributes)
    assert (path / "thesis.txt").read_text() == "mine"


def others(folder: Path) -> list[Path]:
    """Make files and folders that carry our suffixes and are no images."""
    (folder / "broken.ome.tif").write_bytes(b"II*\0")
    zarr.create_group(folder / "group2.ome.zarr", zarr_format=2).attrs["multiscales"] = []
    zarr.create_group(folder / "group3.ome.zarr").attrs["ome"] = {}
    for name, text in (("list", "[1]"), ("text", "{"), ("deep", '{"attributes": 3}')):
        (folder / f"{name}.zarr").mkdir()
        (folder / f"{name}.zarr" / ".zattrs").write_text(text)
        (folder / f"{name}.zarr" / "zarr.json").write_text(text)
    (folder / "empty").mkdir()
    return list(folder.iterdir())


def test_what_is_neither_map_nor_image_is_told_in_a_line(tmp_path, viewer):
    (tmp_path / "others").mkdir()
    found = others(tmp_path / "others")
    assert len(found) == 7
    for path in found:
        with pytest.raises(InputError, match=path.name):
            viewer.open(str(path), plugin=NAME)
    assert not viewer.layers
    assert image_reader(str(tmp_path / "notes.txt")) is None


def test_maps_and_images_are_told_apart(tmp_path, viewer):
    painted_over(Image(IMAGE, name="lung", **PLACE)).save(tmp_path / "m.ome.tif")
    tifffile.imwrite(tmp_path / "i.ome.tif", np.zeros((8, 9), np.uint8), metadata={"axes": "YX"})
    zarr.save_array(str(tmp_path / "a.zarr"), np.zeros((8, 9)))
    kinds = [
        [type(layer).__name__ for layer in viewer.open(str(tmp_path / name), plugin=NAME)]
        for name in ("m.ome.tif", "i.ome.tif", "a.zarr")
    ]
    assert kinds == [["Labels"], ["Image"], ["Image"]]


def test_a_damaged_map_is_told(viewer, tmp_path):
    path = tmp_path / "m.ome.zarr"
    painted_over(Image(IMAGE, name="lung", **PLACE)).save(path)
    document = json.loads((path / ".zattrs").read_text())
    del document["napari-lungcls"]["header"]["stride"]
    (path / ".zattrs").write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"m\.ome\.zarr: its map header is damaged"):
        viewer.open(str(path), plugin=NAME)
    assert list(viewer.layers) == []


@pytest.mark.parametrize(
    ("path", "name"),
    [("/a/m.ome.zarr/", "m"), ("m.OME.TIF", "m"), ("x.y.zarr", "x.y"), (".ome.zarr", "map")],
)
def test_layers_are_named_after_their_file(path, name):
    assert layer_name(path) == name
