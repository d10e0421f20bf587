"""The lines of a journal: what is written, and how little of what is read is believed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    NonNegativeInt,
    ValidationError,
    model_validator,
)

from napari_lungcls.annotation.edits import Edit, Recell
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.annotation.snapshots import Cells, Positions, Snapshot, as_cells
from napari_lungcls.annotation.validation import one_line, shown

R = TypeVar("R", bound=BaseModel)
Value = str | bool | int | FiniteFloat | None
_Rows = tuple[tuple[FiniteFloat, ...], ...]
_Places = tuple[NonNegativeInt, ...]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Header(_Record):
    """The first line: what the journal belongs to.

    Attributes
    ----------
    format, version
        What the file is.
    image
        Name of the image layer.
    source
        File or sample of the image, or empty.
    shape
        Pixels of the image along each axis; empty if it was not open.
    layer
        Name of the points layer.
    ndim
        Number of axes of a coordinate.
    scheme
        Classes when the journal was begun.
    pid, host
        The process that writes, and its computer.
    created
        Seconds since 1970.
    """

    format: Literal["napari-lungcls journal"] = "napari-lungcls journal"
    version: Literal[2] = 2
    image: str
    source: str = ""
    shape: tuple[NonNegativeInt, ...] = ()
    layer: str = ""
    ndim: Annotated[int, Field(ge=2, le=32)]
    scheme: ClassScheme
    pid: int
    host: str
    created: FiniteFloat


class Change(_Record):
    """What `line_record` writes: what an `Edit` says, without what was there before."""

    remove: _Places = ()
    add: _Places = ()
    at: _Rows = ()
    cells: dict[str, tuple[Value, ...]] = {}
    move: _Places = ()
    to: _Rows = ()
    set: dict[str, tuple[_Places, tuple[Value, ...]]] = {}
    columns: tuple[str, ...] = ()

    def edit(self, before: Snapshot) -> Edit:
        """Give the edit, with what was there before.

        Raises
        ------
        ValueError
            When it does not belong to these points.
        """
        removed = _places("remove", self.remove, len(before))
        rest = before.rows(np.delete(np.arange(len(before)), removed))
        added = _places("add", self.add, len(rest) + len(self.add))
        moved = _places("move", self.move, len(rest))
        return Edit(
            removed=removed,
            gone=before.rows(removed),
            added=added,
            new=Snapshot.build(
                _positions("at", self.at, len(added), before.ndim),
                {name: _cells(name, cells, len(added)) for name, cells in self.cells.items()},
            ),
            moved=moved,
            start=rest.coordinates[moved],
            end=_positions("to", self.to, len(moved), before.ndim),
            changed={name: _recell(name, rest, *new) for name, new in self.set.items()},
            columns=(tuple(before.columns), self.columns),
        )


class Line(_Record):
    """A line after the first: a change of the points, other classes, or both.

    Attributes
    ----------
    edit
        The change.
    scheme
        The classes from here on.
    """

    edit: Change | None = None
    scheme: ClassScheme | None = None

    @model_validator(mode="after")
    def _check(self) -> Line:
        if self.edit is None and self.scheme is None:
            raise ValueError("neither edit nor scheme")
        return self


@dataclass(frozen=True, eq=False)
class State:
    """What the lines so far amount to: the header as it would be now, and the points."""

    header: Header
    points: Snapshot

    def after(self, line: Line) -> State:
        """Give the state after one more line.

        Raises
        ------
        ValueError
            When the line does not belong to these points.
        """
        header, points = self.header, self.points
        if line.edit is not None:
            points = line.edit.edit(points).apply(points)
        if line.scheme is not None:
            header = header.model_copy(update={"scheme": line.scheme})
        return State(header, points)


def line_record(edit: Edit, scheme: ClassScheme | None = None) -> dict[str, Any]:
    """Give a line as JSON takes it; see `Line` and `Change`."""
    record = {
        "remove": edit.removed.tolist(),
        "add": edit.added.tolist(),
        "at": edit.new.coordinates.tolist(),
        "cells": {name: _plain(cells) for name, cells in edit.new.columns.items() if len(cells)},
        "move": edit.moved.tolist(),
        "to": edit.end.tolist(),
        "set": {name: [c.at.tolist(), _plain(c.new)] for name, c in edit.changed.items()},
        "columns": list(edit.columns[1]),
    }
    line: dict[str, Any] = {"edit": {name: value for name, value in record.items() if value}}
    return line if scheme is None else line | {"scheme": scheme.model_dump(mode="json")}


def _plain(cells: Cells) -> list[Value]:
    """Leave out of cells what JSON cannot say: infinite numbers and halves of characters."""
    return [
        cell.encode("utf-8", "replace").decode()
        if isinstance(cell, str)
        else None
        if isinstance(cell, float) and not math.isfinite(cell)
        else cell
        for cell in cells
    ]


def parsed(kind: type[R], text: bytes) -> R:
    """Read one line.

    Raises
    ------
    ValueError
        With one line of words, when it is anything else.
    """
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise ValueError(one_line(error)) from error


def _places(what: str, places: Sequence[int], end: int) -> Positions:
    steps = itertools.pairwise(places)
    if any(after <= before for before, after in steps) or (places and places[-1] >= end):
        raise ValueError(f"{what}: these are not places of {end} points")
    return np.array(places, dtype=np.intp)


def _positions(what: str, rows: _Rows, count: int, ndim: int) -> NDArray[np.float64]:
    if len(rows) != count or any(len(row) != ndim for row in rows):
        raise ValueError(f"{what}: not {count} positions of {ndim} axes")
    return np.array(rows, dtype=np.float64).reshape(count, ndim)


def _cells(name: str, values: Sequence[Value], count: int) -> Cells:
    if len(values) != count:
        raise ValueError(f"column {shown(name)}: {len(values)} cells for {count} points")
    return as_cells(values)


def _recell(name: str, rest: Snapshot, places: _Places, values: Sequence[Value]) -> Recell:
    at = _places(f"set {shown(name)}", places, len(rest))
    return Recell(at, rest.column(name)[at], _cells(name, values, len(at)))
