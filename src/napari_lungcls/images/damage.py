"""Parts of an image that cannot be read, and where they are."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from napari_lungcls.errors import InputError

DAMAGE = (InputError, OSError, EOFError, ValueError, RuntimeError, LookupError, zlib.error)
"""What is raised when a part of an array cannot be read or decoded."""


@dataclass(frozen=True)
class Place:
    """A part of a plane: `rows` and `columns` of pixels at full resolution, first and end."""

    plane: tuple[int, ...]
    rows: tuple[int, int]
    columns: tuple[int, int]

    def __str__(self) -> str:
        """Write it for people."""
        plane = f"plane {', '.join(map(str, self.plane))}, " if self.plane else ""
        (top, bottom), (left, right) = self.rows, self.columns
        return f"{plane}rows {top}:{bottom}, columns {left}:{right}"


class DamagedInput(InputError):
    """A part of an image cannot be read.

    Attributes
    ----------
    reason
        What is wrong with it, for people.
    places
        The tiles or chunks that cannot be read, as far as the file tells.
    """

    def __init__(self, source: str, error: Exception, places: tuple[Place, ...]) -> None:
        self.places = places
        self.reason = (str(error) or type(error).__name__).removeprefix(f"{source}: ")
        named = "; ".join(map(str, places[:3])) + ("; …" if len(places) > 3 else "")
        super().__init__(f"{source}: {self.reason} (at {named})")


def damaged_places(
    array: Any,
    plane: tuple[int, ...],
    region: tuple[slice, slice],
    factor: float,
    shape: tuple[int, int],
) -> tuple[Place, ...]:
    """Find the chunks of a region that cannot be read; the region itself where none fails.

    Parameters
    ----------
    array
        A level of the image, `(…, y, x[, channel])`.
    plane
        Position along its axes before `(y, x)`.
    region
        Rows and columns of the level.
    factor
        Pixels of the image per pixel of the level.
    shape
        Height and width of the image.
    """
    size = array.shape[len(plane) : len(plane) + 2]
    bad = [part for part in _chunks(array, plane, region) if not _readable(array, plane, part)]
    return tuple(
        Place(plane, *(_full(s, n, factor, m) for s, n, m in zip(part, size, shape, strict=True)))
        for part in bad or [region]
    )


def _chunks(
    array: Any, plane: tuple[int, ...], region: tuple[slice, slice]
) -> Iterator[tuple[slice, slice]]:
    """Give the chunks that a region touches; none where the array has no regular ones."""
    edges = (getattr(array, "chunks", None) or ())[len(plane) : len(plane) + 2]
    if len(edges) != 2 or not all(isinstance(edge, int) for edge in edges):
        return
    rows, columns = (
        [slice(i * n, (i + 1) * n) for i in range(s.start // n, -(-s.stop // n))]
        for s, n in zip(region, edges, strict=True)
    )
    for part in rows:
        yield from ((part, other) for other in columns)


def _readable(array: Any, plane: tuple[int, ...], part: tuple[slice, slice]) -> bool:
    """Decode one chunk, by its first pixel."""
    rows, columns = part
    try:
        array[(*plane, slice(rows.start, rows.start + 1), slice(columns.start, columns.start + 1))]
    except DAMAGE:
        return False
    return True


def _full(part: slice, size: int, factor: float, limit: int) -> tuple[int, int]:
    """Turn pixels of a level into pixels of the image."""
    last = limit if part.stop >= size else min(limit, round(part.stop * factor))
    return int(part.start * factor), last
