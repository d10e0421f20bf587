"""Seeing every change of a points layer, however it was made, and making changes unseen."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from napari.layers import Points
from psygnal import Signal

from napari_lungcls.annotation.columns import CLASS_COLUMN, SOURCE_COLUMN
from napari_lungcls.annotation.edits import Edit, diff
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.annotation.snapshots import Cells, Snapshot
from napari_lungcls.gui.layers import categories


class Watch:
    """Compares a layer with what it was, whenever napari says that something happened.

    Parameters
    ----------
    layer
        The points layer.
    """

    edited = Signal(Edit, Snapshot)
    """An edit that somebody made, and what was there before it."""

    def __init__(self, layer: Points) -> None:
        self.layer = layer
        self.snapshot = _snapshot(layer)
        self._quiet = self._added = False
        self._next: str | None = None
        events = layer.events
        self._wired = (
            (events.data, self._on_data),
            (events.features, self._on_features),
            # Pasting says nothing but that there is something new to draw.
            (events.set_data, self._on_drawn),
            (events.feature_defaults, self._hold_next),
        )
        for emitter, slot in self._wired:
            emitter.connect(slot)

    def close(self) -> None:
        """Look no more."""
        for emitter, slot in self._wired:
            emitter.disconnect(slot)

    def next_class(self, name: str) -> None:
        """Choose the class of the next point, and hold it whatever is selected."""
        self._next = name
        self._hold_next()

    def put(self, after: Snapshot, scheme: ClassScheme) -> None:
        """Make the layer hold the points of a snapshot; `edited` is not emitted."""
        layer, before = self.layer, self.snapshot
        defaults = {name: layer.feature_defaults[name].iloc[0] for name in layer.features}
        kinds = dict(layer.features.dtypes)
        with self.unseen():
            if len(after) != len(before):
                layer.selected_data = set()
            if not np.array_equal(after.coordinates, before.coordinates):
                layer.data = after.coordinates.copy()
            layer.features = pd.DataFrame(
                {
                    name: categories(list(cells), scheme)
                    if name == CLASS_COLUMN
                    else _series(cells, kinds.get(name))
                    for name, cells in after.columns.items()
                },
                index=range(len(after)),
            )
            fresh = {name: layer.feature_defaults[name].iloc[0] for name in layer.features}
            fresh |= {name: value for name, value in defaults.items() if name in fresh}
            if fresh.get(CLASS_COLUMN) not in scheme.names:
                fresh[CLASS_COLUMN] = scheme.names[0]
            layer.feature_defaults = fresh
        if self._next not in scheme.names:
            self._next = None
        self._hold_next()

    @contextmanager
    def unseen(self) -> Iterator[None]:
        """Change the layer inside without an edit being noted."""
        before, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = before
            self.snapshot = _snapshot(self.layer)

    def look(self, *, moved: bool = True) -> None:
        """Compare now; without `moved`, points are taken to be where they were."""
        if self._quiet or len(self.layer.features) != len(self.layer.data):
            return
        before = self.snapshot
        if moved or len(before) != len(self.layer.data):
            after = _snapshot(self.layer)
        else:
            after = Snapshot.build(before.coordinates, _columns(self.layer))
        edit = diff(before, after)
        if edit:
            self.snapshot = after
            self.edited.emit(edit, before)

    def _on_data(self, event: Any) -> None:
        action = str(event.action)
        if action in {"added", "removed", "changed"}:
            self._added = action == "added" and not self._quiet
            self.look()

    def _on_features(self, event: Any) -> None:
        # While points are dragged this comes with every move of the mouse, and `data`
        # only at the end: a drag is one edit.
        self.look(moved=False)
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
        if SOURCE_COLUMN in layer.features:
            wanted[SOURCE_COLUMN] = ""
        now = {name: layer.feature_defaults[name].iloc[0] for name in layer.features}
        if any(now[name] != value for name, value in wanted.items()):
            before, self._quiet = self._quiet, True
            layer.feature_defaults = now | wanted
            self._quiet = before

    def _on_drawn(self, event: Any) -> None:
        if len(self.layer.data) != len(self.snapshot):
            self.look()


def _snapshot(layer: Points) -> Snapshot:
    return Snapshot.build(layer.data, _columns(layer))


def _columns(layer: Points) -> dict[str, "pd.Series[Any]"]:
    return {str(name): layer.features[name] for name in layer.features}


def _series(cells: Cells, kind: Any) -> "pd.Series[Any]":
    if kind is not None:
        try:
            return pd.Series(list(cells), dtype=kind)
        except (TypeError, ValueError):
            pass
    return pd.Series(list(cells), dtype=object)
