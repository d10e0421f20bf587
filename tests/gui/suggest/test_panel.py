"""The queue of suggestions in a real window: accept, correct, skip, back, and all put back."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

import napari_lungcls as lc
from driving import Hands
from napari_lungcls.annotation.autosave import FOLDER_VARIABLE
from napari_lungcls.gui.label.controller import labeller_of
from napari_lungcls.gui.questions.stage import MARK
from napari_lungcls.gui.session import session
from napari_lungcls.gui.suggest import SuggestionPanel
from napari_lungcls.gui.workers import cancel_all
from napari_lungcls.utils.progress import Step

PLACES = [[0, 20, 30], [1, 50, 60], [2, 70, 40]]
SAID = ["alveoli", "duct", "septa"]


def looking(model: Any, stack: Any, n: int, **options: Any) -> Any:
    """Stand in for the search: three places, whatever is asked."""
    asked.append({"model": model, "n": n, **options})
    yield Step(1, 2, "asking the model")
    if options["cancelled"]():
        raise lc.InputError("cancelled; nothing is suggested")
    return lc.Points.build(PLACES, predicted=SAID, why=[f"{name} 51 %" for name in SAID])


asked: list[dict[str, Any]] = []


@pytest.fixture
def viewer(make_napari_viewer, monkeypatch, tmp_path):
    asked.clear()
    monkeypatch.setattr("napari_lungcls.active_learning.suggest.suggesting", looking)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    made = make_napari_viewer(show=True)
    made.window.resize(900, 700)
    yield made
    cancel_all()


def test_places_are_shown_one_after_another_and_labelled(viewer):
    panel, hands = SuggestionPanel(viewer), Hands(viewer)
    viewer.window.add_dock_widget(panel, name="Suggest")
    assert panel.words.text() == "Open an image first."
    assert not panel.run.start_button.isEnabled()
    image = viewer.add_image(np.zeros((3, 90, 120), np.uint8), name="lung")
    assert panel.words.text().startswith("Train or load a model first")
    model = SimpleNamespace(scheme=lc.ClassScheme.preset("lung"))
    session(viewer).add(model, "old")
    now = SimpleNamespace(scheme=lc.ClassScheme.preset("lung"))
    session(viewer).add(now, "new")
    assert [panel.order.itemText(i) for i in range(panel.order.count())] == [
        "where the model is unsure", "where it disagrees with old",
    ]  # fmt: skip
    panel.order.setCurrentIndex(1)
    viewer.dims.set_point(0, 1)
    before = (viewer.dims.point, viewer.scene.camera.center, viewer.scene.camera.zoom)

    hands.settle()
    hands.click("suggest_start")
    hands.until(lambda: panel.queue.showing)
    assert asked[0]["model"] is now
    assert asked[0]["previous"] is model
    assert asked[0]["n"] == 20
    assert panel.bar.text() == "1 of 3"
    assert "alveoli 51 %" in panel.question.text()
    assert viewer.dims.point[0] == 0
    assert MARK in viewer.layers
    labeller = labeller_of(viewer)

    QTest.keyClick(hands.canvas, Qt.Key.Key_Return)
    assert panel.bar.text() == "2 of 3"
    assert labeller.layer.features["class"].tolist() == ["alveoli"]
    assert labeller.layer.features["source"].tolist() == ["suggestion"]
    assert np.array_equal(labeller.layer.data, PLACES[:1])
    assert viewer.dims.point[0] == 1
    key = labeller.scheme.classes[labeller.scheme.code("septa")].key
    QTest.keyClick(hands.canvas, key)
    assert labeller.layer.features["class"].tolist() == ["alveoli", "septa"], "corrected"
    QTest.keyClick(hands.canvas, Qt.Key.Key_Backspace)
    assert panel.bar.text() == "2 of 3"
    assert labeller.layer.features["class"].tolist() == ["alveoli"], "taken back"
    QTest.keyClick(hands.canvas, Qt.Key.Key_Space)
    hands.click("suggest_stop")
    assert MARK not in viewer.layers
    after = (viewer.dims.point, viewer.scene.camera.center, viewer.scene.camera.zoom)
    assert after == before
    assert panel.words.text() == "1 point labelled of 3 suggested."

    hands.click("suggest_resume")
    assert panel.bar.text() == "3 of 3"
    hands.click("answer_duct")
    assert not panel.queue.showing
    assert "2 points labelled of 3 suggested. Train again" in panel.words.text()
    assert labeller.annotation.undo_text, "each label can be undone"
    panel.queue.back()
    assert panel.queue.showing
    assert labeller.layer.features["class"].tolist() == ["alveoli"]

    viewer.layers.remove(image)
    assert not panel.queue.showing
    assert panel.queue.total == 0


def test_a_model_of_other_classes_is_refused(viewer):
    panel = SuggestionPanel(viewer)
    viewer.window.add_dock_widget(panel, name="Suggest")
    viewer.add_image(np.zeros((90, 120), np.uint8), name="lung")
    session(viewer).add(SimpleNamespace(scheme=lc.ClassScheme.of_names(["sky", "sea"])), "other")
    with warnings.catch_warnings():
        panel.suggest()
    assert "class 'sky'" in panel.run.words.text()
    assert not asked
