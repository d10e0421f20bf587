"""Clicks on napari's canvas in world coordinates; drags still move the view."""

from collections.abc import Callable, Generator
from typing import Any

import napari
import numpy as np

from napari_lungcls.gui.point_prediction.pointer import LEAST_DRAG, LEFT, World, deafen


class Clicks:
    """Watches the canvas for clicks while it is switched on, and keeps them from the layers.

    Parameters
    ----------
    viewer
        The viewer.
    clicked
        Called with the world position.
    """

    def __init__(self, viewer: "napari.Viewer", clicked: Callable[[World], None]) -> None:
        self._viewer, self._clicked = viewer, clicked
        self._is_on = False

    def switch(self, on: bool) -> None:
        """Start or stop watching."""
        if on == self._is_on:
            return
        self._is_on = on
        active = self._viewer.layers.selection.events.active
        if on:
            self._viewer.mouse_drag_callbacks.append(self._on_press)
            # Last, because napari sets the cursor of a layer's tool when it is selected.
            active.connect(self._show_cursor, position="last")
            self._show_cursor()
        else:
            self._viewer.mouse_drag_callbacks.remove(self._on_press)
            active.disconnect(self._show_cursor)
            layer = self._viewer.layers.selection.active
            self._viewer.cursor.style = "standard" if layer is None else layer.cursor

    def _show_cursor(self, event: object = None) -> None:
        self._viewer.cursor.style = "crosshair"

    def _on_press(self, viewer: Any, event: Any) -> Generator[None, None, None] | None:
        """Follow a press of the left button; presses with a modifier key are left to napari."""
        if event.button != LEFT or event.modifiers:
            return None
        return self._follow(event)

    def _follow(self, event: Any) -> Generator[None, None, None]:
        deafen(self._viewer.layers.selection.active)
        start, place = np.array(event.pos, float), tuple(map(float, event.position))
        yield
        farthest = 0.0
        while event.type == "mouse_move":
            farthest = max(farthest, float(np.hypot(*(np.array(event.pos) - start))))
            yield
        if max(farthest, float(np.hypot(*(np.array(event.pos) - start)))) < LEAST_DRAG:
            self._clicked(place)
