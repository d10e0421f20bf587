"""What was painted over a map with napari's brush, and points made of it. No Qt."""

from collections.abc import Callable

import numpy as np
from napari.layers import Image, Labels
from numpy.typing import NDArray

from napari_lungcls.gui.layers import KEY, to_world
from napari_lungcls.gui.maps import EDITED, map_of

SPACING = 32
"""Least pixels between points made of a stroke, along each axis: the stride of the deepest
layer. Nearer points would see almost the same."""

TOOLS = ("paint", "erase", "fill", "polygon")
"""Modes of napari's labels layers that change cells."""


class MapEdits:
    """Compares a map with what it was when a tool of napari was first taken in hand.

    Parameters
    ----------
    layer
        The class map.
    changed
        Called after each stroke.
    """

    def __init__(self, layer: Labels, changed: Callable[[], None]) -> None:
        self.layer, self._changed = layer, changed
        self._before: NDArray[np.uint8] | None = None
        events = layer.events
        self._wired = (
            (events.mode, self._on_mode),
            (events.paint, self._on_paint),
            (events.data, self.forget),
        )
        for emitter, slot in self._wired:
            emitter.connect(slot)

    def close(self) -> None:
        """Let go of the layer."""
        for emitter, slot in self._wired:
            emitter.disconnect(slot)

    def forget(self, event: object = None) -> None:
        """Take the map as it is now."""
        self._before = None
        self.layer.metadata[KEY][EDITED] = False
        self._on_mode()
        self._changed()

    def changes(self) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Give the cells that differ from what they were, `(n, ndim)`, and their values now."""
        painted, now = map_of(self.layer), self.layer.data
        if self._before is None or painted is None or not isinstance(now, np.ndarray):
            return np.empty((0, self.layer.ndim), np.int64), np.empty(0, np.uint8)
        real = (now != self._before) & (now > 0) & (now <= len(painted.scheme))
        cells = np.argwhere(real)
        return cells, now[real]

    def points(self, image: Image) -> tuple[NDArray[np.float64], list[str]]:
        """Give points in the middle of what was painted over, not too near to each other.

        Returns
        -------
        coordinates : ndarray, (n, ndim)
            Data pixels of the image.
        classes : list of str
            What was painted there.
        """
        painted = map_of(self.layer)
        cells, values = self.changes()
        if painted is None or not len(cells):
            return np.empty((0, image.ndim)), []
        edge = max(1, round(SPACING / painted.stride))
        squares = np.column_stack([cells[:, :-2], cells[:, -2:] // edge, values])
        _, owner = np.unique(squares, axis=0, return_inverse=True)
        rows = []
        for number in range(int(owner.max()) + 1):
            own = np.flatnonzero(owner.ravel() == number)
            where = cells[own, -2:]
            rows.append(own[((where - where.mean(0)) ** 2).sum(1).argmin()])
        matrix = np.linalg.solve(to_world(image), to_world(self.layer))
        n = image.ndim
        coordinates = cells[rows] @ matrix[:n, :n].T + matrix[:n, n]
        coordinates[:, :-2] = np.rint(coordinates[:, :-2])
        return coordinates, [painted.scheme.names[int(values[row]) - 1] for row in rows]

    def restore(self) -> None:
        """Give all cells back what they were."""
        if self._before is not None:
            self.layer.data[...] = self._before
            self.layer.refresh()
        self.forget()

    def _on_mode(self, event: object = None) -> None:
        # Maps that lie on disk or have levels cannot be painted over.
        can = isinstance(self.layer.data, np.ndarray)
        if self._before is None and can and str(self.layer.mode) in TOOLS:
            self._before = self.layer.data.copy()

    def _on_paint(self, event: object = None) -> None:
        self.layer.metadata[KEY][EDITED] = bool(len(self.changes()[0]))
        self._changed()
