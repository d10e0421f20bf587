"""The right button as a second class: a click adds a point, a drag zooms as ever."""

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import napari
import numpy as np

from napari_lungcls.gui.point_prediction.pointer import LEAST_DRAG, deafen
from napari_lungcls.gui.remembered import choices

if TYPE_CHECKING:
    from napari_lungcls.gui.label.controller import Labeller

RIGHT = 2

FORM, FIELD = "label", "right_click"
"""Where the class is remembered from one session to the next."""


class RightClick:
    """What a click with the right button adds.

    napari adds a point for a click with any button; here the right one adds none, unless it
    has a class.

    Parameters
    ----------
    labeller
        The labeller.

    Attributes
    ----------
    name
        The class of the points; None for no points.
    """

    def __init__(self, labeller: "Labeller") -> None:
        self._labeller = labeller
        self._wanted = choices().get(FORM).get(FIELD)
        self.name: str | None = None
        choices().forgotten.connect(self._on_forgotten)

    def choose(self, name: str | None) -> None:
        """Choose the class of points that the right button adds, or that it adds none."""
        if name is not None:
            self._labeller.scheme.code(name)
        self.name = self._wanted = name
        choices().put(FORM, {FIELD: name or ""})
        self._labeller.changed.emit()

    def follow_scheme(self) -> None:
        """Have the class that was chosen last, if there is one of its name."""
        known = self._wanted in self._labeller.scheme.names
        self.name = self._wanted if known else None

    def _on_forgotten(self) -> None:
        self.name = self._wanted = None
        self._labeller.changed.emit()

    def switch(self, viewer: "napari.Viewer", on: bool) -> None:
        """Watch the canvas, or no longer."""
        callbacks = viewer.mouse_drag_callbacks
        if on and self._on_press not in callbacks:
            callbacks.append(self._on_press)
        elif not on and self._on_press in callbacks:
            callbacks.remove(self._on_press)

    def _on_press(self, viewer: Any, event: Any) -> Generator[None, None, None] | None:
        layer = self._labeller.layer
        if event.button != RIGHT or layer is None or str(layer.mode) != "add":
            return None
        if viewer.layers.selection.active is not layer:
            return None
        # Without `event.handled`: a drag shall go on to the camera.
        deafen(layer)
        return self._follow(event)

    def _follow(self, event: Any) -> Generator[None, None, None]:
        start, far = np.array(event.pos, float), 0.0
        yield
        while event.type == "mouse_move":
            far = max(far, float(np.linalg.norm(np.array(event.pos) - start)))
            yield
        if far < LEAST_DRAG and self.name is not None:
            self._labeller.place(event.position, self.name)
