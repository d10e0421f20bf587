"""The training window from Start to the model, through its own buttons."""

import importlib.util

import numpy as np
import pytest
from qtpy.QtWidgets import QLabel, QPushButton, QWidget

from known_network import make_document, make_spec
from napari_lungcls.gui.layers import link
from napari_lungcls.gui.session import session
from napari_lungcls.gui.train import TrainModel
from napari_lungcls.gui.train.curves import ThemeColours
from napari_lungcls.gui.train.run import TrainingRun
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.model import Model, load

from .conftest import TINY


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
    assert document.settings == TINY.model_dump(mode="json") | {"backbone_lr_factor": 1.0}
    assert window.outcome.headline.text().endswith("held-out points right.")
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
    probabilities = model.classify(image, layer.data)
    right = probabilities.argmax(1) == layer.features["class"].cat.codes.to_numpy()
    assert right.mean() > 0.9


def cancel_after_two_epochs(window, qtbot):
    window.form.set("epochs", 500)
    window.form.set("patience", 500)
    qtbot.waitUntil(window.run.start_button.isEnabled)
    window.run.start_button.click()
    assert not window.run.start_button.isEnabled()
    qtbot.waitUntil(lambda: len(window.curves.history.records) >= 2, timeout=60_000)
    window.run.cancel_button.click()
    qtbot.waitUntil(lambda: window.training.job is None, timeout=60_000)


def test_a_cancelled_run_offers_its_network_and_the_old_model_stays(
    window, viewer, add_scene, train, qtbot
):
    add_scene()
    train()
    before = session(viewer).current
    assert window.outcome.keep_button.isHidden()
    cancel_after_two_epochs(window, qtbot)
    assert session(viewer).current is before
    ran = len(window.curves.history.records)
    assert f"Cancelled after epoch {ran} of 500, " in window.outcome.words.text()
    assert not window.outcome.keep_button.isHidden()
    window.outcome.keep_button.click()
    kept = session(viewer).current
    assert kept is not before
    assert len(kept.model.document.history) == ran
    assert window.outcome.keep_button.isHidden()
    assert "is kept." in window.outcome.words.text()
    # It is on disk as well, like a model whose training went to its end.
    qtbot.waitUntil(lambda: session(viewer).current.kept is not None)
    assert load(session(viewer).current.kept.path).document == kept.model.document


def test_a_network_that_is_not_wanted_goes_with_the_next_training(
    window, viewer, add_scene, train, qtbot
):
    add_scene()
    cancel_after_two_epochs(window, qtbot)
    assert session(viewer).models == ()
    window.form.fill(TINY)
    train()
    assert len(session(viewer).models) == 1
    assert window.outcome.keep_button.isHidden()


@pytest.mark.parametrize("steps", [0, 1])
def test_cancelling_before_an_epoch_has_ended_leaves_no_model(
    window, viewer, add_scene, qtbot, steps
):
    add_scene()
    window.form.set("batch_size", 2)
    window.start()
    # Either the thread has not read the first window yet, or it is in its first epoch.
    qtbot.waitUntil(lambda: not steps or window.training.latest is not None, timeout=60_000)
    window.training.cancel()
    qtbot.waitUntil(lambda: window.training.job is None, timeout=60_000)
    assert session(viewer).models == ()
    assert window.outcome.words.text() == (
        "Cancelled before the first epoch ended; no new network."
    )
    assert window.outcome.keep_button.isHidden()


def test_without_validation_there_is_no_figure(window, add_scene, train):
    add_scene()
    window.form.set("val_fraction", 0.0)
    train()
    assert window.outcome.headline.text().startswith("The accuracy is unknown")
    assert window.outcome.table.isHidden()


