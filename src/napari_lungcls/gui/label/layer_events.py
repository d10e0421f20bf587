"""Noticing every change of a points layer, however it was made, and making changes unnoticed."""

from typing import Any

import numpy as np
from napari.layers import Points
from psygnal import Signal

from napari_lungcls.annotation.columns import CLASS_COLUMN, SOURCE_COLUMN
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.annotation.snapshots import Snapshot
from napari_lungcls.gui.points_layer import categories, set_scheme


class LayerEvents:
    """Compares a layer with what it was, whenever napari says that something happened.

    Parameters
    ----------
    layer
        The points layer.
    scheme
        Its classes.
    """

    edited = Signal(Snapshot)
    """Somebody changed the points; carries what was there before."""

    def __init__(self, layer: Points, scheme: ClassScheme) -> None:
        self.layer = layer
        self.snapshot = Snapshot.build(layer.data, layer.features, scheme)
        self._quiet = self._added = False
        self._next: str | None = None
        events = layer.events
        self._wired = (
            (events.data, self._on_data),
            (events.features, self._on_features),
            # Pasting emits nothing but that there is something new to draw.
            (events.set_data, self._on_drawn),
            (events.feature_defaults, self._hold_next),
        )
        for emitter, slot in self._wired:
            emitter.connect(slot)

    def close(self) -> None:
        """Stop listening."""
        for emitter, slot in self._wired:
            emitter.disconnect(slot)

    def next_class(self, name: str) -> None:
        """Choose the class of the next point, and hold it whatever is selected."""
        self._next = name
        self._hold_next()

    def put(self, after: Snapshot) -> None:
        """Make the layer hold a snapshot, its classes included; `edited` is not emitted."""
        layer, before, scheme = self.layer, self.snapshot, after.scheme
        features = after.features.copy()
        features[CLASS_COLUMN] = categories(list(after.classes), scheme)
        defaults, self._quiet = self._defaults(), True
        try:
            if len(after) != len(before):
                layer.selected_data = set()
            if not np.array_equal(after.coordinates, before.coordinates):
                layer.data = after.coordinates.copy()
            layer.features = features
            fresh = self._defaults()
            fresh |= {name: value for name, value in defaults.items() if name in fresh}
            if fresh.get(CLASS_COLUMN) not in scheme.names:
                fresh[CLASS_COLUMN] = scheme.names[0]
            layer.feature_defaults = fresh
            if scheme != before.scheme:
                set_scheme(layer, scheme)
        finally:
            self._quiet = False
            self.snapshot = Snapshot.build(layer.data, layer.features, scheme)
        if self._next not in scheme.names:
            self._next = None
        self._hold_next()

    def compare(self, *, moved: bool = True) -> None:
        """Compare now; without `moved`, points are taken to be where they were."""
        layer, before = self.layer, self.snapshot
        if self._quiet or len(layer.features) != len(layer.data):
            return
        moved = moved or len(before) != len(layer.data)
        where = layer.data if moved else before.coordinates
        after = Snapshot.build(where, layer.features, before.scheme)
        if not after.same(before):
            self.snapshot = after
            self.edited.emit(before)

    def _on_data(self, event: Any) -> None:
        action = str(event.action)
        if action in {"added", "removed", "changed"}:
            self._added = action == "added" and not self._quiet
            self.compare()

    def _on_features(self, event: Any) -> None:
        # While points are dragged this comes with every move of the mouse, and `data`
        # only at the end: a drag is one edit.
        self.compare(moved=False)
        if self._added:
            self._added = False
            if str(self.layer.mode) == "add":
                # napari leaves a new point selected; what is chosen next must not change it.
                self.layer.selected_data = set()

    def _hold_next(self, event: Any = None) -> None:
        # Selecting a point makes its class, and who labelled it, those of the next point.
        layer = self.layer
        if self._quiet or self._next is None:
            return
        wanted = {CLASS_COLUMN: self._next}
        # A new point is placed by the user, whatever the selected one is.
        if SOURCE_COLUMN in layer.features:
            wanted[SOURCE_COLUMN] = ""
        now = self._defaults()
        if any(now[name] != value for name, value in wanted.items()):
            before, self._quiet = self._quiet, True
            layer.feature_defaults = now | wanted
            self._quiet = before

    def _defaults(self) -> dict[str, Any]:
        layer = self.layer
        return {str(name): layer.feature_defaults[name].iloc[0] for name in layer.features}

    def _on_drawn(self, event: Any) -> None:
        if len(self.layer.data) != len(self.snapshot):
            self.compare()
