"""The training window from Start to the model, through its own buttons."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest
from qtpy.QtWidgets import QLabel, QPushButton, QWidget

from napari_lungcls.gui.session import session
from napari_lungcls.gui.train import TrainModel
from napari_lungcls.gui.train.theme import Colours
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.model import load

from .conftest import TINY


def test_it_opens_without_torch():
    code = (
        "import sys, napari\n"
        "from napari_lungcls.gui.train import TrainModel\n"
        "viewer = napari.Viewer(show=False)\n"
        "viewer.window.add_dock_widget(TrainModel(viewer))\n"
        "assert 'torch' not in sys.modules\n"
        "viewer.close()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_what_a_driving_test_presses_has_a_name(window):
    for name in ("train_start", "train_cancel", "add_pair", "save_model", "load_model"):
        button = window.findChild(QPushButton, name)
        assert button is not None, name
        assert button.toolTip() or button.isEnabled() is False, name
    assert window.findChild(QLabel, "result") is not None
    for name in TrainingSettings.model_fields:
        assert window.findChild(QWidget, f"field_{name}") is not None


def test_an_empty_viewer_says_what_to_do(window):
    assert not window.run.start_button.isEnabled()
    assert window.run.start_button.toolTip() == "Open an image first."
    assert window.run.words.text() == "Open an image first."
    assert window.models.current.text() == "No model yet: train one or load one."
    assert not window.models.save_button.isEnabled()


def test_a_wrong_setting_keeps_it_from_starting(window, add_scene, qtbot):
    add_scene()
    qtbot.waitUntil(window.run.start_button.isEnabled)
    window.form.set("zooms", "1, 1")
    assert not window.run.start_button.isEnabled()
    assert window.run.start_button.toolTip() == window.form.problem
    window.form.set("zooms", "1")
    assert window.run.start_button.isEnabled()


def test_it_trains_on_two_pairs_and_hands_the_model_on(window, viewer, add_scene, train):
    add_scene(0)
    add_scene(1, scale=(0.5, 0.5), translate=(3, 400))
    window.pairs.add_button.click()
    train()
    known = session(viewer).current
    assert known is not None
    assert known.name.startswith("classes ")
    document = known.model.document
    assert document.scheme.names == ("dark", "grey", "bright")
    assert (
        document.split["train"] + document.split["validation"] + document.split["n_buffered"] == 180
    )
    assert document.settings == TINY.model_dump(mode="json")
    assert window.outcome.words.text().startswith("Validation: ")
    assert "2 epochs, " in window.outcome.words.text()
    assert [r["epoch"] for r in window.curves.history.records] == [1, 2]
    assert window.run.start_button.isEnabled()
    assert known.name in window.models.current.text()
    table = window.outcome.table
    shown = [[int(table.item(i, j).text()) for j in range(3)] for i in range(3)]
    assert shown == document.validation["confusion"]


def test_it_learns_what_the_points_say(window, viewer, add_scene, train):
    image, layer = add_scene(0, scale=(2, 2))
    window.form.set("epochs", 5)
    train()
    model = session(viewer).current.model
    odds = model.classify(image, layer.data)
    right = odds.argmax(1) == layer.features["class"].cat.codes.to_numpy()
    assert right.mean() > 0.9


def test_cancelling_keeps_an_epoch(window, viewer, add_scene, qtbot):
    add_scene()
    window.form.set("epochs", 500)
    window.form.set("patience", 500)
    window.run.start_button.click()
    assert not window.run.start_button.isEnabled()
    qtbot.waitUntil(lambda: len(window.curves.history.records) >= 2, timeout=60_000)
    window.run.cancel_button.click()
    qtbot.waitUntil(lambda: window.job is None, timeout=60_000)
    document = session(viewer).current.model.document
    assert 2 <= len(document.history) < 500
    said = window.outcome.words.text()
    assert f"Cancelled after epoch {len(document.history)} of 500; epoch " in said
    assert "is kept." in said


def test_cancelling_before_the_first_step_leaves_no_model(window, viewer, add_scene, qtbot):
    add_scene()
    window.start()
    # The thread has not read the first window yet.
    window.cancel()
    qtbot.waitUntil(lambda: window.job is None, timeout=60_000)
    assert session(viewer).current is None
    assert window.outcome.words.text() == (
        "Cancelled before the first step; there is no new model."
    )


def test_without_validation_there_is_no_figure(window, add_scene, train):
    add_scene()
    window.form.set("val_fraction", 0.0)
    train()
    assert window.outcome.words.text().startswith("There is no honest figure")
    assert window.outcome.table.isHidden()


def test_a_preview_is_a_model_of_every_point(window, viewer, add_scene, qtbot):
    add_scene()
    qtbot.waitUntil(window.run.other_button.isEnabled, timeout=60_000)
    window.run.other_button.click()
    assert not window.run.start_button.isEnabled()
    assert not window.run.other_button.isEnabled()
    qtbot.waitUntil(lambda: window.job is None, timeout=60_000)
    document = session(viewer).current.model.document
    assert document.settings["freeze"]
    assert (document.split["validation"], len(document.history)) == (0, 1)
    assert window.outcome.words.text().startswith("A preview: heads on a frozen trunk")
    assert window.run.other_button.isEnabled()
    assert not window.form.settings().freeze


def test_a_refused_split_offers_its_remedy(window, viewer, add_scene, train):
    add_scene()
    window.form.set("zooms", (1, 16))
    train()
    assert session(viewer).current is None
    said = window.outcome.words.text()
    assert said.startswith("No split keeps every class on both sides")
    assert "use zooms 1, label points" in said
    assert "--" not in said
    button = window.findChild(QPushButton, "remedy_zooms")
    assert button.text() == "Use zooms 1"
    button.click()
    assert window.form.settings().zooms == (1,)
    assert not window.outcome.remedy_buttons
    train()
    assert window.outcome.words.text().startswith("Validation: ")


def test_models_are_saved_and_loaded(window, viewer, add_scene, train, qtbot, tmp_path):
    add_scene()
    train()
    known = session(viewer).current
    job = window.models.save_to(tmp_path / "mine")
    with qtbot.waitSignal(job.ended):
        pass
    path = tmp_path / "mine.safetensors"
    assert session(viewer).current.path == path
    assert "saved in mine.safetensors" in window.models.current.text()
    other = TrainModel(viewer)
    qtbot.addWidget(other)
    # A window that opens later shows the model as well.
    assert other.outcome.words.text().startswith("Validation: ")
    with qtbot.waitSignal(other.models.load_from(path).ended):
        pass
    assert session(viewer).current.name == "mine"
    assert session(viewer).current.model.document == known.model.document
    same = load(path).state
    assert all(np.array_equal(a, same[name]) for name, a in known.model.state.items())


def test_a_model_that_is_none_is_refused(window, viewer, qtbot, tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    job = window.models.load_from(tmp_path / "bad.safetensors")
    with qtbot.waitSignal(job.failed) as caught:
        pass
    qtbot.waitUntil(lambda: not job.running)
    assert "bad.safetensors" in caught.args[0]
    assert session(viewer).current is None


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures_follow_the_theme(window, viewer, add_scene, train, theme):
    add_scene()
    window.form.set("epochs", 1)
    train()
    viewer.theme = "dark" if theme == "light" else "light"
    viewer.theme = theme
    colours = Colours.of(theme)
    ground = window.curves.loss.plot.backgroundBrush().color()
    assert ground.name() == colours.ground.name()
    table = window.outcome.table
    for i in range(3):
        for j in range(3):
            item = table.item(i, j)
            assert contrast(item.background().color(), item.foreground().color()) > 4.5


def contrast(a, b):
    def luminance(color):
        parts = np.array(color.getRgb()[:3]) / 255
        return (
            (parts <= 0.04045) * parts / 12.92
            + (parts > 0.04045) * ((parts + 0.055) / 1.055) ** 2.4
        ) @ [0.2126, 0.7152, 0.0722]

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_closing_the_window_ends_the_run(viewer, add_scene, qtbot):
    made = TrainModel(viewer)
    add_scene()
    made.form.fill(TINY.model_copy(update={"epochs": 1000}))
    made.start()
    job = made.job
    with qtbot.waitSignal(job.progressed, timeout=60_000):
        pass
    made.deleteLater()
    qtbot.waitUntil(lambda: not job.running, timeout=60_000)
    assert session(viewer).models == ()
    viewer.theme = "light"


@pytest.mark.skipif(importlib.util.find_spec("mxnet") is not None, reason="MXNet is installed")
def test_an_engine_that_cannot_run_says_why_and_what_to_do(window, add_scene, qtbot):
    add_scene()
    qtbot.waitUntil(window.run.start_button.isEnabled)
    window.form.set("engine", "mxnet")
    qtbot.waitUntil(lambda: "extra mxnet" in window.run.words.text(), timeout=5000)
    assert window.run.words.text().startswith("MXNet is not installed")
    assert not window.run.start_button.isEnabled()
    window.form.set("engine", "torch")
    assert window.run.start_button.isEnabled()
