"""Changes of labelled points that can be applied, taken back, and done again."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation.columns import CLASS_COLUMN
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.annotation.snapshots import (
    Cells,
    Positions,
    Snapshot,
    as_cells,
    different,
)

__all__ = ["Edit", "History", "Recell", "Snapshot", "Step", "as_cells", "diff"]

_NO_ROWS = np.empty(0, dtype=np.intp)


@dataclass(frozen=True, eq=False)
class Recell:
    """New values in one column: where, what was there, and what is there now."""

    at: Positions
    old: Cells
    new: Cells


@dataclass(frozen=True, eq=False)
class Edit:
    """The way from one snapshot to another, and back.

    The rows that stay are those of the first snapshot without `removed`, and those of the
    second without `added`; `moved` and `changed` count among these.

    Attributes
    ----------
    removed, gone
        Places in the first snapshot, and the rows that were there.
    added, new
        Places in the second snapshot, and the rows that are there.
    moved, start, end
        Places among the rows that stay, `(m, ndim)` coordinates before and after.
    changed
        New values by column; a change of `class` relabels.
    columns
        Names of the columns before and after.
    """

    removed: Positions
    gone: Snapshot
    added: Positions
    new: Snapshot
    moved: Positions
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    changed: Mapping[str, Recell]
    columns: tuple[tuple[str, ...], tuple[str, ...]]

    def __bool__(self) -> bool:
        """Tell whether anything changes."""
        return bool(
            self.removed.size
            or self.added.size
            or self.moved.size
            or self.changed
            or set(self.columns[0]) != set(self.columns[1])
        )

    def apply(self, before: Snapshot) -> Snapshot:
        """Give the second snapshot from the first.

        Raises
        ------
        ValueError
            When `before` has too few rows to be the first snapshot.
        """
        total = len(before) - len(self.removed) + len(self.added)
        if self.removed.max(initial=-1) >= len(before) or self.added.max(initial=-1) >= total:
            raise ValueError("the edit belongs to other points")
        stay = np.delete(np.arange(len(before)), self.removed)
        old_rows = np.ones(total, dtype=bool)
        old_rows[self.added] = False
        where = np.empty((total, before.ndim))
        kept = before.coordinates[stay]
        kept[self.moved] = self.end
        where[old_rows], where[self.added] = kept, self.new.coordinates
        columns = {}
        for name in self.columns[1]:
            cells, whole = before.column(name)[stay], np.empty(total, dtype=object)
            if name in self.changed:
                cells[self.changed[name].at] = self.changed[name].new
            whole[old_rows], whole[self.added] = cells, self.new.column(name)
            columns[name] = whole
        return Snapshot.of_arrays(where, columns)

    def revert(self, after: Snapshot) -> Snapshot:
        """Give the first snapshot from the second."""
        return self.inverse().apply(after)

    def inverse(self) -> Edit:
        """Give the way back as an edit."""
        return Edit(
            removed=self.added,
            gone=self.new,
            added=self.removed,
            new=self.gone,
            moved=self.moved,
            start=self.end,
            end=self.start,
            changed={n: Recell(c.at, old=c.new, new=c.old) for n, c in self.changed.items()},
            columns=(self.columns[1], self.columns[0]),
        )

    @property
    def words(self) -> str:
        """What the edit does, for a tooltip: `add 1 point`."""
        counts = {
            "add": len(self.added),
            "remove": len(self.removed),
            "move": len(self.moved),
            "relabel": len(self.changed[CLASS_COLUMN].at) if CLASS_COLUMN in self.changed else 0,
        }
        named = [f"{verb} {n} point{'s' if n > 1 else ''}" for verb, n in counts.items() if n]
        return ", ".join(named) or "change of the table"


def diff(before: Snapshot, after: Snapshot) -> Edit:
    """Find an edit that leads from one snapshot to another.

    Where rows were only removed, or only inserted, these are found; otherwise rows are
    compared place by place, and what is longer ends with the new or the removed ones. Either
    way `diff(a, b).apply(a)` is `b`.
    """
    removed = added = _NO_ROWS
    if len(before) > len(after):
        removed = _extra(before.coordinates, after.coordinates)
    elif len(after) > len(before):
        added = _extra(after.coordinates, before.coordinates)
    old_rows = np.delete(np.arange(len(before)), removed)
    new_rows = np.delete(np.arange(len(after)), added)
    old, new = before.coordinates[old_rows], after.coordinates[new_rows]
    moved = np.flatnonzero((old != new).any(axis=1))
    changed = {}
    for name in dict.fromkeys((*before.columns, *after.columns)):
        first, second = before.column(name)[old_rows], after.column(name)[new_rows]
        at = different(first, second)
        if at.size:
            changed[name] = Recell(at, first[at], second[at])
    return Edit(
        removed=removed,
        gone=before.rows(removed),
        added=added,
        new=after.rows(added),
        moved=moved,
        start=old[moved],
        end=new[moved],
        changed=changed,
        columns=(tuple(before.columns), tuple(after.columns)),
    )


def _extra(longer: NDArray[np.float64], shorter: NDArray[np.float64]) -> Positions:
    """Find the rows of `longer` without which it is `shorter`; the last ones if it never is."""
    n, surplus = len(shorter), len(longer) - len(shorter)
    unlike = np.flatnonzero((longer[:n] != shorter).any(axis=1))
    first = int(unlike[0]) if unlike.size else n
    unlike = np.flatnonzero((longer[surplus:] != shorter).any(axis=1))
    last = int(unlike[-1]) + 1 if unlike.size else 0
    if last <= first:
        return np.arange(first, first + surplus)
    # Between the common head and the common tail, every row is taken as early as possible.
    extra: list[int] = []
    wanted = iter([*map(tuple, shorter[first:last].tolist()), None])
    sought = next(wanted)
    for place, row in enumerate(map(tuple, longer[first : last + surplus].tolist()), start=first):
        if row == sought:
            sought = next(wanted)
        else:
            extra.append(place)
    return np.array(extra, np.intp) if len(extra) == surplus else np.arange(n, len(longer))


@dataclass(frozen=True, eq=False)
class Step:
    """What one undo takes back: an edit, and other classes where they were changed with it.

    Attributes
    ----------
    edit
        Of the points; it may change nothing.
    schemes
        The classes before and after, or None where they stayed.
    """

    edit: Edit
    schemes: tuple[ClassScheme, ClassScheme] | None = None

    def inverse(self) -> Step:
        """Give the way back as a step."""
        schemes = None if self.schemes is None else (self.schemes[1], self.schemes[0])
        return Step(self.edit.inverse(), schemes)

    @property
    def words(self) -> str:
        """What the step does, for a tooltip."""
        return self.edit.words if self.schemes is None else "change of the classes"


class _Invertible(Protocol):
    def inverse(self) -> Self: ...


T = TypeVar("T", bound=_Invertible)


class History(Generic[T]):
    """Edits or steps that can be undone and redone; the oldest are forgotten.

    Parameters
    ----------
    limit
        How many are kept.
    """

    def __init__(self, limit: int = 1000) -> None:
        self._done: deque[T] = deque(maxlen=limit)
        self._undone: list[T] = []

    def push(self, edit: T) -> None:
        """Remember an edit that was made; what was undone before cannot be redone any more."""
        self._done.append(edit)
        self._undone.clear()

    @property
    def undoable(self) -> T | None:
        """The edit that `undo` takes back, or None."""
        return self._done[-1] if self._done else None

    @property
    def redoable(self) -> T | None:
        """The edit that `redo` makes again, or None."""
        return self._undone[-1] if self._undone else None

    def undo(self) -> T | None:
        """Give the edit to apply so that the last one is taken back, or None."""
        if not self._done:
            return None
        self._undone.append(self._done.pop())
        return self._undone[-1].inverse()

    def redo(self) -> T | None:
        """Give the edit to apply so that what was undone is there again, or None."""
        if not self._undone:
            return None
        self._done.append(self._undone.pop())
        return self._done[-1]
