"""Errors of damaged files: what the libraries raise, and which part of an image is affected."""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from napari_lungcls.errors import InputError
from napari_lungcls.utils.locks import why_unreadable

READ_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
)
"""Raised by the libraries while they read damaged files; each was provoked by changing bytes."""

DAMAGE = (InputError, OSError, EOFError, ValueError, RuntimeError, LookupError, zlib.error)
"""Raised when part of an array cannot be read or decoded."""


@contextlib.contextmanager
def reading(source: str, problem: str, *more: type[Exception]) -> Iterator[None]:
    """Turn what the libraries raise in the block into an `InputError`.

    Parameters
    ----------
    source
        Names the file.
    problem
        What to say of it unless it is only locked or not permitted, with `{}` for what the
        library says.
    *more
        Errors to expect besides `READ_ERRORS`.
    """
    expected: tuple[type[Exception], ...] = (*READ_ERRORS, *more)
    try:
        yield
    except InputError:
        raise
    except expected as error:
        if why := why_unreadable(error):
            raise InputError(f"{source} {why}") from error
        raise InputError(f"{source}: {problem.format(error)}") from error


@dataclass(frozen=True)
class DamagedRegion:
    """Part of a plane: `rows` and `columns` at full resolution, each as first and end."""

    plane: tuple[int, ...]
    rows: tuple[int, int]
    columns: tuple[int, int]

    def __str__(self) -> str:
        """Describe it in a message."""
        plane = f"plane {', '.join(map(str, self.plane))}, " if self.plane else ""
        (top, bottom), (left, right) = self.rows, self.columns
        return f"{plane}rows {top}:{bottom}, columns {left}:{right}"


class DamagedInput(InputError):
    """A part of an image cannot be read.

    Attributes
    ----------
    reason
        What is wrong with it, as shown to the user.
    places
        The tiles or chunks that cannot be read, as far as the file allows to tell.
    """

    def __init__(self, source: str, error: Exception, places: tuple[DamagedRegion, ...]) -> None:
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
) -> tuple[DamagedRegion, ...]:
    """Find the chunks of a region that cannot be read; the whole region if none fails alone.

    Parameters
    ----------
    array
        A level of the image, `(…, y, x[, channel])`.
    plane
        Its position along the axes before `(y, x)`.
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
        DamagedRegion(
            plane, *(_full(s, n, factor, m) for s, n, m in zip(part, size, shape, strict=True))
        )
        for part in bad or [region]
    )


def _chunks(
    array: Any, plane: tuple[int, ...], region: tuple[slice, slice]
) -> Iterator[tuple[slice, slice]]:
    """Yield the chunks that a region touches; none if the array has no regular chunks."""
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
    """Try to decode a chunk by reading its first pixel."""
    rows, columns = part
    try:
        array[(*plane, slice(rows.start, rows.start + 1), slice(columns.start, columns.start + 1))]
    except DAMAGE:
        return False
    return True


def _full(part: slice, size: int, factor: float, limit: int) -> tuple[int, int]:
    """Convert pixels of a pyramid level into pixels of the image."""
    last = limit if part.stop >= size else min(limit, round(part.stop * factor))
    return int(part.start * factor), last
