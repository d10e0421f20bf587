"""*Compute on* in the Paint window, with a real server."""

import imageio.v3 as iio
import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QWidget

from known_maps import bright_model
from napari_lungcls.gui.paint import PaintMap
from napari_lungcls.gui.session import session
from napari_lungcls.model import load
from napari_lungcls.serving import jobs
from serving_here import serving

pytest.importorskip("fastapi")

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    return bright_model().save(tmp_path_factory.mktemp("model") / "bright.safetensors")


@pytest.fixture(scope="module")
def server(model_file):
    with serving(model_file) as client:
        yield client


@pytest.fixture
def opened(viewer, qtbot, blocky, model_file):
    """The window with a saved model and an image."""
    panel = PaintMap(viewer)
    viewer.window.add_dock_widget(panel, name="Paint")
    session(viewer).add(load(model_file, device="cpu"), "bright", model_file)
    viewer.add_image(blocky(2, 64, 80), name="lung")
    return panel


def child(window, name):
    found = window.findChild(QWidget, name)
    assert found is not None, name
    return found


def choose(window, address):
    box = child(window, "compute_on")
    box.setCurrentText(str(address))
    QTest.keyClick(box.lineEdit(), Qt.Key.Key_Return)


def paint(qtbot, window):
    QTest.mouseClick(child(window, "paint_start"), LEFT)
    qtbot.waitUntil(lambda: not window.painting.busy, timeout=30_000)


def cells(window):
    layer = window.painting.class_layer
    return None if layer is None else np.asarray(layer.data)


def test_a_server_paints_what_this_computer_paints(opened, qtbot, server, viewer):
    assert not child(opened, "compute_on").isVisible()
    paint(qtbot, opened)
    here = cells(opened)
    QTest.mouseClick(child(opened, "paint_expert"), LEFT)
    choose(opened, server.base_url)
    assert opened.choices.estimate.text().endswith(f"computed by {server.base_url.netloc.decode()}")
    QTest.mouseClick(child(opened, "compute_try"), LEFT)
    words = child(opened, "compute_words")
    qtbot.waitUntil(lambda: words.text().endswith("has this model."), timeout=20_000)
    done = server.app.state.service.jobs.active
    paint(qtbot, opened)
    assert not opened.painting.refused, opened.painting.words
    np.testing.assert_array_equal(cells(opened), here)
    assert server.app.state.service.jobs.active == done == 0
    assert not server.app.state.service.images._images


def test_points_are_asked_there_and_the_image_is_sent_once(opened, qtbot, server):
    choose(opened, server.base_url)
    points, before = opened.point_prediction, server.app.state.service.dispatcher.requests
    expected = []
    for where in ((0, 20, 20), (0, 40, 50)):
        points._on_click(where)
        qtbot.waitUntil(lambda: points._controller.requests.running is None, timeout=20_000)
        expected.append(points.words.text())
    assert server.app.state.service.dispatcher.requests == before + 2
    assert len(server.app.state.service.images._images) == 1
    choose(opened, "")
    assert child(opened, "compute_on").currentText() == "This computer"
    for where, words in zip(((0, 20, 20), (0, 40, 50)), expected, strict=True):
        points._on_click(where)
        qtbot.waitUntil(lambda: points._controller.requests.running is None, timeout=20_000)
        assert points.words.text() == words
    assert server.app.state.service.dispatcher.requests == before + 2
    server.app.state.service.images._images.clear()


def test_a_server_that_is_gone_is_said_with_a_remedy(opened, qtbot):
    choose(opened, "http://127.0.0.1:9")
    paint(qtbot, opened)
    assert opened.painting.refused
    assert "does not answer" in opened.painting.words
    assert "compute on this computer" in opened.painting.words
    QTest.mouseClick(child(opened, "compute_try"), LEFT)
    words = child(opened, "compute_words")
    qtbot.waitUntil(lambda: "does not answer" in words.text(), timeout=20_000)


def test_what_cannot_be_computed_there_is_said_before(opened, viewer, model_file):
    start = child(opened, "paint_start")
    choose(opened, "lab.example")
    assert not start.isEnabled()
    assert "write it as" in child(opened, "compute_words").text()
    choose(opened, "https://lab.example")
    assert start.isEnabled()
    session(viewer).add(bright_model(), "not saved")
    assert not start.isEnabled()
    assert "save it in Train" in child(opened, "compute_words").text()
    session(viewer).choose("bright")
    assert start.isEnabled()


def test_another_model_is_refused(opened, qtbot, server, viewer, tmp_path):
    other = bright_model().save(tmp_path / "other.safetensors")
    session(viewer).add(load(other, device="cpu"), "other", other)
    choose(opened, server.base_url)
    paint(qtbot, opened)
    assert "does not have the model" in opened.painting.words


def test_the_place_is_remembered_once_it_was_used(opened, qtbot, server, viewer, tmp_path):
    choose(opened, "http://127.0.0.1:9")
    choose(opened, server.base_url)
    paint(qtbot, opened)
    again = PaintMap(viewer)
    qtbot.addWidget(again)
    box = child(again, "compute_on")
    assert [box.itemText(i) for i in range(box.count())] == ["This computer", str(server.base_url)]
    assert box.currentText() == str(server.base_url)
    assert again.choices.fold.button.isChecked()


def test_closing_the_viewer_cancels_there(opened, qtbot, server, viewer, monkeypatch):
    from napari_lungcls.gui.workers import cancel_all

    run = jobs.run_painting

    def held(*arguments, cancelled, **options):
        for step in run(*arguments, cancelled=cancelled, **options):
            yield step
            while not cancelled():
                pass

    monkeypatch.setattr(jobs, "run_painting", held)
    choose(opened, server.base_url)
    QTest.mouseClick(child(opened, "paint_start"), LEFT)
    known = server.app.state.service.jobs._jobs
    qtbot.waitUntil(lambda: any(job.state == "running" for job in known.values()), timeout=20_000)
    job = next(job for job in known.values() if job.state == "running")
    assert cancel_all()
    qtbot.waitUntil(lambda: job.state == "cancelled", timeout=20_000)


def test_the_copied_command_names_the_server(opened, server, viewer, tmp_path):
    iio.imwrite(tmp_path / "a.tif", np.full((64, 64), 100, np.float32))
    (layer,) = viewer.open(tmp_path / "a.tif", plugin="napari-lungcls")
    opened.choices.image_box.choose(layer)
    choose(opened, server.base_url)
    recipe = opened._recipe()()
    assert f"--server {server.base_url}" in recipe.command
    assert "--device" not in recipe.command
    assert f"'{server.base_url}'" in recipe.python
    assert "from napari_lungcls.remote.model import connect" in recipe.python
