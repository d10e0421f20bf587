"""The live map in a real window, with mouse and keys."""

from functools import partial

import numpy as np
import pytest
from qtpy.QtWidgets import QWidget

from driving import Hands
from known_maps import BRIGHTNESS, RAMP
from known_network import make_document
from napari_lungcls.annotation import ClassScheme
from napari_lungcls.annotation.autosave import FOLDER_VARIABLE
from napari_lungcls.gui.label.controller import labeller_of
from napari_lungcls.gui.layers import KEY
from napari_lungcls.gui.live import LivePanel
from napari_lungcls.gui.live.run import LiveRun
from napari_lungcls.gui.maps import add_layers, map_layers, map_of
from napari_lungcls.gui.paint import train_on
from napari_lungcls.gui.paint.mapview import MapView
from napari_lungcls.gui.paint.run import PaintingRun
from napari_lungcls.gui.session import session
from napari_lungcls.gui.train.run import TrainingRun
from napari_lungcls.gui.why import WhyPanel
from napari_lungcls.gui.workers import cancel_all
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.model import Model

CENTRE = (128.0, 128.0)
TWO = ClassScheme.of_names(["alveoli", "septa"], "two")
CELLS = np.random.default_rng(3).choice([100, 200], (16, 16)).astype(np.float32)
"""Squares of 16 pixels, bright or dark."""


@pytest.fixture
def viewer(make_napari_viewer, monkeypatch, tmp_path):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    made = make_napari_viewer(show=True)
    made.window.resize(1000, 700)
    image = made.add_image(CELLS.repeat(16, 0).repeat(16, 1), name="section")
    model = Model(make_document(RAMP, scheme=TWO), BRIGHTNESS.state(), device="cpu")
    session(made).add(model, "bright or dark", model.save(tmp_path / "bright.safetensors"))
    labeller = labeller_of(made)
    labeller.choose_image(image)
    labeller.show()
    yield made
    cancel_all()


def hands_on(viewer, *panels):
    """Open panels; what is returned must not outlive the test, as it holds the window."""
    for kind in panels:
        viewer.window.add_dock_widget(kind(viewer), name=kind.__name__)
    hands = Hands(viewer)
    hands.settle(0.3)
    viewer.reset_view(margin=0.1)
    hands.settle(0.1)
    return hands


