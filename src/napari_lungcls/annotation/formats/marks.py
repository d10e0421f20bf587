"""What a points file of another program holds, before it is turned into a table of points."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.annotation.validation import shown
from napari_lungcls.errors import InputError

LARGEST = 2**28
"""Bytes of the largest file that is read."""

MOST = 2**22
"""Points in the largest file that is read."""

FARTHEST = 1e9
"""Pixels from the first pixel beyond which a position is taken for damage."""

MOST_COLUMNS = 256
"""Columns that a file may make."""

Classes = str | PathLike[str] | ClassScheme | Mapping[int, str]
"""What numbered types are called: a scheme, counted from its first class, or names by number."""


class KnownImage(Protocol):
    """The image that points lie in; an `ImageStack` is one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels along each axis, `(…, y, x)`."""

    @property
    def source(self) -> str:
        """Its file, or what it is called."""


@dataclass(frozen=True)
class Context:
    """What is known beside the file: its name, and what the caller says.

    Attributes
    ----------
    source
        Name of the file, for messages.
    classes
        What numbered types are called.
    image
        The image of the points.
    """

    source: str
    classes: Classes | None = None
    image: KnownImage | None = None


@dataclass
class Marks:
    """Points in the way that a program counts positions.

    Attributes
    ----------
    positions
        `(y, x)` of each.
    planes
        For each nothing, the number of its plane, or `(t, z)`; all from 0.
    labels
        Class of each; empty where there is none.
    columns
        Further texts.
    """

    positions: list[tuple[float, float]] = field(default_factory=list)
    planes: list[tuple[int, ...]] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    columns: dict[str, list[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Count the points."""
        return len(self.positions)

    def add(
        self,
        position: tuple[float, float],
        plane: tuple[int, ...] = (),
        label: str = "",
        columns: Mapping[str, str] | None = None,
    ) -> None:
        """Append one point; columns that it lacks, or that others lacked, are empty.

        Raises
        ------
        InputError
            When there are too many points or columns.
        """
        count = len(self.positions)
        if count >= MOST:
            raise InputError(f"more than {MOST} points; split the file")
        self.positions.append(position)
        self.planes.append(plane)
        self.labels.append(label)
        for name, text in (columns or {}).items():
            if name not in self.columns and len(self.columns) >= MOST_COLUMNS:
                raise InputError(f"more than {MOST_COLUMNS} kinds of notes; export fewer")
            texts = self.columns.setdefault(name, [])
            texts.extend([""] * (count - len(texts)))
            texts.append(text)

    def filled(self) -> dict[str, list[str]]:
        """Give all columns with a text for each point."""
        return {
            name: texts + [""] * (len(self) - len(texts)) for name, texts in self.columns.items()
        }


def number(value: Any, what: str) -> float:
    """Read a position or another number, as text or as JSON and YAML have it.

    Raises
    ------
    InputError
        When it is none, not finite, or absurdly large.
    """
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError
        found = float(value)
    except (ValueError, OverflowError):
        raise InputError(f"{what} is {shown(value)}, no number; export the points again") from None
    if not math.isfinite(found) or abs(found) > FARTHEST:
        raise InputError(f"{what} is {shown(value)}, no place in an image; export the points again")
    return found


def whole(value: Any, what: str) -> int:
    """Read a whole number; see `number`."""
    found = number(value, what)
    if found != int(found):
        raise InputError(f"{what} is {shown(value)}, no whole number; export the points again")
    return int(found)


def plane_number(value: Any, what: str, first: int = 0) -> int:
    """Read the number of a plane that counts from `first`, and give it from 0."""
    found = whole(value, what) - first
    if found < 0:
        raise InputError(f"{what} is {shown(value)}, but planes count from {first}; correct it")
    return found


def leading(planes: Sequence[tuple[int, ...]], image: KnownImage | None) -> NDArray[np.float64]:
    """Give the coordinates of points before y and x, `(n, axes)`.

    Parameters
    ----------
    planes
        See `Marks`; all of one kind.
    image
        Says how many axes there are. Without it an axis in which all points lie in the first
        plane is left out.

    Raises
    ------
    InputError
        When the image does not have such planes.
    """
    width = len(planes[0]) if planes else 0
    found = np.array(planes, np.int64).reshape(len(planes), width)
    if image is None:
        return found[:, found.any(axis=0)].astype(np.float64)
    shape = tuple(image.shape[:-2])
    if width == 1 and len(shape) > 1:
        _check(int(found.max(initial=0)), math.prod(shape), "slice", image)
        return np.stack(np.unravel_index(found[:, 0], shape), axis=1).astype(np.float64)
    used = np.flatnonzero(found.any(axis=0))
    if len(used) > len(shape):
        raise InputError(
            f"the points lie in several planes, and {image.source} has "
            f"{'one' if not shape else 'one axis of them'}; give the image that they belong to"
        )
    placed = np.zeros((len(planes), len(shape)), np.int64)
    if len(shape) >= width:
        placed[:, len(shape) - width :] = found
    elif len(used):
        placed[:, -len(used) :] = found[:, used]
    for axis, count in enumerate(shape):
        _check(int(placed[:, axis].max(initial=0)), count, "plane", image)
    return placed.astype(np.float64)


def _check(last: int, count: int, what: str, image: KnownImage) -> None:
    if last >= count:
        raise InputError(
            f"a point lies in {what} {last + 1}, and {image.source} has {count}; give the image "
            "that the points belong to, with its channels split if they count as slices"
        )
