"""From a map to a page of figures, with the hands of a microscopist in a real window."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QDockWidget, QSpinBox

from driving import Hands
from known_sections import SCHEME, painted
from napari_lungcls.annotation import read_points
from napari_lungcls.gui.maps import add_layers, map_layers
from napari_lungcls.gui.measure import MeasureMaps
from napari_lungcls.stereology.design_check import check_design

KEYS = {spec.name: spec.key for spec in SCHEME.classes}


def add_map(viewer, image):
    found = painted(image.metadata["truth"], f"layer {image.name!r}")
    return add_layers(viewer, map_layers(found, f"{image.name} map", image))[-1]


def answer(window, hands, image, clicks=False):
    """Answer the question as it is: the class of the pixel, or one crossing."""
    question = window.panel.auditing.question
    if question.kind == "crossings":
        hands.key("1")
        return
    at = tuple(np.rint(question.position).astype(int))
    name = SCHEME.names[image.metadata["truth"][at]]
    hands.click(f"answer_{name}") if clicks else hands.key(KEYS[name])


def number_of_answers(path: Path) -> int:
    points = read_points(path)
    found = sum(bool(text) for text in points.labels)
    crossings = points.column("crossings")
    return found + (0 if crossings is None else sum(bool(text) for text in crossings))


def test_the_whole_way(window, viewer, add_section, table, tmp_path, monkeypatch):
    hands = Hands(viewer)
    image = add_section(320, 400)
    painted_layer = add_map(viewer, image)
    viewer.add_points([[10, 10]], name="predictions")
    assert (
        "About 200 test points" in window.form.words.text() or "About" in window.form.words.text()
    )
    hands.type("grid_spacing", "50")
    assert window.form.words.text().startswith("About 51 test points, 5 of them asked twice: 112")
    hands.file(table, "make_grid")
    auditing = window.panel.auditing
    hands.until(lambda: auditing.audit is not None, what="the table")
    assert set(read_points(table).column("image")) == {"layer 'lung'"}

    hands.click("audit_start")
    for name in ("layer list", "layer controls"):
        assert hands.window.findChild(QDockWidget, name).isHidden()
    seen = {layer.name: layer.visible for layer in viewer.layers}
    assert seen == {"lung": True, "lung map": False, "predictions": False, "test point": True}
    texts = " ".join(label.text() for label in window.findChildren(type(window.panel.words))
                     if label.isVisible())  # fmt: skip
    assert "audit.csv" not in texts
    for number in range(20):
        question = auditing.question
        middle = np.array(image.data_to_world(question.position))
        np.testing.assert_allclose(viewer.scene.camera.center[-2:], middle)
        answer(window, hands, image, clicks=number == 4)
        assert number_of_answers(table) == number + 1
    before = auditing.question
    hands.key("a" if before.kind == "class" else "7")
    hands.key("Backspace")
    assert (auditing.question.row, auditing.question.kind) == (before.row, before.kind)
    assert number_of_answers(table) == 20
    hands.key("Space")
    assert auditing.question.row != before.row or auditing.question.kind != before.kind
    hands.key("Ctrl+Z")
    assert (auditing.question.row, auditing.question.kind) == (before.row, before.kind)
    hands.until(lambda: window.panel.bar.text().startswith("20 of"))

    hands.click("audit_stop")
    assert painted_layer.visible
    assert viewer.layers["predictions"].visible
    assert "test point" not in viewer.layers
    assert not hands.window.findChild(QDockWidget, "layer list").isHidden()

    hands.click("audit_start")
    for _ in range(20):
        answer(window, hands, image)
    hands.click("audit_stop")
    assert number_of_answers(table) == 40
    check_design(read_points(table))

    folder = tmp_path / "results"
    window.results.start(folder)
    hands.until(lambda: window.results.measuring.job is None, what="the figures")
    assert not window.results.measuring.words
    assert (folder / "index.html").exists()
    width = window.results.table.minimumSizeHint().width()
    assert width <= 272, "a dock of 300 pixels cuts it off"
    symbols = [row[0] for row in window.results.table.rows]
    assert symbols[:3] == ["V_V(alvair/par)", "V_V(sep/par)", "V_V(ductair/par)"]
    assert "S_V(par)" in symbols
    shares = [float(row[1]) for row in window.results.table.rows[:3]]
    assert sum(shares) == pytest.approx(1, abs=0.02)
    assert "not answered" in window.results.caution.text()
    opened = []
    monkeypatch.setattr(
        "napari_lungcls.gui.measure.results.QDesktopServices.openUrl",
        lambda url: opened.append(url.toLocalFile()),
    )
    hands.click("open_page")
    assert opened == [str(folder / "index.html")]


def test_a_field_of_text_keeps_its_keys(window, viewer, add_section, table):
    hands = Hands(viewer)
    add_section(320, 400)
    window.form.make(table)
    auditing = window.panel.auditing
    hands.until(lambda: auditing.audit is not None)
    hands.click("audit_start")
    hands.key("s")
    assert auditing.question.kind == "crossings"
    box: QSpinBox = hands.find("crossings_more")
    box.setFocus()
    QTest.keyClick(box, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    QTest.keyClicks(box, "14")
    assert auditing.audit.done == 1
    hands.click("crossings_enter")
    assert auditing.audit.done == 2
    assert "14" in set(read_points(table).column("crossings"))
    hands.key("d")
    assert auditing.audit.done == 3


def test_keys_are_taken_on_any_layer_and_given_back(window, viewer, add_section, table):
    hands = Hands(viewer)
    image = add_section(320, 400)
    labels = viewer.add_labels(np.zeros((320, 400), np.uint8), name="mine")
    points = viewer.add_points([[10, 10], [20, 20]], name="predictions")
    points.selected_data = {0}
    window.form.with_lines.setChecked(False)
    window.form.make(table)
    auditing = window.panel.auditing
    hands.until(lambda: auditing.audit is not None)
    pressed = []
    viewer.bind_key("S", lambda v: pressed.append("S"))
    hands.click("audit_start")
    for number, layer in enumerate((image, labels, points)):
        viewer.layers.selection.active = layer
        hands.key("s")
        # 1 would delete the selected points.
        hands.key("1")
        assert auditing.audit.done == number + 1
    assert len(points.data) == 2
    assert pressed == []
    hands.click("audit_stop")
    viewer.layers.selection.active = image
    hands.key("s")
    assert pressed == ["S"]
    assert auditing.audit.done == 3


def test_closing_the_dock_or_napari_in_the_middle_ends_it(window, viewer, add_section, table):
    hands = Hands(viewer)
    image = add_section(3, 200, 300)
    layer = add_map(viewer, image)
    window.form.make(table)
    auditing = window.panel.auditing
    hands.until(lambda: auditing.audit is not None)
    viewer.dims.set_current_step(0, 1)
    view = viewer.scene.camera.zoom, tuple(viewer.scene.camera.center)
    hands.click("audit_start")
    planes = set()
    for _ in range(7):
        question = auditing.question
        assert viewer.dims.current_step[0] == question.position[0]
        planes.add(viewer.dims.current_step[0])
        answer(window, hands, image)
    assert len(planes) > 1
    viewer.window.remove_dock_widget(window)
    assert not auditing.answering
    assert layer.visible
    assert viewer.dims.current_step[0] == 1
    assert (viewer.scene.camera.zoom, tuple(viewer.scene.camera.center)) == view
    again = MeasureMaps(viewer)
    viewer.window.add_dock_widget(again, name="Measure again")
    hands.settle()
    assert again.panel.start_button.text() == "Continue"
    again.panel.start_button.click()
    assert auditing.answering
    answer(again, hands, image)
    assert number_of_answers(table) == 8


def test_a_killed_napari_has_saved_every_answer(tmp_path):
    table, log = tmp_path / "audit.csv", tmp_path / "log"
    script = Path(__file__).with_name("killed_audit.py")
    path = os.pathsep.join([*sys.path, str(script.parent)])
    process = subprocess.Popen(
        [sys.executable, str(script), str(table), str(log)], env={**os.environ, "PYTHONPATH": path}
    )
    try:
        told = 0
        while told < 3:
            assert process.poll() is None, "it ended by itself"
            told = len(log.read_text().splitlines()) if log.exists() else 0
    finally:
        process.kill()
        process.wait()
    told = len(log.read_text().splitlines())
    points = read_points(table)
    check_design(points)
    found = number_of_answers(table)
    # What was told is saved; the kill may have come between the two.
    assert told <= found <= told + 1