def test_a_preview_is_a_model_of_every_point(window, viewer, add_scene, qtbot):
    add_scene()
    qtbot.waitUntil(window.run.other_button.isEnabled, timeout=60_000)
    window.run.other_button.click()
    assert not window.run.start_button.isEnabled()
    assert not window.run.other_button.isEnabled()
    qtbot.waitUntil(lambda: window.training.job is None, timeout=60_000)
    document = session(viewer).current.model.document
    assert document.settings["freeze"] == "yes"
    assert (document.split["validation"], len(document.history)) == (0, 1)
    assert window.outcome.headline.text().startswith("A preview: only the last layer")
    assert window.run.other_button.isEnabled()
    assert window.form.settings().freeze == TINY.freeze


def test_a_refused_split_offers_its_remedy(window, viewer, add_scene, train):
    add_scene()
    window.form.set("zooms", (1, 16))
    train()
    assert session(viewer).current is None
    said = window.outcome.words.text()
    assert said.startswith("The points lie too close together")
    assert "set Zooms to 1 or label points" in said
    assert "--" not in said
    button = window.findChild(QPushButton, "remedy_zooms")
    assert button.text() == "Use zooms 1"
    button.click()
    assert window.form.settings().zooms == (1,)
    assert not window.outcome.remedy_buttons
    train()
    assert window.outcome.headline.text().endswith("held-out points right.")


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
    assert other.outcome.headline.text() == window.outcome.headline.text() != ""
    with qtbot.waitSignal(other.models.choice.load_from(path).ended):
        pass
    assert session(viewer).current.name == "mine"
    assert session(viewer).current.model.document == known.model.document
    same = load(path).state
    assert all(np.array_equal(a, same[name]) for name, a in known.model.state.items())


