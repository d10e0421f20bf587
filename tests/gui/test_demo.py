"""`lungcls demo --gui`, with few points and a short training."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from napari_lungcls.cli import main
from napari_lungcls.gui.demo import Demonstration, open_demo
from napari_lungcls.gui.session import session
from napari_lungcls.learning.settings import TrainingSettings
from plugin_in_napari import plugin_registered

QUICK = TrainingSettings(zooms=(1,), tile=48, epochs=1, val_fraction=0, seed=1, pretrained="none")


@pytest.fixture(autouse=True)
def _journals(tmp_path, monkeypatch):
    monkeypatch.setenv("LUNGCLS_JOURNALS", str(tmp_path))


def test_the_stack_its_points_a_model_and_a_map(make_napari_viewer, qtbot):
    with plugin_registered():
        viewer = make_napari_viewer(show=True)
        shown = Demonstration(viewer, QUICK, per_class=8)
        qtbot.waitUntil(lambda: hasattr(shown, "paint"), timeout=90_000)
        qtbot.waitUntil(lambda: shown.paint.painting.busy, timeout=10_000)
        qtbot.waitUntil(lambda: not shown.paint.painting.busy, timeout=90_000)
    assert session(viewer).current is not None
    points = viewer.layers["synthetic lung stack points"]
    assert shown.label.labeller.layer is points
    assert points.features["class"].value_counts().to_dict() == dict.fromkeys(
        ("alveoli", "septa", "duct"), 8
    )
    painted = viewer.layers["synthetic lung stack map"]
    assert painted.data.shape == (8, 256, 256)
    assert np.all(painted.data)


def test_without_napari_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr("napari_lungcls.cli.gui.find_spec", lambda name: None)
    monkeypatch.setattr("sys.argv", ["lungcls", "demo", "--gui"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "pip install" in capsys.readouterr().err
    assert importlib.util.find_spec("napari")


def test_the_window_is_closed_before_the_training_ends(make_napari_viewer, qtbot, monkeypatch):
    viewer = make_napari_viewer(show=True)
    monkeypatch.setattr("napari_lungcls.gui.demo.napari.Viewer", lambda **_: viewer)
    with plugin_registered():
        open_demo(lambda: qtbot.wait(50))
    assert session(viewer).current is None
