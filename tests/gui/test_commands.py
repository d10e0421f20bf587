"""Commands of the palette: all are there, and they act on the viewer in front."""

from importlib import resources

import numpy as np
import pytest
import yaml
from napari._app_model import get_app_model

from known_maps import bright_model
from napari_lungcls.gui import commands, notices
from napari_lungcls.gui.label.controller import labeller_of
from napari_lungcls.gui.paint.run import PaintingRun
from napari_lungcls.gui.session import session
from napari_lungcls.gui.workers import cancel_all
from plugin_in_napari import plugin_registered

MANIFEST = resources.files("napari_lungcls").joinpath("napari.yaml")
OURS = [
    command
    for command in yaml.safe_load(MANIFEST.read_bytes())["contributions"]["commands"]
    if ".commands:" in command["python_name"]
]


@pytest.fixture
def viewer(make_napari_viewer):
    with plugin_registered():
        yield make_napari_viewer()
        cancel_all()


@pytest.fixture
def told(monkeypatch):
    lines = []
    for module in (notices, commands):
        for name in ("show_error", "show_info"):
            monkeypatch.setattr(module, name, lines.append, raising=False)
    return lines


def run(name):
    get_app_model().commands.execute_command(f"napari-lungcls.{name}").result()


def test_the_palette_has_them_and_they_act(viewer, told, qtbot):
    app = get_app_model()
    palette = {item.command.title for item in app.menus.get_menu(app.menus.COMMAND_PALETTE_ID)}
    assert {f"{command['title']} (Lung classification)" for command in OURS} <= palette

    # Without anything to act on, each says what is missing, and the remedy is first.
    for name, line in (
        ("start_training", "Open "),
        ("start_painting", "No model yet: train one"),
        ("toggle_map", "Paint or open one first. There is no painted map."),
        ("undo_label", "There is nothing to take back."),
        ("stop", "Nothing is running."),
    ):
        told.clear()
        run(name)
        assert told, name
        assert told[0].startswith(line) or name == "start_training", told

    image = viewer.add_image(np.full((64, 80), 100, np.float32), name="lung")
    labeller = labeller_of(viewer)
    labeller.choose_image(image)
    labeller.add_points([[3, 4]], ["septa"], "human")
    before = labeller.current
    run("next_class")
    assert labeller.current != before
    run("undo_label")
    assert len(labeller.layer.data) == 0
    run("redo_label")
    assert len(labeller.layer.data) == 1

    session(viewer).add(bright_model(), "bright")
    painting = session(viewer).part(PaintingRun)
    run("paint_visible")
    qtbot.waitUntil(lambda: painting.class_layer is not None and not painting.busy, timeout=30_000)
    assert painting.words.startswith("Painted ")
    run("toggle_map")
    assert not painting.class_layer.visible
    run("toggle_map")
    assert painting.class_layer.visible
