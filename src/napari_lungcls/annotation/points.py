"""Labelled points: coordinates in data pixels, classes, and whatever else a table says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from napari_lungcls.annotation import tables
from napari_lungcls.annotation.columns import (
    AUDIT,
    CLASS_COLUMN,
    INDEX_COLUMN,
    SOURCE_COLUMN,
    axis_names,
)
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.annotation.validation import shown
from napari_lungcls.errors import InputError
from napari_lungcls.utils.names import KnownNames, comparable


@dataclass(frozen=True, eq=False)
class Points:
    """Points in one or several images.

    Attributes
    ----------
    coordinates
        `(n, ndim)` float64, `(…, y, x)` in data pixels of the image; pixel centres have
        integer coordinates.
    labels
        `(n,)` names of classes, or None when the table has no class column.
    table
        Every other column as text, in the order of the file. Its index says what messages
        call the rows: in a file the header is row 1, elsewhere counting begins at 0.
    source
        Where the points come from, for messages.
    columns
        Names of all columns in the order of the file, axes and class included.

    Examples
    --------
    >>> points = lc.Points.build([[10, 20], [30, 40]], ["septa", "alveoli"], observer="A")
    >>> len(points), points.ndim, points.columns
    (2, 2, ('index', 'axis-0', 'axis-1', 'class', 'observer'))
    >>> points.select(points.labels == "septa").coordinates
    array([[10., 20.]])
    >>> points.codes(lc.ClassScheme.preset("lung"))
    array([1, 0])
    """

    coordinates: NDArray[np.float64]
    labels: NDArray[np.object_] | None
    table: pd.DataFrame
    source: str
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Put the columns into the usual order when none was given."""
        if not self.columns:
            extra = [name for name in self.table.columns if name != INDEX_COLUMN]
            order = [
                *([INDEX_COLUMN] if INDEX_COLUMN in self.table.columns else []),
                *axis_names(self.ndim),
                *([CLASS_COLUMN] if self.labels is not None else []),
                *extra,
            ]
            object.__setattr__(self, "columns", tuple(order))

    @classmethod
    def build(
        cls,
        coordinates: ArrayLike,
        labels: ArrayLike | None = None,
        **columns: ArrayLike,
    ) -> Self:
        """Make points from arrays.

        Parameters
        ----------
        coordinates
            `(n, ndim)` with ndim of at least 2, `(…, y, x)` in data pixels.
        labels
            `(n,)` names of classes.
        **columns
            More columns, `(n,)` or one value for all; kept as text.

        Raises
        ------
        InputError
            When a coordinate is not finite or the shapes do not fit together.
        """
        array = np.array(coordinates, dtype=np.float64)
        if array.ndim != 2 or array.shape[1] < 2:
            raise InputError(
                f"points: coordinates of shape {array.shape}; give (n, ndim) with ndim >= 2"
            )
        bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
        if bad.size:
            raise InputError(
                f"points, row {bad[0]}: {array[bad[0]].tolist()} is not a finite position; "
                "remove the point"
            )
        table = pd.DataFrame({INDEX_COLUMN: pd.Series(map(str, range(len(array))), dtype=object)})
        points = cls(array, None, table, "points")
        if labels is not None:
            points = points.with_columns(**{CLASS_COLUMN: labels})
        return points.with_columns(**columns)

    def __len__(self) -> int:
        """Count the points."""
        return len(self.coordinates)

    @property
    def ndim(self) -> int:
        """Number of axes of a coordinate."""
        return int(self.coordinates.shape[1])

    def select(self, which: ArrayLike) -> Self:
        """Keep the points of a boolean mask `(n,)` or of integer positions, in their order."""
        keep = np.asarray(which)
        index = np.flatnonzero(keep) if keep.dtype == bool else keep.astype(np.intp)
        if keep.dtype == bool and keep.shape != (len(self),):
            raise ValueError(f"a mask of shape {keep.shape} for {len(self)} points")
        return replace(
            self,
            coordinates=self.coordinates[index],
            labels=None if self.labels is None else self.labels[index],
            table=self.table.iloc[index],
        )

    def column(self, name: str) -> NDArray[np.object_] | None:
        """Give the texts of a column `(n,)`, `class` included, or None when there is none."""
        if name == CLASS_COLUMN:
            return self.labels
        if name not in self.table.columns:
            return None
        return self.table[name].to_numpy(dtype=object)

    @property
    def is_audit(self) -> NDArray[np.bool_]:
        """Whether a design drew each point, `(n,)`; nothing is to be trained on such points."""
        sources = self.column(SOURCE_COLUMN)
        if sources is None:
            return np.zeros(len(self), np.bool_)
        audit = {text: comparable(text).casefold() == AUDIT for text in set(sources)}
        return np.array([audit[text] for text in sources], np.bool_)

    def with_columns(self, **columns: ArrayLike) -> Self:
        """Add columns at the end, or replace those that are there; values become text.

        Parameters
        ----------
        **columns
            `(n,)` values or one value for all, by name; `class` gives the labels. Numbers
            are written so that reading them gives the same number; None becomes empty.

        Raises
        ------
        InputError
            When the length is wrong or the name is that of a coordinate.
        """
        labels, table, header = self.labels, self.table.copy(), list(self.columns)
        for name, values in columns.items():
            if name in axis_names(self.ndim):
                raise InputError(f"{self.source}: {name} is a coordinate; name the column anew")
            texts = self._texts(name, values)
            if name == CLASS_COLUMN:
                labels = texts
            else:
                table[name] = pd.Series(texts, index=table.index, dtype=object)
            if name not in header:
                header.append(name)
        return replace(self, labels=labels, table=table, columns=tuple(header))

    def codes(self, scheme: ClassScheme) -> NDArray[np.int64]:
        """Give the code of every point's class in `scheme`, `(n,)`.

        Raises
        ------
        InputError
            When there are no classes, a point has none, or one is not in the scheme.
        """
        known = ", ".join(scheme.names)
        if self.labels is None:
            raise InputError(
                f"{self.source}: there is no column {CLASS_COLUMN!r}; add it with one of {known}"
            )
        names = KnownNames(scheme.names, "class")
        places = {label: names.place(label, self.source) for label in dict.fromkeys(self.labels)}
        codes = {label: -1 if place is None else place for label, place in places.items()}
        found = np.array([codes[label] for label in self.labels], dtype=np.int64)
        bad = np.flatnonzero(found < 0)
        if bad.size:
            label = self.labels[bad[0]]
            empty = not comparable(label)
            problem = "the class is empty" if empty else f"class {shown(label)} is unknown"
            more = f" (and {bad.size - 1} more rows)" if bad.size > 1 else ""
            raise InputError(
                f"{self.source}, row {self.table.index[bad[0]]}: {problem}{more}; the scheme "
                f"{shown(scheme.name)} has {known}",
                suggestion=("correct the table, or", {"classes": ...}, "for a scheme that has it"),
            )
        return found

    def _texts(self, name: str, values: ArrayLike) -> NDArray[np.object_]:
        scalar = pd.api.types.is_scalar(values)
        items = [values] * len(self) if scalar else list(cast(Iterable[Any], values))
        if len(items) != len(self):
            raise InputError(
                f"{self.source}: column {shown(name)} has {len(items)} values for {len(self)} "
                "points; give one for each"
            )
        texts = np.empty(len(self), dtype=object)
        texts[:] = [tables.as_text(item) for item in items]
        return texts


