"""What the tests of classifying by click share: a hand with a mouse, and looks at the answers."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Image
from napari.layers import Points as PointsLayer
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QPushButton, QWidget

from napari_lungcls.gui.point_prediction import PointPredictionPanel
from napari_lungcls.gui.point_prediction.controller import Controller
from napari_lungcls.gui.point_prediction.requests import predict

LEFT, RIGHT, NONE = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton, Qt.MouseButton.NoButton

BOX = [(10, 60), (10, 100), (30, 100), (30, 60)]
"""Around the edge between bright and dark: 20 × 40 pixels."""


def work(controller: Controller) -> list[str]:
    """Answer all that waits, and give what is said."""
    said = []
    while (request := controller.requests.next()) is not None:
        for answers in predict(request, lambda: False):
            controller.show(request, answers)
        said.append(controller.finish(request))
    return said


def shown(controller: Controller) -> PointsLayer:
    layer = controller.predictions()
    assert layer is not None
    return layer


def classes(layer: PointsLayer) -> list[str]:
    return [str(label) for label in layer.features["class"]]


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


def button(box: QWidget, name: str) -> QPushButton:
    found = box.findChild(QPushButton, name)
    assert found is not None
    return found


def wait_until_idle(qtbot: Any, box: PointPredictionPanel) -> None:
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
