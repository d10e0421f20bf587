"""A painted map as data: its cells, and what they say about themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from pydantic import BaseModel, Field

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError

BLOCK = 1024
"""Edge of the blocks, in cells, that are held at once."""


class MapHeader(BaseModel, frozen=True, extra="forbid"):
    """Everything about a map but its cells.

    Attributes
    ----------
    shape
        Cells along each axis of the class map, `(…, h, w)`.
    scale
        World units from one cell to the next, per axis.
    translate
        World position of the centre of the first cell, per axis.
    unit
        Name of the world unit along y and x, such as `micrometer` or `pixel`.
    scheme
        The classes; cell value `code + 1`, 0 where nothing was painted.
    stride
        Image pixels between cells.
    origin
        Image pixel `(y, x)` at which the first cell begins.
    probabilities
        Whether class probabilities belong to the map.
    provenance
        What made the map: model, image, software; free form, JSON.
    """

    shape: tuple[int, ...] = Field(min_length=2)
    scale: tuple[float, ...]
    translate: tuple[float, ...]
    unit: str = "pixel"
    scheme: ClassScheme
    stride: int = Field(ge=1)
    origin: tuple[int, int] = (0, 0)
    probabilities: bool = False
    provenance: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class MapData:
    """The cells of a map and what they mean; `painted.PaintedMap` describes the attributes."""

    classes: Any
    probabilities: Any
    header: MapHeader

    def __post_init__(self) -> None:
        """Refuse cells that are not what the header says."""
        shape = self.header.shape
        _check_cells(self.classes, shape, "uint8", "class map")
        if self.header.probabilities != (self.probabilities is not None):
            raise InputError("the header of a map must say whether it has probabilities")
        if self.probabilities is not None:
            full = (len(self.header.scheme), *shape)
            _check_cells(self.probabilities, full, "float16", "probabilities")


@dataclass(frozen=True)
class Block:
    """A rectangle of cells on one plane: `rows` and `columns` count cells of the map."""

    index: tuple[int, ...]
    rows: slice
    columns: slice

    @property
    def place(self) -> Any:
        """Index of its cells in the class map; in the probabilities after one for the class."""
        return (*self.index, self.rows, self.columns)


def blocks(shape: Sequence[int], edge: int) -> Iterator[Block]:
    """Cut the last two axes into squares, plane by plane and row by row."""
    height, width = shape[-2:]
    for index in np.ndindex(*shape[:-2]):
        for top, left in product(range(0, height, edge), range(0, width, edge)):
            rows = slice(top, min(top + edge, height))
            yield Block(index, rows, slice(left, min(left + edge, width)))


def _check_cells(cells: Any, shape: tuple[int, ...], dtype: str, what: str) -> None:
    """Make sure that an array has the shape and type that a map needs.

    Raises
    ------
    InputError
        When it has not.
    """
    if tuple(cells.shape) != shape or np.dtype(cells.dtype) != dtype:
        raise InputError(
            f"the {what} of a map should be {dtype} of shape {shape}, not {cells.dtype} of "
            f"shape {tuple(cells.shape)}; paint it again"
        )