def points_of_features(
    coordinates: ArrayLike, features: Any, name: str, *, rename: bool = False
) -> Points:
    """Give what a layer of points holds as a table of points.

    Parameters
    ----------
    coordinates
        `(n, ndim)` data of the layer.
    features
        Its features, `class` among them: a data frame, or what makes one.
    name
        Name of the layer, for messages.
    rename
        Whether a feature named like a coordinate is renamed to `feature axis-0` and so on; it is
        refused otherwise.

    Raises
    ------
    InputError
        When a feature is named like a coordinate, or a coordinate is not finite.
    """
    table = pd.DataFrame(features)
    columns = {str(column): table[column].to_numpy(dtype=object) for column in table}
    points = Points.build(coordinates, columns.pop(CLASS_COLUMN, None))
    for taken in set(axis_names(points.ndim)) & set(columns):
        if not rename:
            raise InputError(f"layer {name!r}: rename the feature {taken!r}, a coordinate's name")
        free = f"feature {taken}"
        while free in columns:
            free = f"feature {free}"
        columns[free] = columns.pop(taken)
    return replace(points.with_columns(**columns), source=f"layer {name!r}")


def join_points(tables: Sequence[Points]) -> Points:
    """Put tables below each other; columns that one lacks stay empty there.

    The column `index` counts anew. Points keep their classes if each table has some.

    Raises
    ------
    InputError
        When the coordinates have different numbers of axes.
    """
    first = tables[0]
    for other in tables[1:]:
        if other.ndim != first.ndim:
            raise InputError(
                f"{first.source} has {first.ndim} axes and {other.source} {other.ndim}; points "
                "in planes and in stacks cannot share a table, so name them one at a time"
            )
    coordinates = np.concatenate([points.coordinates for points in tables])
    texts = pd.concat([points.table for points in tables], ignore_index=True).fillna("")
    texts[INDEX_COLUMN] = [str(i) for i in range(len(coordinates))]
    labels = [points.labels for points in tables if points.labels is not None]
    return Points(
        coordinates,
        np.concatenate(labels) if len(labels) == len(tables) else None,
        texts.astype(object),
        first.source,
    )
