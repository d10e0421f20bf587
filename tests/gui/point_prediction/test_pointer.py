"""Clicks and drags with a real mouse in a real window."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_lungcls.gui import layers
from probing import (
    LEFT,
    RIGHT,
    button,
    plane_of_a_stack,
    predictions,
    rgb_in_the_world,
    wait_until_idle,
)

KINDS = [rgb_in_the_world, plane_of_a_stack]


@pytest.mark.parametrize("make", KINDS)
def test_a_click_classifies_the_pixel_under_the_cursor(make, viewer, hand, open_box, qtbot, halves):
    image = make(viewer, halves)
    box = open_box(image)
    wanted = [[30.25, 20.5], [90, 140], [60, 70.75]]
    for point in wanted:
        leading = [1] * (image.ndim - 2)
        pixel = hand.screen(image.data_to_world([*leading, *point]))
        hand.click(pixel)
    wait_until_idle(qtbot, box)
    layer = predictions(viewer)
    assert len(layer.data) == 3
    # A screen pixel is what a hand can hit: half of one, in pixels of the image.
    reach = 0.51 / viewer.scene.camera.zoom / image.scale[-1]
    assert reach < 0.4
    np.testing.assert_allclose(layer.data[:, -2:], wanted, atol=reach)
    assert list(layer.features["class"]) == ["bright", "dark", "bright"]
    if image.ndim == 3:
        assert layer.data[:, 0].tolist() == [1, 1, 1]
    said = box.words.text().replace("\N{NO-BREAK SPACE}", " ")
    assert said == "Bright, 99 % (dark 1 %, never <1 %)"


@pytest.mark.parametrize("make", KINDS)
def test_a_drag_classifies_the_grid_between_its_corners(
    make, viewer, hand, open_box, qtbot, halves
):
    image = make(viewer, halves)
    box = open_box(image)
    leading = [1] * (image.ndim - 2)
    ends = [hand.screen(image.data_to_world([*leading, *p])) for p in ((100, 120), (20, 40))]
    camera = viewer.scene.camera
    before = (tuple(camera.center), camera.zoom)
    names = [layer.name for layer in viewer.layers]
    hand.drag(*ends, drop=False)
    assert "lungcls_rectangle" in viewer.canvas.overlays
    assert [layer.name for layer in viewer.layers] == names
    assert (tuple(camera.center), camera.zoom) == before
    assert not camera.mouse_pan
    said = ("16 points", "20 points", "25 points")
    qtbot.waitUntil(lambda: box.words.text() in said)
    hand.release(ends[1])
    assert "lungcls_rectangle" not in viewer.canvas.overlays
    assert camera.mouse_pan
    assert camera.mouse_zoom
    wait_until_idle(qtbot, box)
    layer = predictions(viewer)
    corners = np.array([layers.from_world(image, hand.world(end)) for end in ends])[:, -2:]
    np.testing.assert_allclose(corners, [[100, 120], [20, 40]], atol=0.4)
    np.testing.assert_allclose(
        (layer.data.min(axis=0) + layer.data.max(axis=0))[-2:] / 2, corners.mean(axis=0), atol=1e-6
    )
    steps = (layer.data - layer.data[0])[:, -2:] / 16
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-9)
    assert (tuple(camera.center), camera.zoom) == before
    assert box.words.text().startswith(f"{len(layer.data)} points: ")


def test_the_overlay_is_drawn_where_the_mouse_is(viewer, hand, open_box, halves):
    open_box(viewer.add_image(np.zeros_like(halves)))
    width, height = hand.canvas.width(), hand.canvas.height()
    start, end = QPoint(width // 3, height // 3), QPoint(width // 2, height * 2 // 3)
    before = viewer.screenshot(flash=False).astype(int)
    hand.drag(start, end, drop=False)
    after = viewer.screenshot(flash=False).astype(int)
    hand.release(end)
    changed = np.argwhere(np.abs(after - before).sum(axis=-1) > 60)
    ratio = hand.canvas.devicePixelRatioF()
    np.testing.assert_allclose(changed.min(axis=0) / ratio, [start.y(), start.x()], atol=4)
    np.testing.assert_allclose(changed.max(axis=0) / ratio, [end.y(), end.x()], atol=4)


def test_the_tool_of_the_selected_layer_sets_no_points(viewer, hand, open_box, qtbot, halves):
    image = rgb_in_the_world(viewer, halves)
    points = viewer.add_points([[10, 10], [50, 50]], scale=image.scale, translate=image.translate)
    points.mode = "add"
    points.selected_data = {1}
    box = open_box(image)
    pixel = hand.screen(image.data_to_world((30, 30)))
    hand.click(pixel)
    hand.drag(pixel, pixel + QPoint(60, 60))
    wait_until_idle(qtbot, box)
    assert len(points.data) == 2
    assert (points.mode, set(points.selected_data)) == ("add", {1})
    assert viewer.layers.selection.active is points
    button(box, "predict_mode").click()
    hand.click(pixel + QPoint(80, 80))
    assert len(points.data) == 3


@pytest.mark.parametrize("how", ["escape", "right"])
def test_a_drag_can_be_given_up(how, viewer, hand, open_box, halves):
    box = open_box(rgb_in_the_world(viewer, halves))
    start, end = QPoint(200, 200), QPoint(300, 300)
    hand.drag(start, end, drop=False)
    if how == "escape":
        QTest.keyClick(viewer.window._qt_window, Qt.Key.Key_Escape)
    else:
        hand.press(end, RIGHT)
        hand.release(end, RIGHT)
    assert "lungcls_rectangle" not in viewer.canvas.overlays
    assert box.words.text() == "Cancelled"
    hand.move(end + QPoint(20, 20), LEFT)
    hand.release(end)
    assert [layer.name for layer in viewer.layers] == ["lung"]
    assert viewer.scene.camera.mouse_pan
    assert viewer.scene.camera.mouse_zoom


def test_a_press_with_a_key_is_left_to_napari(viewer, hand, open_box, halves):
    box = open_box(rgb_in_the_world(viewer, halves))
    pixel = QPoint(200, 200)
    QTest.mouseClick(hand.canvas, LEFT, Qt.KeyboardModifier.ShiftModifier, pixel)
    assert len(viewer.layers) == 1
    assert box.words.text() == "Click on the image, or drag a rectangle."


def test_an_error_puts_the_camera_back(viewer, hand, open_box, halves, monkeypatch, qtbot):
    box = open_box(rgb_in_the_world(viewer, halves))

    def fail(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(box._pointer, "_dragging", fail)
    with qtbot.captureExceptions():
        hand.drag(QPoint(200, 200), QPoint(300, 300))
    assert viewer.scene.camera.mouse_pan
    assert "lungcls_rectangle" not in viewer.canvas.overlays


def test_the_cursor_says_what_a_click_does(viewer, hand, open_box, halves):
    image = rgb_in_the_world(viewer, halves)
    points = viewer.add_points(ndim=2)
    points.mode = "select"
    box = open_box(image)
    assert viewer.cursor.style == "crosshair"
    viewer.layers.selection.active = image
    viewer.layers.selection.active = points
    assert viewer.cursor.style == "crosshair"
    button(box, "predict_mode").click()
    assert viewer.cursor.style == points.cursor
