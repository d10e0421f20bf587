"""An audit: test points and lines answered one after another, blind, and saved at every answer."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation.columns import (
    CLASS_COLUMN,
    CROSSINGS_COLUMN,
    IMAGE_COLUMN,
    LINE_LENGTH_COLUMN,
    OBSERVER_COLUMN,
    ORDER_COLUMN,
)
from napari_lungcls.annotation.files import read_points, write_points
from napari_lungcls.annotation.points import Points
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.evaluation.agreement import PairAgreement, pair_agreement
from napari_lungcls.stereology.column_reading import whole_column
from napari_lungcls.stereology.design_check import check_design
from napari_lungcls.stereology.lines import segments
from napari_lungcls.utils.names import comparable

Kind = Literal["class", "crossings"]

_NOTHING = ""


@dataclass(frozen=True, eq=False)
class AuditQuestion:
    """What is asked next.

    Attributes
    ----------
    row
        The test point in the table.
    kind
        `class` of the test point, or the number of `crossings` of its line with a surface.
    image
        Name of the image, as the table has it.
    position
        `(ndim,)`, `(…, y, x)` in data pixels.
    line
        Ends of the line `(2, 2)`, `(y, x)` in data pixels, where crossings are asked.
    """

    row: int
    kind: Kind
    image: str
    position: NDArray[np.float64]
    line: NDArray[np.float64] | None = None


class Audit:
    """Goes through the test points of a design, each once, in the design's random order.

    Neither the place nor the image before tells anything then. What is asked is never shown with
    a map, a count or a group.

    Parameters
    ----------
    points
        Of a design; what is answered already stays.
    scheme
        The classes that answers may name.
    path
        Where the table is saved at every answer; not at all if not given.
    observer
        Who answers; fills the column `observer`.

    Raises
    ------
    InputError
        When the points are those of no design, see `check_design`, or an answer is unknown.

    Examples
    --------
    >>> points = lc.make_grid([lc.SampledImage("section.ome.tif", (192, 192))], 48)
    >>> audit = lc.Audit(points, lc.ClassScheme.preset("lung"))
    >>> audit.question.kind, audit.total
    ('class', 18)
    >>> audit.answer("septa")
    >>> audit.done, audit.undo().kind, audit.done
    (1, 'class', 0)
    """

    def __init__(
        self,
        points: Points,
        scheme: ClassScheme,
        path: str | os.PathLike[str] | None = None,
        observer: str = "",
    ) -> None:
        check_design(points)
        self.scheme, self.path = scheme, None if path is None else Path(path)
        if observer:
            points = points.with_columns(**{OBSERVER_COLUMN: observer})
        self._points = points
        self._labels = _texts(points, CLASS_COLUMN)
        self._crossings = _texts(points, CROSSINGS_COLUMN)
        self._images = _texts(points, IMAGE_COLUMN)
        has_lines = points.column(LINE_LENGTH_COLUMN) is not None
        self._lines = np.stack(segments(points), axis=1) if has_lines else None
        self._check()
        every: list[tuple[int, Kind]] = []
        for row in np.argsort(whole_column(points, ORDER_COLUMN), kind="stable").tolist():
            every.append((row, "class"))
            if has_lines:
                every.append((row, "crossings"))
        self.total = len(every)
        self._open = deque(key for key in every if not self._column(key[1])[key[0]])
        self._past: list[tuple[tuple[int, Kind], bool]] = []

    @classmethod
    def open(cls, path: str | os.PathLike[str], scheme: ClassScheme, observer: str = "") -> Self:
        """Open a table of test points, and go on where its answers end.

        Raises
        ------
        InputError
            As of `read_points` and `check_design`.
        """
        return cls(read_points(path), scheme, path, observer)

    @property
    def done(self) -> int:
        """Number of questions that are answered."""
        return self.total - len(self._open)

    @property
    def points(self) -> Points:
        """The test points with the answers so far."""
        points = self._points.with_columns(**{CLASS_COLUMN: self._labels})
        if self._lines is not None:
            points = points.with_columns(**{CROSSINGS_COLUMN: self._crossings})
        return points

    @property
    def question(self) -> AuditQuestion | None:
        """What is asked now; None when all is answered."""
        if not self._open:
            return None
        row, kind = self._open[0]
        line = None if kind == "class" or self._lines is None else self._lines[row]
        return AuditQuestion(row, kind, self._images[row], self._points.coordinates[row], line)

    def answer(self, value: str | int) -> None:
        """Answer the question with the name of a class or a number of crossings, and save.

        Raises
        ------
        InputError
            When it is no answer to the question, or the table cannot be saved; nothing is
            answered then.
        """
        if not self._open:
            raise InputError("every test point is answered")
        row, kind = key = self._open[0]
        text = self._valid(kind, value)
        self._column(kind)[row] = text
        try:
            self.save()
        except InputError:
            self._column(kind)[row] = _NOTHING
            raise
        self._open.popleft()
        self._past.append((key, True))

    def skip(self) -> None:
        """Leave the question for the end."""
        if self._open:
            self._past.append((self._open[0], False))
            self._open.rotate(-1)

    def undo(self) -> AuditQuestion | None:
        """Take back the last answer or skip of this session, and ask it again.

        Raises
        ------
        InputError
            When the table cannot be saved.
        """
        if not self._past:
            return self.question
        (row, kind), was_answered = self._past.pop()
        if was_answered:
            self._column(kind)[row] = _NOTHING
            self._open.appendleft((row, kind))
            self.save()
        else:
            self._open.remove((row, kind))
            self._open.appendleft((row, kind))
        return self.question

    def save(self) -> None:
        """Write the table, aside first.

        Raises
        ------
        InputError
            When it cannot be written.
        """
        if self.path is not None:
            write_points(self.path, self.points)

    def _column(self, kind: Kind) -> NDArray[np.object_]:
        return self._labels if kind == "class" else self._crossings

    def _valid(self, kind: Kind, value: str | int) -> str:
        if kind == "class":
            return self.scheme.names[self.scheme.code(str(value))]
        text = str(value).strip()
        if not text.isdecimal():
            raise InputError(f"{value!r} is no number of crossings; give 0, 1, 2, …")
        return str(int(text))

    def _check(self) -> None:
        """Refuse answers that are there and cannot be meant."""
        for row, (label, crossed) in enumerate(zip(self._labels, self._crossings, strict=True)):
            for kind, text in (("class", label), ("crossings", crossed)):
                if not text:
                    continue
                try:
                    self._valid(kind, text)  # type: ignore[arg-type]
                except InputError as error:
                    where = f"{self._points.source}, row {self._points.table.index[row]}"
                    raise InputError(f"{where}: {error.problem}; correct the table") from error


def repeatability(points: Points, scheme: ClassScheme, seed: int = 0) -> PairAgreement | None:
    """Compare the answers at places that were asked twice: the observer's own error.

    Parameters
    ----------
    points
        Of a design, answered.
    scheme
        The classes.
    seed
        Of the bootstrap.

    Returns
    -------
    PairAgreement or None
        None when no place was answered twice.

    Raises
    ------
    InputError
        When the points are those of no design, or a class is unknown.
    """
    pairs = check_design(points).repeats
    if points.labels is None:
        return None
    answered = np.array([bool(comparable(text)) for text in points.labels])
    pairs = pairs[answered[pairs].all(axis=1)]
    if not len(pairs):
        return None
    before, again = (points.select(rows).codes(scheme) for rows in pairs.T)
    return pair_agreement(
        ("first", before), ("again", again), scheme.names, unmatched=(0, 0), seed=seed
    )


def _texts(points: Points, name: str) -> NDArray[np.object_]:
    """Give a column without surrounding space; empty texts where there is none."""
    column = points.column(name)
    found = np.full(len(points), _NOTHING, object)
    if column is not None:
        found[:] = [text.strip() if comparable(text) else _NOTHING for text in column]
    return found
