"""The panel in a real window."""

from __future__ import annotations

import gc
import re
import weakref

import numpy as np
import pytest
from qtpy.QtCore import QPoint
from qtpy.QtTest import QTest

from napari_lungcls.gui.point_prediction import PointPredictionPanel
from napari_lungcls.gui.session import session
from probing import (
    LEFT,
    Hand,
    button,
    predictions,
    rgb_in_the_world,
    wait_until_idle,
)


def test_a_click_beside_the_image_says_so(viewer, hand, open_box, halves):
    image = rgb_in_the_world(viewer, halves)
    box = open_box(image)
    viewer.scene.camera.zoom *= 0.5
    hand.click(hand.screen(image.data_to_world((60, 170))))
    assert box.words.text() == "This point is outside the image 'lung'; click on the image"
    assert len(viewer.layers) == 1


def test_too_fine_a_grid_is_refused_while_dragging(viewer, hand, open_box, halves):
    image = viewer.add_image(np.zeros((400, 400, 3), np.uint8))
    box = open_box(image)
    box.spacing_box.setValue(2)
    ends = [hand.screen(point) for point in ((-3, -3), (405, 405))]
    hand.drag(*ends, drop=False)
    assert box.words.text().startswith("40,000 points are too many")
    assert "4 px or more" in box.words.text()
    hand.release(ends[1])
    assert box.words.text().startswith("40,000 points are too many")
    assert len(viewer.layers) == 1


def test_clicks_queue_up_in_order_and_undo_takes_the_last(
    viewer, hand, open_box, qtbot, halves, monkeypatch
):
    image = rgb_in_the_world(viewer, halves)
    box = open_box(image)
    columns, said, say = [20, 140, 50, 110], [], box._say
    monkeypatch.setattr(box, "_say", lambda line: (said.append(line), say(line)))
    for x in columns:
        hand.click(hand.screen(image.data_to_world((60, x))))
    wait_until_idle(qtbot, box)
    assert said[0] == "loading the network…"
    assert said[1].startswith("classifying 1 point…")
    assert said.count("loading the network…") == 1
    found = [line.split(",")[0] for line in said if " % (" in line]
    assert found == ["bright", "dark", "bright", "dark"]
    layer = predictions(viewer)
    np.testing.assert_allclose(layer.data[:, 1], columns, atol=0.4)
    QTest.mouseClick(button(box, "predict_undo"), LEFT)
    QTest.mouseClick(button(box, "predict_undo"), LEFT)
    np.testing.assert_allclose(layer.data[:, 1], columns[:2], atol=0.4)
    QTest.mouseClick(button(box, "predict_clear"), LEFT)
    assert len(layer.data) == 0
    names = ("predict_undo", "predict_clear", "predict_convert")
    assert not any(button(box, name).isEnabled() for name in names)


def test_predictions_become_labels(viewer, hand, open_box, qtbot, halves):
    image = rgb_in_the_world(viewer, halves)
    box = open_box(image)
    hand.click(hand.screen(image.data_to_world((60, 20))))
    wait_until_idle(qtbot, box)
    QTest.mouseClick(button(box, "predict_convert"), LEFT)
    target = session(viewer).target
    assert target is not None
    assert list(target.features["class"]) == ["bright"]
    assert list(target.features["source"]) == ["model"]
    assert box.words.text() == "1 point moved to 'lung points'"


@pytest.mark.usefixtures("small_squares")
def test_a_long_grid_shows_a_bar_and_can_be_cancelled(viewer, hand, open_box, qtbot, halves):
    image = rgb_in_the_world(viewer, halves)
    box = open_box(image)
    box.spacing_box.setValue(2)
    box._bar_timer.setInterval(1)
    hand.drag(*[hand.screen(image.data_to_world(p)) for p in ((2, 2), (117, 157))])
    hand.click(hand.screen(image.data_to_world((60, 20))))
    qtbot.waitUntil(lambda: button(box, "predict_cancel").isVisible(), timeout=20_000)
    qtbot.waitUntil(lambda: box.bar.value() > 0, timeout=20_000)
    QTest.mouseClick(button(box, "predict_cancel"), LEFT)
    wait_until_idle(qtbot, box)
    total = len(predictions(viewer).data)
    said = re.fullmatch(r"Cancelled after ([\d,]+) of ([\d,]+).*", box.words.text())
    done, whole = (int(number.replace(",", "")) for number in said.groups())
    assert 0 < done == total < whole
    assert not button(box, "predict_cancel").isVisible()


