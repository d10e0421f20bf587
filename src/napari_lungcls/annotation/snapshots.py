"""What a layer of points holds at one moment: coordinates and every column, unchangeable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from napari_lungcls.annotation.columns import CLASS_COLUMN, axis_name
from napari_lungcls.annotation.points import Points

Cells = NDArray[np.object_]
"""Values of a column: text, whole numbers, numbers, truth values, and None for missing."""

Positions = NDArray[np.intp]
"""Places of rows, rising."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The rows of a points layer at one moment; make it with `build`.

    Attributes
    ----------
    coordinates
        `(n, ndim)` float64, read-only.
    columns
        `(n,)` cells by name, `class` and `source` among them, read-only.
    """

    coordinates: NDArray[np.float64]
    columns: Mapping[str, Cells]

    @classmethod
    def build(cls, coordinates: ArrayLike, columns: Mapping[str, Iterable[Any]]) -> Self:
        """Copy coordinates and columns; NaN and the like become None.

        Raises
        ------
        ValueError
            When a column is not as long as the coordinates.
        """
        where = np.array(coordinates, dtype=np.float64)
        cells = {name: as_cells(values) for name, values in columns.items()}
        for name, column in cells.items():
            if len(column) != len(where):
                raise ValueError(f"column {name!r}: {len(column)} cells for {len(where)} points")
        return cls.of_arrays(where, cells)

    @classmethod
    def empty(cls, ndim: int, columns: Iterable[str] = ()) -> Self:
        """Give the snapshot of a layer without points."""
        return cls.build(np.empty((0, ndim)), {name: [] for name in columns})

    @classmethod
    def of_arrays(cls, where: NDArray[np.float64], columns: Mapping[str, Cells]) -> Self:
        """Take arrays that nobody else will change; their cells must be clean."""
        for array in (where, *columns.values()):
            array.setflags(write=False)
        return cls(where, MappingProxyType(dict(columns)))

    def __len__(self) -> int:
        """Count the points."""
        return len(self.coordinates)

    @property
    def ndim(self) -> int:
        """Number of axes of a coordinate."""
        return int(self.coordinates.shape[1])

    @property
    def classes(self) -> Cells:
        """Names of the classes, None where a point has none."""
        return self.column(CLASS_COLUMN)

    def column(self, name: str) -> Cells:
        """Give a column; one that is not there has no values."""
        found = self.columns.get(name)
        return np.full(len(self), None, dtype=object) if found is None else found

    def rows(self, positions: Positions) -> Snapshot:
        """Give some rows in their order."""
        return Snapshot.of_arrays(
            self.coordinates[positions],
            {name: column[positions] for name, column in self.columns.items()},
        )

    def same(self, other: Snapshot) -> bool:
        """Tell whether another snapshot holds the same points in the same order."""
        return (
            self.coordinates.shape == other.coordinates.shape
            and set(self.columns) == set(other.columns)
            and np.array_equal(self.coordinates, other.coordinates, equal_nan=True)
            and all(
                not different(column, other.columns[name]).size
                for name, column in self.columns.items()
            )
        )

    def renamed(self, names: Mapping[str, str]) -> Snapshot:
        """Give the same points with classes called by their new names."""
        return self.with_column(CLASS_COLUMN, renamed(self.classes, names))

    def with_column(self, name: str, cells: Cells) -> Snapshot:
        """Give the same points with another column of this name."""
        return Snapshot.of_arrays(self.coordinates, {**self.columns, name: cells.copy()})

    def points(self) -> Points:
        """Give a table of the points; what is missing becomes empty text.

        A column that has a coordinate's name is called `feature axis-0` and so on.
        """
        columns: dict[str, Any] = {name: list(column) for name, column in self.columns.items()}
        labels = columns.pop(CLASS_COLUMN, None)
        for name in [axis_name(axis) for axis in range(self.ndim)]:
            if name in columns:
                free = f"feature {name}"
                while free in columns:
                    free = f"feature {free}"
                columns[free] = columns.pop(name)
        return Points.build(self.coordinates, labels).with_columns(**columns)


def as_cells(values: Iterable[Any]) -> Cells:
    """Copy values into an array of cells."""
    if isinstance(values, pd.Series):
        kept = values.array
        values = kept if isinstance(kept, pd.Categorical) else values.astype(object).tolist()
    if isinstance(values, pd.Categorical):
        kinds = np.empty(len(values.categories) + 1, dtype=object)
        kinds[:-1] = [_cell(kind) for kind in values.categories]
        return np.asarray(kinds[values.codes])
    # Nearly all cells are text: with 10,000 points the call of a function counts.
    items = [v if type(v) is str or v is None else _cell(v) for v in values]
    cells = np.empty(len(items), dtype=object)
    cells[:] = items
    return cells


def different(first: Cells, second: Cells) -> Positions:
    """Give the places where two columns of one length differ; 1, 1.0 and True do differ."""
    unlike = np.asarray(first != second, dtype=bool)
    unlike |= np.fromiter(map(type, first), object, len(first)) != np.fromiter(
        map(type, second), object, len(second)
    )
    return np.flatnonzero(unlike)


def renamed(cells: Cells, names: Mapping[str, str]) -> Cells:
    """Give cells in which the keys of `names` are replaced by its values."""
    found = cells.copy()
    found[:] = [names.get(cell, cell) if isinstance(cell, str) else cell for cell in cells]
    return found


def _cell(value: Any) -> str | int | float | bool | None:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return None
    return value if isinstance(value, str | int | float | bool) else str(value)