def test_a_model_that_is_none_is_refused(window, viewer, qtbot, tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    job = window.models.choice.load_from(tmp_path / "bad.safetensors")
    with qtbot.waitSignal(job.failed) as caught:
        pass
    qtbot.waitUntil(lambda: not job.running)
    assert "bad.safetensors" in caught.args[0]
    assert session(viewer).current is None


def test_pictures_follow_the_theme(window, viewer, add_scene, train):
    add_scene()
    window.form.set("epochs", 1)
    train()
    table = window.outcome.table
    for theme in ("light", "dark"):
        viewer.theme = theme
        colours = ThemeColours.of(theme)
        ground = window.curves.loss.plot.backgroundBrush().color()
        assert ground.name() == colours.ground.name()
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


def press_close(window):
    """Press the cross of a dock, which takes the widget out and leaves it to the collector."""
    window.parent().titleBarWidget().close_button.click()


def test_a_training_outlives_its_window_and_shows_itself_again(window, viewer, add_scene, qtbot):
    add_scene()
    window.form.fill(TINY.model_copy(update={"epochs": 1000, "patience": 1000}))
    qtbot.waitUntil(window.run.start_button.isEnabled)
    window.start()
    job = window.training.job
    qtbot.waitUntil(lambda: len(window.curves.history.records) >= 1, timeout=60_000)
    press_close(window)
    ended = len(session(viewer).part(TrainingRun).history.records)
    qtbot.waitUntil(
        lambda: len(session(viewer).part(TrainingRun).history.records) > ended, timeout=60_000
    )
    again = TrainModel(viewer)
    viewer.window.add_dock_widget(again, name="Train again")
    assert again.training.job is job
    assert len(again.curves.history.records) > ended
    assert not again.curves.isHidden()
    assert not again.run.bar.isHidden()
    assert "epoch" in again.run.words.text()
    assert again.run.cancel_button.isEnabled()
    # There is no second one: neither by its button nor by a script.
    assert not again.run.start_button.isEnabled()
    again.start()
    assert again.training.job is job
    again.run.cancel_button.click()
    qtbot.waitUntil(lambda: again.training.job is None, timeout=60_000)
    assert "Cancelled after epoch" in again.outcome.words.text()


def test_a_training_that_ends_unseen_leaves_its_model_and_is_told(
    window, viewer, add_scene, qtbot, monkeypatch
):
    told = []
    monkeypatch.setattr("napari_lungcls.gui.notices.show_info", told.append)
    add_scene()
    qtbot.waitUntil(window.run.start_button.isEnabled)
    window.start()
    press_close(window)
    qtbot.waitUntil(lambda: bool(session(viewer).models), timeout=60_000)
    qtbot.waitUntil(lambda: session(viewer).part(TrainingRun).job is None)
    assert len(session(viewer).models) == 1
    assert told[0].startswith("Training has ended. ")
    again = TrainModel(viewer)
    qtbot.addWidget(again)
    assert "2 epochs, " in again.outcome.words.text()


def test_two_windows_show_one_run_and_it_leaves_one_model(window, viewer, add_scene, train, qtbot):
    other = TrainModel(viewer)
    viewer.window.add_dock_widget(other, name="Other")
    add_scene()
    train()
    assert len(session(viewer).models) == 1
    assert other.outcome.words.text() == window.outcome.words.text()


def test_a_refusal_goes_when_a_field_changes(window, add_scene, train):
    add_scene()
    window.form.set("zooms", (1, 16))
    train()
    assert window.outcome.words.text().startswith("The points lie too close together")
    assert window.outcome.words.styleSheet()
    window.form.set("val_fraction", 0.1)
    assert window.outcome.words.text() == ""
    assert not window.outcome.words.styleSheet()


def test_other_pixel_sizes_are_said_before_the_start_and_stay(window, add_scene, train, qtbot):
    add_scene(0, scale=(0.5, 0.5), units=("um", "um"))
    assert window.caution.isHidden()
    add_scene(1, scale=(2, 2), units=("um", "um"))
    window.pairs.add_button.click()
    words = "has 2 µm per pixel and the model sees 0.5; the image is enlarged 4 times for it"
    qtbot.waitUntil(lambda: words in window.caution.text())
    assert not window.caution.isHidden()
    train()
    # The core warns of the same: it stands there once.
    assert window.training.warnings
    assert window.caution.text().count(words) == 1


def test_what_the_core_warns_of_during_a_run_stands_in_the_window(
    window, viewer, add_scene, train, tmp_path
):
    image, _ = add_scene()
    train()
    path = session(viewer).current.model.save(tmp_path / "colour.safetensors")
    grey = viewer.add_image(np.asarray(image.data)[..., 0], name="grey")
    link(viewer, viewer.layers["section 0 points"], grey)
    window.pairs.rows[0].image.choose(grey)
    window.pairs.rows[0].points.choose(viewer.layers["section 0 points"])
    window.form.set("pretrained", str(path))
    assert window.caution.isHidden()
    train()
    assert "trained on RGB images and layer 'grey' is grey" in window.caution.text()
    assert not window.caution.isHidden()


def test_the_figures_are_of_the_epoch_that_is_kept(window):
    document = make_document(
        make_spec(),
        history=[
            {"epoch": n, "train_loss": 0.5, "train_accuracy": 0.5, "val_loss": loss,
             "val_accuracy": right, "seconds": 1.0}
            for n, loss, right in ((1, 0.9, 0.5), (2, 0.1, 1.0), (3, 2.0, 0.75))
        ],
        split={"validation": 100},
    )  # fmt: skip
    session(window.training.viewer).add(Model(document, {}), "made")
    assert "100.0 %" in window.curves.accuracy.legend.text()
    assert "75.0 %" not in window.curves.accuracy.legend.text()
    assert "2 is kept" in window.curves.accuracy.caption.text()
    assert window.curves.accuracy.kept.isVisible()
    assert window.curves.accuracy.kept.value() == 2


def test_a_run_that_had_all_its_epochs_did_not_stop_early(window, add_scene, train, monkeypatch):
    monkeypatch.setattr("napari_lungcls.learning.settings.LEAST_STEPS", 4)
    add_scene()
    # The part after validation may have more epochs than the one before.
    window.form.set("final", "anew")
    window.form.set("epochs", None)
    window.form.set("patience", 1000)
    train()
    assert "Stopped early" not in window.outcome.words.text()


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
