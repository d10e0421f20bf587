"""What a model predicts where the classes are known: what every metric is computed from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.evaluation.metrics import Metrics, score
from napari_lungcls.images.pyramid import read_windows
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.network.compatibility import fitting_zooms
from napari_lungcls.network.decision import predicted_class
from napari_lungcls.network.model_file import ModelDocument
from napari_lungcls.utils.printable import printable

SHOWN = 96
"""Edge of what is shown around a point, in zoomed pixels."""


class Place(NamedTuple):
    """Where something was predicted: the name of its image, and `(…, y, x)` or its number there."""

    image: str
    where: tuple[float, ...] = ()


class Seen(NamedTuple):
    """What is around one row: `(zooms, y, x, 3)`, and its places `(zooms, 2)` therein."""

    row: int
    windows: NDArray[Any]
    places: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Predictions(ABC):
    """Predictions of one model.

    Attributes
    ----------
    codes
        `(n,)` true classes.
    probabilities
        `(n, k)`, calibrated.
    scheme
        The `k` classes.
    temperature
        At which the probabilities were made.
    threshold
        Of the model, see `predicted_class`.
    """

    noun: ClassVar[str]
    """What was classified, in the plural."""

    codes: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    scheme: ClassScheme
    temperature: float = 1.0
    threshold: float | None = None

    def __len__(self) -> int:
        """Count them."""
        return len(self.codes)

    @property
    def predicted(self) -> NDArray[np.intp]:
        """`(n,)` predicted codes."""
        return predicted_class(self.probabilities, self.threshold)

    def metrics(self) -> Metrics:
        """Compare predictions and truth."""
        return score(self.codes, self.probabilities, self.scheme.names, self.threshold)

    @abstractmethod
    def places(self, rows: NDArray[np.intp]) -> list[Place]:
        """Say where some rows lie."""

    @abstractmethod
    def seen(self, document: ModelDocument, rows: NDArray[np.intp]) -> Iterator[Seen]:
        """Read what is around some rows, at the zooms of a model, in any order."""


@dataclass(frozen=True, eq=False)
class PointPredictions(Predictions):
    """Predictions of one model at the points of one or several images.

    Attributes
    ----------
    pairs
        Images with their points, `n` points in all.
    """

    noun: ClassVar[str] = "points"

    pairs: Sequence[tuple[ImageStack, Points]] = ()

    @classmethod
    def of_rows(
        cls,
        pairs: Sequence[tuple[ImageStack, Points]],
        rows: NDArray[np.intp],
        logits: NDArray[np.float64],
        document: ModelDocument,
    ) -> Self:
        """Give the predictions at some of the points of images.

        Parameters
        ----------
        pairs
            Images with all their points.
        rows
            `(n,)` which of them were predicted, counted through over all images.
        logits
            `(n, k)` before the temperature.
        document
            Of the model: classes, temperature, threshold.
        """
        order = np.argsort(rows, kind="stable")
        ends = np.cumsum([len(points) for _, points in pairs])
        each = np.split(rows[order], np.searchsorted(rows[order], ends[:-1]))
        chosen = [
            (stack, points.select(mine - (end - len(points))))
            for (stack, points), mine, end in zip(pairs, each, ends, strict=True)
            if len(mine)
        ]
        return cls(
            np.concatenate([points.codes(document.scheme) for _, points in chosen]),
            softmax(logits[order] / document.temperature, axis=1).astype(np.float32),
            document.scheme,
            document.temperature,
            document.threshold,
            chosen,
        )

    def parts(self) -> Iterator[tuple[ImageStack, Points, slice]]:
        """Give each image with its points and their rows in the arrays."""
        first = 0
        for stack, points in self.pairs:
            yield stack, points, slice(first, first + len(points))
            first += len(points)

    def places(self, rows: NDArray[np.intp]) -> list[Place]:
        """Say where some points lie."""
        every = [
            Place(printable(Path(stack.source).name), tuple(map(float, at)))
            for stack, points in self.pairs
            for at in points.coordinates
        ]
        return [every[row] for row in rows]

    def seen(self, document: ModelDocument, rows: NDArray[np.intp]) -> Iterator[Seen]:
        """Read the windows of some points, image by image."""
        for stack, points, part in self.parts():
            mine = rows[(rows >= part.start) & (rows < part.stop)]
            if not len(mine):
                continue
            # What there is to say was said when the points were predicted.
            zooms = fitting_zooms(stack, document)
            where = points.coordinates[mine - part.start]
            windows, places = read_windows(stack, where, zooms, SHOWN)
            yield from map(Seen, mine.tolist(), windows, places)