def test_what_is_missing_is_said_by_the_button(viewer, qtbot, halves, model):
    box = PointPredictionPanel(viewer)
    qtbot.addWidget(box)
    mode = button(box, "predict_mode")
    assert (mode.isEnabled(), mode.toolTip()) == (False, "Open an image first")
    image = viewer.add_image(halves, units=("um", "um"), scale=(0.5, 0.5))
    box.set_image(image)
    assert mode.toolTip() == "Train or load a model first"
    box.set_model(model)
    mode.click()
    assert mode.isChecked()
    viewer.dims.ndisplay = 3
    assert (mode.isEnabled(), mode.isChecked()) == (False, False)
    assert mode.toolTip() == "Switch to the 2-D view first"
    viewer.dims.ndisplay = 2
    assert mode.isEnabled()
    assert box._micrometres.text() == "= 8 µm"
    box.set_model(None)
    assert not mode.isEnabled()


@pytest.mark.parametrize("when", ["idle", "dragging"])
def test_a_destroyed_panel_leaves_nothing_behind(when, viewer, hand, qtbot, halves, model):
    image = rgb_in_the_world(viewer, halves)
    box = PointPredictionPanel(viewer)
    box.set_image(image)
    box.set_model(model)
    callbacks = list(viewer.mouse_drag_callbacks)
    button(box, "predict_mode").click()
    viewer.reset_view()
    if when == "dragging":
        hand.drag(QPoint(200, 200), QPoint(300, 300), drop=False)
        assert not viewer.scene.camera.mouse_pan
    with qtbot.waitSignal(box.destroyed):
        box.deleteLater()
    assert viewer.scene.camera.mouse_pan
    assert viewer.scene.camera.mouse_zoom
    assert viewer.mouse_drag_callbacks == callbacks
    assert "lungcls_rectangle" not in viewer.canvas.overlays
    assert viewer.cursor.style == "standard"
    if when == "dragging":
        hand.move(QPoint(320, 320), LEFT)
        hand.release(QPoint(320, 320))
    known = weakref.ref(box)
    del box
    QTest.qWait(10)
    gc.collect()
    assert known() is None
    assert [layer.name for layer in viewer.layers] == ["lung"]


def test_the_status_bar_tells_about_the_prediction_under_the_cursor(
    viewer, hand, open_box, qtbot, halves
):
    image = rgb_in_the_world(viewer, halves)
    viewer.layers.selection.active = image
    box = open_box(image)
    pixel = hand.screen(image.data_to_world((60, 120)))
    hand.click(pixel)
    wait_until_idle(qtbot, box)
    layer = viewer.layers.selection.active
    assert layer is predictions(viewer)
    told = layer.get_status(
        hand.world(pixel), view_direction=None, dims_displayed=[0, 1], world=True
    )
    assert "class: dark, confidence: 0.993, p_bright: 0.00669, p_dark: 0.993" in told["coordinates"]


def test_it_works_through_the_viewer_that_napari_hands_to_plugins(
    make_napari_viewer_proxy, qtbot, halves, model
):
    proxy = make_napari_viewer_proxy(show=True)
    box, other = PointPredictionPanel(proxy), Hand(proxy.__wrapped__)
    qtbot.addWidget(box)
    image = proxy.add_image(halves, name="lung")
    box.set_image(image)
    box.set_model(model)
    button(box, "predict_mode").click()
    QTest.qWait(50)
    other.drag(*[other.screen(point) for point in ((20, 20), (100, 100))])
    wait_until_idle(qtbot, box)
    assert len(predictions(proxy).data) >= 16
    QTest.mouseClick(button(box, "predict_convert"), LEFT)
    assert session(proxy).target is not None
    button(box, "predict_mode").click()
    assert proxy.scene.camera.mouse_pan
