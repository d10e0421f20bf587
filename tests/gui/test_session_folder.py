"""A session in one folder: what is saved comes back in another window, where it was."""

import json

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt

from known_maps import bright_model
from napari_lungcls.annotation import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.gui.docks import main_window
from napari_lungcls.gui.label.controller import labeller_of
from napari_lungcls.gui.layers import image_of
from napari_lungcls.gui.maps import UNSAVED, is_map, map_of
from napari_lungcls.gui.paint import PaintMap
from napari_lungcls.gui.readers import image_reader
from napari_lungcls.gui.remembered import choices
from napari_lungcls.gui.session import session
from napari_lungcls.gui.session_file import NAME, SavedPoints, SavedSession, read_session
from napari_lungcls.gui.session_folder import restore_session, save_session
from napari_lungcls.gui.train import TrainModel
from napari_lungcls.gui.workers import cancel_all
from plugin_in_napari import plugin_registered


@pytest.fixture
def viewer(make_napari_viewer_proxy):
    with plugin_registered():
        made = make_napari_viewer_proxy()
        main_window(made).setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
        yield made
        cancel_all()


def finish(qtbot, job):
    if job.running:
        with qtbot.waitSignal(job.ended, timeout=30_000):
            pass


def test_the_whole_session_comes_back(viewer, qtbot, tmp_path):
    pixels = np.random.default_rng(0).normal(100, 50, (64, 80)).astype(np.float32)
    tifffile.imwrite(tmp_path / "lung.tif", pixels)
    (image,) = viewer.open(tmp_path / "lung.tif", plugin="napari-lungcls")
    image.name, image.scale = "my section", (0.5, 0.5)
    labeller = labeller_of(viewer)
    labeller.choose_image(image)
    labeller.set_scheme(ClassScheme.preset("lung-full"))
    labeller.add_points([[10, 20.5], [30, 40]], ["septa", "outside"], "human")
    session(viewer).add(bright_model(), "lung 16:43")
    train, paint = TrainModel(viewer), PaintMap(viewer)
    for widget, name in ((train, "Train"), (paint, "Paint")):
        viewer.window.add_dock_widget(widget, name=name)
    train.form.set("epochs", 33)
    paint.choices.stride_box.setValue(2)
    paint.start()
    qtbot.waitUntil(lambda: not paint.painting.busy, timeout=30_000)
    painted = map_of(paint.painting.class_layer)

    folder = tmp_path / "lung.lungcls-session"
    finish(qtbot, save_session(viewer, folder))
    assert {path.name for path in folder.iterdir()} == {
        NAME, "my section points.lungcls.csv", "lung 16-43.safetensors",
        "my section map.ome.zarr",
    }  # fmt: skip
    # All of it counts as saved.
    assert not labeller.annotation.unsaved
    assert session(viewer).current.path == folder / "lung 16-43.safetensors"
    assert not paint.painting.class_layer.metadata["lungcls"][UNSAVED]
    with pytest.raises(InputError, match="not empty; choose another name"):
        save_session(viewer, folder)

    # The same window can stand for another: everything is gone.
    labeller.choose_image(None)
    viewer.layers.clear()
    session(viewer).remove("lung 16:43")
    train.form.reset()
    paint.choices.stride_box.setValue(7)
    assert image_reader(str(folder))(str(folder)) == [(None,)]
    qtbot.waitUntil(lambda: any(map(is_map, viewer.layers)), timeout=30_000)
    qtbot.waitUntil(lambda: session(viewer).current is not None, timeout=30_000)
    points = viewer.layers["my section points"]
    np.testing.assert_array_equal(points.data, [[10, 20.5], [30, 40]])
    assert image_of(viewer, points).name == "my section"
    assert labeller.layer.name == points.name
    assert labeller.scheme == ClassScheme.preset("lung-full")
    assert not labeller.annotation.unsaved
    assert session(viewer).current.name == "lung 16:43"
    restored = map_of(next(layer for layer in viewer.layers if is_map(layer)))
    np.testing.assert_array_equal(np.asarray(restored.classes), np.asarray(painted.classes))
    assert train.form.settings().epochs == 33
    assert paint.choices.stride_box.value() == 2
    assert choices().get("train") == {"epochs": 33}

    # Where the image is gone, its points wait for it.
    viewer.layers.clear()
    (tmp_path / "lung.tif").unlink()
    restore_session(viewer, folder)
    assert [layer.name for layer in labeller.waiting()] == ["my section points"]
    qtbot.waitUntil(lambda: any(map(is_map, viewer.layers)), timeout=30_000)


def test_an_empty_session_is_refused_and_leaves_no_folder(viewer, tmp_path):
    with pytest.raises(InputError, match="nothing to save; label some points first"):
        save_session(viewer, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_folders_of_others_are_not_taken(tmp_path):
    (tmp_path / NAME).write_text('{"format": "another program"}', encoding="utf-8")
    assert image_reader(str(tmp_path)).__qualname__.startswith("_each")
    with pytest.raises(InputError, match="damaged, or of a newer version"):
        read_session(tmp_path)


@pytest.mark.parametrize("name", ["../points.csv", "/etc/passwd", "a/b.csv", "..", ""])
def test_a_session_reaches_nothing_outside_its_folder(tmp_path, name):
    entry = {"file": name, "layer": {"image": "a", "scheme": ClassScheme.preset("lung")}}
    SavedSession(points=(SavedPoints.model_validate(entry),)).write(tmp_path)
    with pytest.raises(InputError, match="outside the folder"):
        read_session(tmp_path)


def test_a_session_of_a_newer_version_is_told(tmp_path):
    SavedSession().write(tmp_path)
    document = json.loads((tmp_path / NAME).read_text(encoding="utf-8"))
    (tmp_path / NAME).write_text(json.dumps(document | {"version": 2}), encoding="utf-8")
    with pytest.raises(InputError, match="newer version"):
        read_session(tmp_path)
