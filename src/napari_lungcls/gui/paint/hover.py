"""Telling what the map says under the cursor, no oftener than a window can show."""

import napari
from napari.layers import Layer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_lungcls.gui.maps import cell_under

EVERY = 40
"""Milliseconds between two looks while the cursor moves."""


class Hover(QObject):
    """Follows the cursor over one map layer.

    `told` carries what `cell_under` gives: class code and probabilities, or None.
    """

    told = Signal(object)

    def __init__(self, viewer: "napari.Viewer", parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.layer: Layer | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(EVERY)
        self._timer.timeout.connect(self.look)
        moved, turned = viewer.cursor.events.position, viewer.dims.events.current_step
        moved.connect(self._on_move)
        turned.connect(self._on_move)

        def leave(*_: object, slot: object = self._on_move) -> None:
            moved.disconnect(slot)
            turned.disconnect(slot)

        parent.destroyed.connect(leave)

    def look(self) -> None:
        """Tell what is under the cursor now."""
        found = None
        if self.layer is not None and self.layer in self._viewer.layers:
            found = cell_under(self.layer, self._viewer.cursor.position)
        self.told.emit(found)

    def _on_move(self, event: object = None) -> None:
        if self.layer is not None and not self._timer.isActive():
            self._timer.start()