def label(hands, key, level, count):
    hands.key(key)
    for row, column in np.argwhere(level == CELLS)[3 :: len(CELLS) // 2][:count]:
        hands.point((16 * row + 7, 16 * column + 7))


def test_labels_make_a_map_that_follows_them_and_can_be_kept(viewer):
    hands = hands_on(viewer, LivePanel, MapView)
    run, labeller = session(viewer).part(LiveRun), labeller_of(viewer)
    hands.click("live_switch")
    assert "at least two classes" in hands.find("live_words").text()
    label(hands, "a", 100, 6)
    label(hands, "s", 200, 6)
    hands.until(lambda: run.result is not None and run.job is None, 60, "the live map")
    (layer,) = [each for each in viewer.layers if each.metadata.get(KEY, {}).get("live")]
    assert list(viewer.layers).index(layer) < list(viewer.layers).index(labeller.layer)
    assert viewer.layers.selection.active == labeller.layer
    painted = map_of(layer)
    middles = np.asarray(layer.data)[8::16, 8::16]
    assert (middles == np.where(CELLS == 100, 1, 2)).mean() > 0.9
    assert "12 points (6 alveoli, 6 septa, 0 duct)" in hands.find("live_words").text()
    assert "Not tested" in hands.find("live_words").text()

    # Several labels while the worker is busy are one more map, of all of them.
    fits = run.fits
    label(hands, "d", 200, 5)
    hands.until(lambda: run.job is None and run.result.fit.counts == (6, 6, 5), 60, "all labels")
    assert run.fits <= fits + 3
    assert map_of(layer) is not painted
    assert [each for each in viewer.layers if each.metadata.get(KEY, {}).get("live")] == [layer]

    # Moving the view makes the map of what is seen then.
    viewer.scene.camera.zoom *= 4
    hands.until(lambda: run.job is None and map_of(layer).header.shape[0] < 200, 60, "the view")
    assert map_of(layer).header.shape != painted.header.shape

    # A click on the map corrects it, through the same undo and autosave as any label.
    hands.click("correct_click")
    hands.key("a")
    hands.point(CENTRE)
    points = labeller.annotation.points
    assert list(points.features["source"])[-1] == "correction"
    assert points.classes[-1] == "alveoli"
    assert np.allclose(points.coordinates[-1], CENTRE, atol=2)
    assert len(points) == 18
    hands.key("Ctrl+Z")
    assert len(labeller.annotation.points) == 17
    hands.click("correct_click")

    hands.click("live_keep")
    kept = session(viewer).current
    assert kept.model.scheme.names == labeller.scheme.names
    assert "live" in kept.name
    hands.until(lambda: session(viewer).current.kept is not None, what="the file")
    viewer.layers.remove(layer)
    assert not run.on
    assert not hands.find("live_switch").isChecked()


def test_the_brush_makes_points_and_a_click_says_why(viewer, monkeypatch):
    hands, labeller = hands_on(viewer, MapView, WhyPanel), labeller_of(viewer)
    image = viewer.layers["section"]
    painted = session(viewer).current.model.paint(np.asarray(image.data), 4)
    (layer,) = add_layers(viewer, map_layers(painted, "map", image))
    before = np.array(layer.data)
    hands.click("correct_brush")
    hands.key("s")
    layer = viewer.layers.selection.active
    assert (layer.name, layer.mode, layer.selected_label) == ("map", "paint", 2)
    hands.drag((120, 70), (120, 190))
    hands.until(lambda: hands.window.findChild(QWidget, "correct_restore").isVisible())
    bar = hands.find("correct_restore")
    bar.setChecked(True)
    hands.click("correct_points")
    points = labeller.annotation.points
    assert len(points) >= 3
    assert set(points.classes) == {"septa"}
    assert set(points.features["source"]) == {"correction"}
    where = points.coordinates
    assert (np.abs(where[:, 0] - 120) < 30).all()
    assert ((where[:, 1] > 50) & (where[:, 1] < 210)).all()
    assert np.array_equal(np.asarray(viewer.layers["map"].data), before)
    hands.click("correct_brush")

    # Training goes on from the model's file, and what is in view is painted anew.
    labeller.set_scheme(TWO)
    middles = 16 * np.argwhere(CELLS > 0)[::9] + 8
    names = ["alveoli" if level == 100 else "septa" for level in CELLS.ravel()[::9]]
    labeller.add_points(middles, names)
    monkeypatch.setattr(
        train_on, "TrainingSettings", partial(TrainingSettings, epochs=1, batch_size=4, seed=1)
    )
    before = session(viewer).current
    hands.click("correct_train")
    run, bar = session(viewer).part(TrainingRun), hands.find("correct_words")
    hands.until(lambda: run.ended is not None, 60, "the training")
    assert not run.ended.refused, run.ended.words
    hands.until(lambda: "is painted with" in bar.text(), 30, bar.text())
    hands.until(lambda: session(viewer).part(PaintingRun).job is None, 30, "the new map")
    after = session(viewer).current
    assert after is not before
    assert after.model.scheme.names == ("alveoli", "septa")
    assert {"map", "section map"} <= {each.name for each in viewer.layers if map_of(each)}
    session(viewer).choose(before.name)

    hands.click("why_switch")
    hands.point((24 + 16 * 4, 24 + 16 * 4))
    why = next(w for w in hands.window.findChildren(WhyPanel))
    hands.until(lambda: why.explanation is not None and why.seen.isVisible(), 60, "the reason")
    assert why.explanation.exact
    assert len(why.bars.rows) == 2 + len(why.explanation.shares)
    assert [label.text() for label in why.seen.labels] == ["99 px", "198 px"]
    assert "They are exact" in hands.find("why_words").text()
    assert "lungcls_seen_1" in viewer.canvas.overlays
    n = len(viewer.layers)
    hands.click("why_occlusion")
    hands.until(lambda: why.bar.value() >= 4, 60, "the first patches")
    hands.click("why_cancel")
    hands.until(lambda: len(viewer.layers) == n + 1, 60, "what is known of the covered patches")
    done = int(np.isfinite(why.occlusion.change).sum())
    assert 4 <= done < 81
    assert f"({done} of 81 patches)" in hands.find("why_words").text()
    hands.click("why_switch")
    assert "lungcls_seen_1" not in viewer.canvas.overlays
