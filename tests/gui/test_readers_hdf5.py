"""HDF5 files in napari: one image at once, one of several from a list."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_lungcls.errors import InputError
from napari_lungcls.gui.chooser import ImageChooser
from napari_lungcls.gui.image_files import WHOLE, image_layer
from napari_lungcls.gui.readers import image_reader
from napari_lungcls.images.opening import open_image
from napari_lungcls.images.readers.hdf5 import SUFFIXES
from napari_lungcls.images.stack import ImageStack
from plugin_in_napari import NAME, plugin_registered

RNG = np.random.default_rng(0)
VOLUME = RNG.integers(0, 60_000, (5, 20, 30)).astype(np.uint16)
COLOURS = RNG.integers(0, 255, (20, 30, 3)).astype(np.uint8)


@pytest.fixture
def viewer(make_napari_viewer_proxy):
    with plugin_registered():
        yield make_napari_viewer_proxy()


def saved(path: Path, **images: np.ndarray) -> str:
    with h5py.File(path, "w") as file:
        for name, image in images.items():
            file[name] = image
            file[name].attrs["element_size_um"] = (5.0, 0.5, 0.5)
    return str(path)


def chooser_of(viewer, path: str) -> ImageChooser:
    return viewer.window.dock_widgets[f"Choose from {Path(path).name}"]


def test_hdf5_is_claimed_by_its_names(tmp_path):
    assert image_reader(str(tmp_path / "a.txt")) is None
    assert image_reader(["a.h5", "b.txt"]) is None
    for suffix in SUFFIXES:
        assert image_reader(f"a{suffix}") is not None
        assert image_reader(f"A{suffix.upper()}") is not None


def test_the_only_image_opens_at_once_in_its_place(viewer, tmp_path):
    path = saved(tmp_path / "lung.h5", volume=VOLUME)
    (layer,) = viewer.open(path, plugin=NAME)
    np.testing.assert_array_equal(np.asarray(layer.data), VOLUME)
    np.testing.assert_allclose(layer.scale, (5.0, 0.5, 0.5))
    assert {str(unit) for unit in layer.units} == {"micrometer"}
    assert layer.name == "lung volume"
    assert layer.data.chunksize == (1, 20, 30), "one plane at a time"
    assert not viewer.window.dock_widgets


def test_colours_and_several_files(viewer, tmp_path):
    paths = [saved(tmp_path / f"{n}.h5", image=COLOURS) for n in "ab"]
    layers = viewer.open(paths, plugin=NAME)
    assert [layer.name for layer in layers] == ["a image", "b image"]
    for layer in layers:
        assert layer.rgb
        np.testing.assert_array_equal(np.asarray(layer.data), COLOURS)


def test_one_of_several_is_chosen_with_the_mouse(viewer, tmp_path, qtbot):
    path = saved(tmp_path / "lung.h5", volume=VOLUME, colours=COLOURS)
    assert viewer.open(path, plugin=NAME) == []
    chooser = chooser_of(viewer, path)
    rows = [chooser.table.topLevelItem(row) for row in range(chooser.table.topLevelItemCount())]
    assert [[row.text(column) for column in range(3)] for row in rows] == [
        ["/colours", "20 × 30 × 3", "uint8"],
        ["/volume", "5 × 20 × 30", "uint16"],
    ]
    assert chooser.chosen == [":/colours"]
    chooser.table.setCurrentItem(chooser.table.topLevelItem(1))
    qtbot.mouseClick(chooser.open_button, Qt.MouseButton.LeftButton)
    (layer,) = viewer.layers
    np.testing.assert_array_equal(np.asarray(layer.data), VOLUME)
    assert not viewer.window.dock_widgets


def test_all_of_several_are_opened(viewer, tmp_path, qtbot):
    path = saved(tmp_path / "lung.h5", volume=VOLUME, colours=COLOURS)
    viewer.open(path, plugin=NAME)
    chooser = chooser_of(viewer, path)
    chooser.table.selectAll()
    qtbot.mouseClick(chooser.open_button, Qt.MouseButton.LeftButton)
    assert [layer.name for layer in viewer.layers] == ["lung colours", "lung volume"]


def test_nothing_is_opened_when_nothing_is_chosen(viewer, tmp_path, qtbot):
    path = saved(tmp_path / "lung.h5", volume=VOLUME, colours=COLOURS)
    viewer.open(path, plugin=NAME)
    chooser = chooser_of(viewer, path)
    chooser.table.clearSelection()
    assert not chooser.open_button.isEnabled()
    qtbot.mouseClick(chooser.close_button, Qt.MouseButton.LeftButton)
    assert list(viewer.layers) == []
    assert not viewer.window.dock_widgets


def test_what_is_no_image_is_told_and_the_list_stays(viewer, tmp_path, qtbot, notifications):
    path = saved(tmp_path / "lung.h5", volume=VOLUME)
    with h5py.File(path, "a") as file:
        file["odd"] = np.zeros((20, 30, 16), np.uint8)
        for name, dim in zip("yxy", file["odd"].dims, strict=True):
            dim.label = name
    viewer.open(path, plugin=NAME)
    chooser = chooser_of(viewer, path)
    chooser.table.setCurrentItem(chooser.table.topLevelItem(0))
    qtbot.mouseClick(chooser.open_button, Qt.MouseButton.LeftButton)
    assert any("needs one y and one x axis" in line for line in notifications())
    assert list(viewer.layers) == []
    assert "Choose from lung.h5" in viewer.window.dock_widgets


@pytest.fixture
def notifications():
    from napari.utils.notifications import notification_manager

    before = len(notification_manager.records)
    return lambda: [str(n.message) for n in notification_manager.records[before:]]


def test_without_a_viewer_the_line_names_the_images(tmp_path):
    path = saved(tmp_path / "lung.h5", volume=VOLUME, colours=COLOURS)
    with pytest.raises(InputError, match=r"name one as lung.h5:PATH \(/colours, /volume\)"):
        image_reader(path)(path)


@pytest.mark.parametrize("content", [b"", b"no HDF5 at all", None])
def test_a_bad_file_is_named(viewer, tmp_path, content):
    path = tmp_path / "lung.h5"
    if content is None:
        saved(path, curve=np.zeros(5))
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"lung\.h5: (is not an HDF5 file|holds no dataset)"):
        viewer.open(str(path), plugin=NAME)


def test_large_planes_are_read_in_tiles_of_whole_chunks(tmp_path):
    edge = 2 * int(np.sqrt(WHOLE))
    with h5py.File(tmp_path / "large.h5", "w") as file:
        shape = (2, edge, edge)
        file.create_dataset("x", shape, np.uint8, chunks=(1, 300, 500), fillvalue=7)
    data, _, _ = image_layer(open_image(tmp_path / "large.h5"))
    assert data.chunksize == (1, 2100, 2000)
    assert int(np.asarray(data[1, 4000:4003, 5]).sum()) == 21


def test_a_pyramid_stays_one():
    levels = [np.zeros((64, 48), np.uint8), np.zeros((32, 24), np.uint8)]
    data, options, _ = image_layer(ImageStack(levels, name="p", scale=(2.0, 3.0)))
    assert options["multiscale"]
    assert [level.shape for level in data] == [(64, 48), (32, 24)]
