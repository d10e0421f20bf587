"""Image files in a real viewer: what napari offers us for opens, with all that the file says."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile
import zarr
from napari._qt.dialogs.qt_reader_dialog import QtReaderDialog
from napari.errors import MultipleReaderError
from napari.plugins._npe2 import get_readers
from napari.settings import get_settings
from napari.utils.notifications import notification_manager
from ome_zarr.format import FormatV04
from qtpy.QtCore import QMimeData, QPointF, Qt, QTimer, QUrl
from qtpy.QtGui import QDropEvent
from qtpy.QtWidgets import QApplication

from napari_lungcls.errors import InputError
from napari_lungcls.gui.image_layer import may_be_channels, pixel_size
from napari_lungcls.images.axes import LazyView
from napari_lungcls.images.opening import as_stack, open_image
from plugin_in_napari import NAME, plugin_registered

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of a class of its own, at import
    from ome_zarr.writer import write_image

TITLE = "Lung classification"
RNG = np.random.default_rng(0)
PLANE = RNG.integers(0, 60_000, (48, 64)).astype(np.uint16)
STACK = RNG.integers(0, 60_000, (5, 48, 64)).astype(np.uint16)
COLOURS = RNG.integers(0, 255, (48, 64, 3)).astype(np.uint8)
HALF = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}


@pytest.fixture
def viewer(make_napari_viewer):
    with plugin_registered():
        yield make_napari_viewer()


def ome_tiff(path: Path, image: Any = PLANE, axes: str = "YX", **metadata: Any) -> Path:
    photometric = "rgb" if axes.endswith("S") else "minisblack"
    described = {"axes": axes} | metadata
    tifffile.imwrite(path, image, photometric=photometric, ome=True, metadata=described)
    return path


def ome_zarr(path: Path, image: Any = PLANE, axes: str = "yx", **options: Any) -> Path:
    group = zarr.open_group(path, mode="w", zarr_format=2)
    options.setdefault("scale", {axis: 0.5 if axis in "yx" else 1.0 for axis in axes})
    options.setdefault("scale_factors", [])
    options.setdefault("axes_units", {axis: "micrometer" for axis in axes if axis in "zyx"})
    write_image(image, group, axes=axes, fmt=FormatV04(), **options)
    return path


def hdf5(path: Path, **images: Any) -> Path:
    with h5py.File(path, "w") as file:
        for name, image in images.items():
            file[name] = image
            file[name].attrs["element_size_um"] = (1.0, 0.5, 0.5)[-image.ndim :]
    return path


def points(path: Path) -> Path:
    path.write_text("index,axis-0,axis-1,class\n0,1.5,2,septa\n")
    return path


KINDS: dict[str, Callable[[Path], Path]] = {
    "a.ome.tif": lambda path: ome_tiff(path, **HALF),
    "A.OME.TIFF": lambda path: ome_tiff(path, **HALF),
    "big.btf": lambda path: ome_tiff(path, **HALF),
    "plain.tif": lambda path: (
        tifffile.imwrite(path, PLANE, resolution=(20_000, 20_000), resolutionunit="CENTIMETER"),
        path,
    )[1],
    "imagej.tiff": lambda path: (
        tifffile.imwrite(
            path, STACK, imagej=True, resolution=(2, 2), metadata={"unit": "um", "axes": "ZYX"}
        ),
        path,
    )[1],
    "a.ome.zarr": ome_zarr,
    "a.zarr": ome_zarr,
    "inside.zarr/s0": lambda path: ome_zarr(path.parent) and path,
    "folder": ome_zarr,
    "a.h5": lambda path: hdf5(path, image=PLANE),
    "A.HDF5": lambda path: hdf5(path, image=STACK),
    "a.lungcls.csv": points,
}


def drop(viewer: Any, path: Path) -> list[str]:
    """Drop a file on the canvas and press OK if napari asks; give what it offered, ours first."""
    asked: list[str] = []

    def answer() -> None:
        dialog = QApplication.activeModalWidget()
        assert isinstance(dialog, QtReaderDialog)
        asked.extend(button.text() for button in dialog.reader_btn_group.buttons())
        asked.insert(0, dialog._get_plugin_choice())
        dialog.accept()

    canvas = viewer.window._qt_viewer
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    event = QDropEvent(
        QPointF(5, 5),
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    timer = QTimer()
    timer.timeout.connect(lambda: QApplication.activeModalWidget() is not None and answer())
    timer.start(20)
    try:
        canvas.dropEvent(event)
    finally:
        timer.stop()
    return asked


@pytest.mark.parametrize("name", KINDS)
def test_what_napari_offers_us_for_opens(viewer, tmp_path, name):
    path = KINDS[name](tmp_path / name)
    assert NAME in get_readers(str(path))
    (layer,) = viewer.open(str(path), plugin=NAME)
    if "csv" not in name:
        stack = open_image(path)
        np.testing.assert_array_equal(np.asarray(layer.data), np.asarray(stack.levels[0]))
        assert layer.name == stack.name
        if name != "inside.zarr/s0":
            assert pixel_size(layer) == pytest.approx(0.5)
            assert as_stack(layer).pixel_size == stack.pixel_size


@pytest.mark.parametrize("name", ["a.ome.tif", "plain.tif", "a.ome.zarr", "a.h5", "a.lungcls.csv"])
def test_dropped_files_open_with_ours_at_one_click(viewer, tmp_path, name):
    path = KINDS[name](tmp_path / name)
    assert drop(viewer, path) == [TITLE, TITLE, "napari builtins"]
    (layer,) = viewer.layers
    assert layer.source.reader_plugin == NAME
    if "csv" not in name:
        assert pixel_size(layer) == pytest.approx(0.5)


def test_others_are_neither_asked_about_nor_taken(viewer, tmp_path):
    for name in ("a.csv", "a.png", "a.jpg", "a.npy", "a.txt", "a.zip"):
        assert NAME not in get_readers(name), name
    (tmp_path / "foreign.csv").write_text("index,axis-0,axis-1\n0,1,2\n")
    assert drop(viewer, tmp_path / "foreign.csv") == []
    assert viewer.layers[0].source.reader_plugin == "napari"


def test_napari_and_the_user_keep_their_choice(viewer, tmp_path):
    path = str(ome_tiff(tmp_path / "a.ome.tif", **HALF))
    (layer,) = viewer.open(path)
    assert (layer.source.reader_plugin, pixel_size(layer)) == ("napari", None)
    with pytest.raises(MultipleReaderError, match=NAME):
        viewer.open(path, plugin=None)
    assert get_settings().plugins.extension2reader == {}
    get_settings().plugins.extension2reader = {"*.tif": NAME}
    (layer,) = viewer.open(path, plugin=None)
    assert (layer.source.reader_plugin, pixel_size(layer)) == (NAME, pytest.approx(0.5))


@pytest.mark.parametrize("image", [COLOURS, COLOURS.astype(np.uint16) * 200])
def test_colours_are_one_layer(viewer, tmp_path, image):
    paths = [
        ome_tiff(tmp_path / "a.ome.tif", image, "YXS", **HALF),
        ome_tiff(tmp_path / "b.ome.tif", np.stack([image] * 2), "ZYXS", **HALF),
    ]
    for path in paths:
        (layer,) = viewer.open(str(path), plugin=NAME)
        assert layer.rgb
        assert layer.data.dtype == image.dtype
        assert as_stack(layer).rgb
        np.testing.assert_array_equal(np.asarray(layer.data)[..., :, :, :], tifffile.imread(path))


def photograph(path: Path) -> Path:
    ome_zarr(path, np.moveaxis(COLOURS, -1, 0), "cyx")
    channels = [{"label": str(i), "color": c} for i, c in enumerate(("FF0000", "00FF00", "0000FF"))]
    zarr.open_group(path).attrs["omero"] = {"channels": channels}
    return path


def test_red_green_and_blue_of_a_photograph_are_one_layer(viewer, tmp_path):
    (layer,) = viewer.open(str(photograph(tmp_path / "he.ome.zarr")), plugin=NAME)
    assert layer.rgb
    np.testing.assert_array_equal(np.asarray(layer.data), COLOURS)


def named_tiff(path: Path) -> Path:
    channel = {"Name": ["DAPI", "CD31"], "Color": [0x0000FFFF, -16776961]}
    return ome_tiff(path, STACK[:2], "CYX", Channel=channel, **HALF)


def named_zarr(path: Path) -> Path:
    ome_zarr(path, STACK[:2], "cyx")
    channels = [{"label": "DAPI", "color": "0000FF"}, {"label": "CD31", "color": "FF0000"}]
    zarr.open_group(path).attrs["omero"] = {"channels": channels}
    return path


@pytest.mark.parametrize("make", [named_tiff, named_zarr])
def test_channels_are_layers_with_their_names_and_colours(viewer, tmp_path, make):
    path = make(tmp_path / f"lung.ome.{make.__name__[-4:].replace('tiff', 'tif')}")
    layers = viewer.open(str(path), plugin=NAME)
    assert [layer.name for layer in layers] == ["lung DAPI", "lung CD31"]
    for layer, plane, colour in zip(layers, STACK, ([0, 0, 1], [1, 0, 0]), strict=False):
        np.testing.assert_array_equal(np.asarray(layer.data), plane)
        np.testing.assert_allclose(layer.colormap.map([1.0])[0, :3], colour)
        assert layer.blending == "additive"
        assert pixel_size(layer) == pytest.approx(0.5)
    assert open_image(path, "CD31,DAPI").channels == "1,0"


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("kind", ["ome.tif", "imagej.tif", "zarr", "h5"])
def test_channels_that_nobody_named_are_numbered(viewer, tmp_path, count, kind):
    path, image = tmp_path / f"lung.{kind}", STACK[:count]
    if kind == "ome.tif":
        ome_tiff(path, image, "CYX")
    elif kind == "imagej.tif":
        tifffile.imwrite(path, image, imagej=True, metadata={"axes": "CYX"})
    elif kind == "zarr":
        ome_zarr(path, image, "cyx")
    else:
        with h5py.File(path, "w") as file:
            file["image"] = image
            for dim, name in zip(file["image"].dims, "cyx", strict=True):
                dim.label = name
    layers = viewer.open(str(path), plugin=NAME)
    numbers = [str(i) for i in range(count)]
    assert [layer.name.rpartition(" ")[2] for layer in layers] == numbers
    for layer, plane in zip(layers, image, strict=True):
        np.testing.assert_array_equal(np.asarray(layer.data), plane)
    assert len({tuple(layer.colormap.map([1.0])[0]) for layer in layers}) == count


def test_axes_keep_the_names_of_the_file(viewer, tmp_path):
    paths = [
        ome_tiff(tmp_path / "a.ome.tif", STACK[:3], "ZYX", **HALF),
        ome_zarr(tmp_path / "a.zarr", STACK[:3], "zyx"),
        ome_tiff(tmp_path / "b.ome.tif", np.stack([STACK, STACK]), "TZYX"),
    ]
    tifffile.imwrite(tmp_path / "pages.tif", STACK[:3], photometric="minisblack", metadata=None)
    for path, names in zip(paths, ("zyx", "zyx", "tzyx"), strict=True):
        (layer,) = viewer.open(str(path), plugin=NAME)
        assert layer.axis_labels == tuple(names)
        assert not may_be_channels(layer)
    (layer,) = viewer.open(str(tmp_path / "pages.tif"), plugin=NAME)
    assert layer.axis_labels == ("-3", "-2", "-1")
    assert may_be_channels(layer)


def test_pyramids_are_read_where_they_are_looked_at(viewer, tmp_path, monkeypatch):
    image = RNG.integers(0, 255, (6, 2048, 2048)).astype(np.uint8)
    path = ome_zarr(tmp_path / "large.zarr", image, "zyx", scale_factors=[2, 4, 8])
    read, get = [], LazyView.__getitem__

    def noted(view: LazyView, key: Any) -> Any:
        found = get(view, key)
        read.append(found.size)
        return found

    monkeypatch.setattr(LazyView, "__getitem__", noted)
    (layer,) = viewer.open(str(path), plugin=NAME)
    assert layer.multiscale
    assert [level.shape[-1] for level in layer.data] == [2048, 1024, 512, 256]
    viewer.window._qt_viewer.canvas.native.grab()
    assert max(read) <= 2048 * 2048
    assert sum(read) <= image.size // 2, "the stack was read"


def several(path: Path) -> Path:
    with tifffile.TiffWriter(path, ome=True) as tif:
        tif.write(PLANE[:20, :30], metadata={"axes": "YX", "Name": "overview 2", **HALF})
        tif.write(PLANE, metadata={"axes": "YX", "Name": "left lobe", **HALF})
        tif.write(PLANE[:40], metadata={"axes": "YX", "Name": "right lobe", **HALF})
    return path


def test_of_several_images_the_largest_opens_and_a_list_offers_the_others(viewer, tmp_path, qtbot):
    path = several(tmp_path / "lobes.ome.tif")
    before = len(notification_manager.records)
    (layer,) = viewer.open(str(path), plugin=NAME)
    np.testing.assert_array_equal(np.asarray(layer.data), PLANE)
    said = [str(record.message) for record in notification_manager.records[before:]]
    assert any("lobes.ome.tif holds 2 images. The largest is open" in line for line in said)
    chooser = viewer.window.dock_widgets["Choose from lobes.ome.tif"]
    rows = [chooser.table.topLevelItem(i).text(0) for i in range(chooser.table.topLevelItemCount())]
    assert rows == ["left lobe", "right lobe"]
    chooser.table.setCurrentItem(chooser.table.topLevelItem(1))
    qtbot.mouseClick(chooser.open_button, Qt.MouseButton.LeftButton)
    right = viewer.layers[-1]
    assert (right.name, right.source.path) == ("lobes right lobe", str(path))
    np.testing.assert_array_equal(np.asarray(right.data), PLANE[:40])
    assert pixel_size(right) == pytest.approx(0.5)


def test_scanners_of_slides_add_pictures_that_nobody_is_asked_about(viewer, tmp_path):
    path = tmp_path / "slide.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as tif:
        tif.write(PLANE, metadata={"axes": "YX", "Name": "slide", **HALF})
        tif.write(PLANE[:20, :20], metadata={"axes": "YX", "Name": "macro"})
    (layer,) = viewer.open(str(path), plugin=NAME)
    np.testing.assert_array_equal(np.asarray(layer.data), PLANE)
    assert not viewer.window.dock_widgets


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.tif", b"no TIFF", r"a\.tif: is not a TIFF image"),
        ("a.h5", b"no HDF5", r"a\.h5: is not an HDF5 file"),
        ("folder", None, r"folder: is a folder without zarr metadata"),
        ("a.safetensors", b"no model", r"a\.safetensors"),
        ("a.lungcls.csv", b"x,y\n1,2\n", r"a\.lungcls\.csv"),
    ],
)
def test_what_cannot_be_opened_is_told_in_one_line(viewer, tmp_path, name, content, line):
    path = tmp_path / name
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(InputError, match=line) as caught:
        viewer.open(str(path), plugin=NAME)
    assert "\n" not in str(caught.value)
    assert not viewer.layers
