"""What a points layer holds at one moment, and the history of such moments for undo."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from napari_lungcls.annotation.columns import CLASS_COLUMN
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.utils.humanize import count


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The points of a layer and their classes at one moment; make it with `build`.

    Attributes
    ----------
    coordinates
        `(n, ndim)` float64, read-only.
    features
        `(n, …)` table of every other column. It is never changed in place. The column `class`
        holds names, or None where a point has no class.
    scheme
        The classes that points can have.
    """

    coordinates: NDArray[np.float64]
    features: pd.DataFrame
    scheme: ClassScheme

    @classmethod
    def build(
        cls, coordinates: ArrayLike, features: pd.DataFrame | Mapping[str, Any], scheme: ClassScheme
    ) -> Self:
        """Copy coordinates and features.

        Raises
        ------
        ValueError
            When there are not as many rows of features as points.
        """
        where = np.array(coordinates, dtype=np.float64)
        where.setflags(write=False)
        table = pd.DataFrame(features).copy()
        if CLASS_COLUMN in table:
            # Without categories, so that a class added to the scheme changes no point.
            labels = table[CLASS_COLUMN].astype(object)
            table[CLASS_COLUMN] = labels.where(labels.notna(), None)
        if table.empty:
            table = table.reindex(range(len(where)))
        if len(table) != len(where):
            raise ValueError(f"{len(table)} rows of features for {len(where)} points")
        return cls(where, table.reset_index(drop=True), scheme)

    def __len__(self) -> int:
        """Count the points."""
        return len(self.coordinates)

    @property
    def ndim(self) -> int:
        """Number of axes of a coordinate."""
        return int(self.coordinates.shape[1])

    @property
    def classes(self) -> NDArray[np.object_]:
        """Names of the classes `(n,)`, None where a point has none."""
        if CLASS_COLUMN not in self.features:
            return np.full(len(self), None, dtype=object)
        return self.features[CLASS_COLUMN].to_numpy(dtype=object, copy=True)

    def with_classes(self, names: ArrayLike) -> Self:
        """Give the same points with other classes, `(n,)` names or None."""
        labels = pd.Series(np.asarray(names, dtype=object), self.features.index, dtype=object)
        return replace(self, features=self.features.assign(**{CLASS_COLUMN: labels}))

    def with_scheme(self, scheme: ClassScheme, renamed: Mapping[str, str] | None = None) -> Self:
        """Give the points another scheme; `renamed` has the new names of classes by the old."""
        names = renamed or {}
        after = self.with_classes([names.get(name, name) for name in self.classes])
        return replace(after, scheme=scheme)

    def same_points(self, other: Snapshot) -> bool:
        """Tell whether another snapshot holds the same points in the same order."""
        return np.array_equal(
            self.coordinates, other.coordinates, equal_nan=True
        ) and self.features.equals(other.features)

    def same(self, other: Snapshot) -> bool:
        """Tell whether points and scheme are the same."""
        return self.scheme == other.scheme and self.same_points(other)


def describe(before: Snapshot, after: Snapshot) -> str:
    """Say what leads from one snapshot to the next, for a tooltip: `add 1 point`."""
    if before.scheme != after.scheme:
        return "change of the classes"
    more = len(after) - len(before)
    if more:
        return f"{'add' if more > 0 else 'remove'} {count(abs(more), 'point')}"
    moved = np.count_nonzero((before.coordinates != after.coordinates).any(axis=1))
    relabelled = np.count_nonzero(before.classes != after.classes)
    counts = {"move": int(moved), "relabel": int(relabelled)}
    done = [f"{verb} {count(n, 'point')}" for verb, n in counts.items() if n]
    return ", ".join(done) or "change of the table"


class UndoHistory:
    """Snapshots to go back and forth between; the oldest are dropped.

    Parameters
    ----------
    steps
        How many steps can be undone at most.
    cells
        How many cells of tables are kept at most, all steps together; this bounds memory.
    """

    def __init__(self, steps: int = 1000, cells: int = 2**24) -> None:
        self._past: deque[Snapshot] = deque(maxlen=steps)
        self._future: list[Snapshot] = []
        self._cells = cells

    def push(self, before: Snapshot) -> None:
        """Remember what a change started from; what was undone can no longer be redone."""
        self._past.append(before)
        self._future.clear()
        while len(self._past) > 1 and sum(map(_size, self._past)) > self._cells:
            self._past.popleft()

    def undo(self, now: Snapshot) -> Snapshot | None:
        """Give the snapshot to go back to, or None; `now` can then be redone."""
        if not self._past:
            return None
        self._future.append(now)
        return self._past.pop()

    def redo(self, now: Snapshot) -> Snapshot | None:
        """Give the snapshot to go forward to, or None; `now` can then be undone."""
        if not self._future:
            return None
        self._past.append(now)
        return self._future.pop()

    def describe_undo(self, now: Snapshot) -> str:
        """Say what `undo` would take back; empty when there is nothing."""
        return describe(self._past[-1], now) if self._past else ""

    def describe_redo(self, now: Snapshot) -> str:
        """Say what `redo` would do again; empty when there is nothing."""
        return describe(now, self._future[-1]) if self._future else ""


def _size(snapshot: Snapshot) -> int:
    return len(snapshot) * (snapshot.ndim + len(snapshot.features.columns))
