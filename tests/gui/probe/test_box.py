"""The panel in a real window, with a real mouse."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.layers import Image
from napari.layers import Points as PointsLayer
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QPushButton, QWidget

from napari_lungcls.gui import layers
from napari_lungcls.gui.probe import ProbeBox
from napari_lungcls.gui.session import session

LEFT, RIGHT, NONE = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton, Qt.MouseButton.NoButton


class Hand:
    """A hand with a mouse over the canvas of a viewer."""

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        qt_viewer = viewer.window._qt_viewer  # Only tests know where the canvas is.
        self.vispy, self.canvas = qt_viewer.canvas, qt_viewer.canvas.native

    def screen(self, world: Any) -> QPoint:
        """Give the screen pixel over a position in the world."""
        shown = [world[axis] for axis in self.viewer.dims.displayed]
        transform = self.vispy.view.transform * self.vispy.view.scene.transform
        x, y = transform.map(shown[::-1])[:2]
        return QPoint(round(x), round(y))

    def world(self, pixel: QPoint) -> tuple[float, ...]:
        """Give the position in the world that napari says is under a screen pixel."""
        return self.vispy._map_canvas2world((pixel.x(), pixel.y()), self.vispy.view)

    def move(self, pixel: QPoint, buttons: Qt.MouseButton = NONE) -> None:
        """Move the mouse with buttons held, which QTest cannot."""
        where = QPointF(pixel)
        event = QMouseEvent(
            QEvent.Type.MouseMove,
            where,
            QPointF(self.canvas.mapToGlobal(pixel)),
            NONE,
            buttons,
            Qt.KeyboardModifier.NoModifier,
        )
        QApplication.sendEvent(self.canvas, event)
        QTest.qWait(40)  # napari looks at the mouse every 5 ms, when it is not drawing.

    def press(self, pixel: QPoint, button: Qt.MouseButton = LEFT) -> None:
        QTest.mousePress(self.canvas, button, pos=pixel)

    def release(self, pixel: QPoint, button: Qt.MouseButton = LEFT) -> None:
        QTest.mouseRelease(self.canvas, button, pos=pixel)
        QApplication.processEvents()

    def click(self, pixel: QPoint) -> None:
        self.press(pixel)
        self.release(pixel)

    def drag(self, start: QPoint, end: QPoint, *, drop: bool = True) -> None:
        self.press(start)
        for part in (0.3, 0.7, 1.0):
            step = QPointF(start) + (QPointF(end) - QPointF(start)) * part
            self.move(step.toPoint(), LEFT)
        if drop:
            self.release(end)


@pytest.fixture
def viewer(make_napari_viewer):
    made = make_napari_viewer(show=True)
    made.window.resize(900, 700)
    return made


@pytest.fixture
def hand(viewer) -> Hand:
    return Hand(viewer)


@pytest.fixture
def open_box(viewer, qtbot, model) -> Callable[..., ProbeBox]:
    """Open the panel for an image, switched on."""

    def make(image: Image, *, on: bool = True) -> ProbeBox:
        box = ProbeBox(viewer)
        viewer.window.add_dock_widget(box, name="probe")
        box.set_image(image)
        box.set_model(model)
        viewer.reset_view()
        QTest.qWait(50)
        if on:
            button(box, "probe_mode").click()
        return box

    return make


def button(box: QWidget, name: str) -> QPushButton:
    found = box.findChild(QPushButton, name)
    assert found is not None
    return found


def wait_until_idle(qtbot: Any, box: ProbeBox) -> None:
    qtbot.waitUntil(lambda: box._controller.requests.running is None, timeout=20_000)


def predictions(viewer: Any) -> PointsLayer:
    (layer,) = [each for each in viewer.layers if each.name.endswith(" predictions")]
    return layer


def rgb_in_the_world(viewer: Any, halves: np.ndarray) -> Image:
    return viewer.add_image(halves, name="lung", scale=(1.8, 1.8), translate=(500, -40))


def plane_of_a_stack(viewer: Any, halves: np.ndarray) -> Image:
    stack = np.stack([halves[:, ::-1], halves, halves[:, ::-1], halves])
    image = viewer.add_image(stack[..., 0], name="lung", scale=(4, 2, 2), translate=(10, 5, 0))
    viewer.dims.set_current_step(0, 1)
    return image


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
    assert reach < 0.25
    np.testing.assert_allclose(layer.data[:, -2:], wanted, atol=reach)
    assert list(layer.features["class"]) == ["bright", "dark", "bright"]
    if image.ndim == 3:
        assert layer.data[:, 0].tolist() == [1, 1, 1]
    assert box.words.text() == "Bright, 99 % sure (dark 1 %, never <1 %)"


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
    assert box.words.text() in ("20 points", "25 points")
    hand.release(ends[1])
    assert "lungcls_rectangle" not in viewer.canvas.overlays
    assert camera.mouse_pan
    assert camera.mouse_zoom
    wait_until_idle(qtbot, box)
    layer = predictions(viewer)
    corners = np.array([layers.from_world(image, hand.world(end)) for end in ends])[:, -2:]
    np.testing.assert_allclose(corners, [[100, 120], [20, 40]], atol=0.3)
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
    button(box, "probe_mode").click()
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


def test_a_click_beside_the_image_says_so(viewer, hand, open_box, halves):
    image = rgb_in_the_world(viewer, halves)
    box = open_box(image)
    viewer.scene.camera.zoom *= 0.5
    hand.click(hand.screen(image.data_to_world((60, 170))))
    assert box.words.text() == "That is outside the image 'lung'; click on the image"
    assert len(viewer.layers) == 1


def test_too_fine_a_grid_is_refused_while_dragging(viewer, hand, open_box, halves):
    image = viewer.add_image(np.zeros((400, 400, 3), np.uint8))
    box = open_box(image)
    box.spacing_box.setValue(2)
    ends = [hand.screen(point) for point in ((-3, -3), (405, 405))]
    hand.drag(*ends, drop=False)
    assert box.words.text().startswith("40,000 points are more than the 10,000")
    assert "4 px or more" in box.words.text()
    hand.release(ends[1])
    assert box.words.text().startswith("40,000 points are more")
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
    found = [line.split(",")[0] for line in said if "sure" in line]
    assert found == ["bright", "dark", "bright", "dark"]
    layer = predictions(viewer)
    np.testing.assert_allclose(layer.data[:, 1], columns, atol=0.3)
    QTest.mouseClick(button(box, "probe_undo"), LEFT)
    QTest.mouseClick(button(box, "probe_undo"), LEFT)
    np.testing.assert_allclose(layer.data[:, 1], columns[:2], atol=0.3)
    QTest.mouseClick(button(box, "probe_clear"), LEFT)
    assert len(layer.data) == 0
    names = ("probe_undo", "probe_clear", "probe_convert")
    assert not any(button(box, name).isEnabled() for name in names)


def test_predictions_become_labels(viewer, hand, open_box, qtbot, halves):
    image = rgb_in_the_world(viewer, halves)
    box = open_box(image)
    hand.click(hand.screen(image.data_to_world((60, 20))))
    wait_until_idle(qtbot, box)
    QTest.mouseClick(button(box, "probe_convert"), LEFT)
    target = session(viewer).target
    assert target is not None
    assert list(target.features["class"]) == ["bright"]
    assert list(target.features["source"]) == ["model"]
    assert box.words.text() == "1 point moved to 'lung points'"


def test_a_long_grid_shows_a_bar_and_can_be_cancelled(viewer, hand, open_box, qtbot, halves):
    image = rgb_in_the_world(viewer, halves)
    box = open_box(image)
    box.spacing_box.setValue(2)
    box._patience.setInterval(1)
    hand.drag(*[hand.screen(image.data_to_world(p)) for p in ((2, 2), (117, 157))])
    hand.click(hand.screen(image.data_to_world((60, 20))))
    qtbot.waitUntil(lambda: button(box, "probe_cancel").isVisible(), timeout=20_000)
    qtbot.waitUntil(lambda: box.bar.value() > 0, timeout=20_000)
    QTest.mouseClick(button(box, "probe_cancel"), LEFT)
    wait_until_idle(qtbot, box)
    total = len(predictions(viewer).data)
    assert 0 < total < 4000
    assert box.words.text().startswith(f"Cancelled after {total:,} of ")
    assert not button(box, "probe_cancel").isVisible()


def test_the_cursor_says_what_a_click_does(viewer, hand, open_box, halves):
    image = rgb_in_the_world(viewer, halves)
    points = viewer.add_points(ndim=2)
    points.mode = "select"
    box = open_box(image)
    assert viewer.cursor.style == "crosshair"
    viewer.layers.selection.active = image
    viewer.layers.selection.active = points
    assert viewer.cursor.style == "crosshair"
    button(box, "probe_mode").click()
    assert viewer.cursor.style == points.cursor


def test_what_is_missing_is_said_by_the_button(viewer, qtbot, halves, model):
    box = ProbeBox(viewer)
    qtbot.addWidget(box)
    mode = button(box, "probe_mode")
    assert (mode.isEnabled(), mode.toolTip()) == (False, "Open an image first")
    image = viewer.add_image(halves, units=("um", "um"), scale=(0.5, 0.5))
    box.set_image(image)
    assert mode.toolTip() == "Train a model or load one first"
    box.set_model(model)
    mode.click()
    assert mode.isChecked()
    viewer.dims.ndisplay = 3
    assert (mode.isEnabled(), mode.isChecked()) == (False, False)
    assert mode.toolTip() == "Show the image in 2-D first"
    viewer.dims.ndisplay = 2
    assert mode.isEnabled()
    assert box._micrometres.text() == "= 8 µm"
    box.set_model(None)
    assert not mode.isEnabled()


@pytest.mark.parametrize("when", ["idle", "dragging"])
def test_a_destroyed_panel_leaves_nothing_behind(when, viewer, hand, qtbot, halves, model):
    image = rgb_in_the_world(viewer, halves)
    box = ProbeBox(viewer)
    box.set_image(image)
    box.set_model(model)
    callbacks = list(viewer.mouse_drag_callbacks)
    button(box, "probe_mode").click()
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


def test_an_error_puts_the_camera_back(viewer, hand, open_box, halves, monkeypatch, qtbot):
    box = open_box(rgb_in_the_world(viewer, halves))

    def fail(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(box._pointer, "_dragging", fail)
    with qtbot.captureExceptions():
        hand.drag(QPoint(200, 200), QPoint(300, 300))
    assert viewer.scene.camera.mouse_pan
    assert "lungcls_rectangle" not in viewer.canvas.overlays
