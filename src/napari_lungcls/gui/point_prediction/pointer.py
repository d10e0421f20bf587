"""Clicks and drags on napari's canvas in world coordinates, without moving the view."""

from collections.abc import Callable, Generator
from typing import Any

import napari
import numpy as np
from napari.components.overlays import ZoomOverlay
from numpy.typing import NDArray
from qtpy.QtCore import QCoreApplication, QEvent, QObject, Qt, QTimer
from qtpy.QtGui import QKeyEvent

World = tuple[float, ...]
Corners = list[World]
Floats = NDArray[np.float64]

LEFT = 1
LEAST_DRAG = 5
"""Least distance of a drag in screen pixels; a click may move the mouse a little."""

OVERLAY = "lungcls_rectangle"


class Pointer:
    """Watches the canvas while it is switched on.

    A drag is drawn as a rectangle on the screen, not as a layer. While the button is down,
    the camera is locked and the selected layer gets no mouse events; afterwards both are
    restored.

    Parameters
    ----------
    viewer
        The viewer.
    clicked
        Called with the world position.
    dragging, dragged
        Called with the four corners in world coordinates, at every move and at the end.
    cancelled
        Called when a drag was cancelled with Esc or another button.
    """

    def __init__(
        self,
        viewer: "napari.Viewer",
        *,
        clicked: Callable[[World], None],
        dragging: Callable[[Corners], None],
        dragged: Callable[[Corners], None],
        cancelled: Callable[[], None],
    ) -> None:
        self._viewer = viewer
        self._clicked, self._dragging, self._dragged = clicked, dragging, dragged
        self._cancelled = cancelled
        self._hold: _Hold | None = None
        self._given_up = False
        self._is_on = False

    def switch(self, on: bool) -> None:
        """Start or stop watching the canvas."""
        if on == self._is_on:
            return
        self._is_on = on
        callbacks, active = self._viewer.mouse_drag_callbacks, self._viewer.layers.selection.events
        if on:
            callbacks.append(self._on_press)
            # Last, because napari sets the cursor of a layer's tool when it is selected.
            active.active.connect(self._show_cursor, position="last")
            self._show_cursor()
        else:
            callbacks.remove(self._on_press)
            active.active.disconnect(self._show_cursor)
            self._end()
            layer = self._viewer.layers.selection.active
            self._viewer.cursor.style = "standard" if layer is None else layer.cursor

    def give_up(self) -> None:
        """Cancel the current drag."""
        if self._hold is not None and not self._given_up:
            self._given_up = True
            self._hold.rectangle(None)
            self._cancelled()

    def _show_cursor(self, event: object = None) -> None:
        self._viewer.cursor.style = "crosshair"

    def _on_press(self, viewer: Any, event: Any) -> Generator[None, None, None] | None:
        """Follow a press of the left button; presses with a modifier key are left to napari."""
        if self._hold is not None:
            self.give_up()
            return None
        if event.button != LEFT or event.modifiers:
            return None
        return self._follow(event)

    def _follow(self, event: Any) -> Generator[None, None, None]:
        """Follow one press to its release, as a napari mouse callback."""
        self._given_up, is_drag = False, False
        self._hold = _Hold(self._viewer, self.give_up)
        start, place = np.array(event.pos, float), tuple(map(float, event.position))
        shown = list(event.dims_displayed)
        corners: Corners = []
        try:
            yield
            while event.type == "mouse_move":
                now = np.array(event.pos, float)
                is_drag = is_drag or bool(np.hypot(*(now - start)) >= LEAST_DRAG)
                if is_drag and not self._given_up and self._hold is not None:
                    self._hold.rectangle((start, now))
                    self._dragging(_corners(place, event.position, shown))
                yield
            given_up = self._given_up or self._hold is None
            is_drag = is_drag or bool(np.hypot(*(np.array(event.pos) - start)) >= LEAST_DRAG)
            corners = _corners(place, event.position, shown)
        finally:
            self._end()
        if given_up:
            return
        if is_drag:
            self._dragged(corners)
        else:
            self._clicked(place)

    def _end(self) -> None:
        if self._hold is not None:
            self._hold.release()
            self._hold = None


def _corners(start: World, end: Any, shown: list[int]) -> Corners:
    """Give the corners of a rectangle on the screen, in order around it."""
    found = []
    for vertical, horizontal in ((start, start), (start, end), (end, end), (end, start)):
        corner = list(start)
        corner[shown[-2]], corner[shown[-1]] = vertical[shown[-2]], horizontal[shown[-1]]
        found.append(tuple(map(float, corner)))
    return found


class _Hold:
    """Locks the camera and the selected layer from press to release."""

    def __init__(self, viewer: "napari.Viewer", escape: Callable[[], None]) -> None:
        self._viewer, self._camera = viewer, viewer.scene.camera
        self._before = self._camera.mouse_pan, self._camera.mouse_zoom
        self._camera.mouse_pan = self._camera.mouse_zoom = False
        self._overlay: ZoomOverlay | None = None
        self._keys = _EscapeKey(escape)
        deafen(viewer.layers.selection.active)

    def rectangle(self, ends: tuple[Floats, Floats] | None) -> None:
        """Draw a rectangle between two screen positions `(x, y)`, or remove it."""
        if ends is None:
            if self._overlay is not None:
                self._overlay = None
                self._viewer.canvas.overlays.pop(OVERLAY, None)
            return
        if self._overlay is None:
            self._overlay = ZoomOverlay(visible=True)
            self._viewer.canvas.overlays[OVERLAY] = self._overlay
        self._overlay.position = tuple(tuple(map(float, end[::-1])) for end in ends)

    def release(self) -> None:
        """Restore everything."""
        self._keys.remove()
        self.rectangle(None)
        self._camera.mouse_pan, self._camera.mouse_zoom = self._before


def deafen(layer: Any) -> None:
    """Keep the current press from a layer's tool.

    napari calls the callbacks of the viewer first and then those of the selected layer, in
    the same event. Changing the layer's mode instead would clear its selection.
    """
    if layer is None:
        return
    tools = list(layer.mouse_drag_callbacks)
    layer.mouse_drag_callbacks.clear()

    def restore() -> None:
        later = [tool for tool in layer.mouse_drag_callbacks if tool not in tools]
        layer.mouse_drag_callbacks[:] = tools + later

    QTimer.singleShot(0, restore)


class _EscapeKey(QObject):
    """Listens for Esc, wherever the keyboard focus is."""

    def __init__(self, pressed: Callable[[], None]) -> None:
        super().__init__()
        self._pressed = pressed
        self._application = QCoreApplication.instance()
        if self._application is not None:
            self._application.installEventFilter(self)

    def remove(self) -> None:
        """Stop listening."""
        if self._application is not None:
            self._application.removeEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Handle Esc, and keep it from windows and layers."""
        if isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape:
            if event.type() == QEvent.Type.KeyPress:
                self._pressed()
            event.accept()
            return True
        return False
