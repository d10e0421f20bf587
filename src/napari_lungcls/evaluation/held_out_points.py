"""The held-out points that a model file tells of: cells of the confusion matrix, worst mistakes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.network.decision import predicted_class
from napari_lungcls.network.known_points import Part
from napari_lungcls.network.model_file import ModelDocument


class PointPlace(NamedTuple):
    """Where a point lies: name and shape of its image, and `(…, y, x)` in pixels."""

    image: str
    shape: tuple[int, ...]
    where: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class HeldOutPoints:
    """Points that a network had not seen, and what it predicted there.

    Attributes
    ----------
    places
        Where each of the `n` points lies.
    truth, predicted
        `(n,)` codes of classes.
    probabilities
        `(n, k)`.
    """

    places: tuple[PointPlace, ...]
    truth: NDArray[np.int64]
    predicted: NDArray[np.intp]
    probabilities: NDArray[np.float64]

    @classmethod
    def of(cls, document: ModelDocument, part: Part = "validation") -> Self | None:
        """Take them from the document of a model; None if it does not tell of its points."""
        if document.points is None:
            return None
        rows = [
            (PointPlace(image.name, image.shape, where), truth, shares)
            for image in document.points.images
            for where, of, truth, shares in zip(
                image.held_out, image.parts, image.truth, image.probabilities, strict=True
            )
            if of == part
        ]
        count = len(document.scheme)
        probabilities = np.array([shares for *_, shares in rows], float).reshape(-1, count)
        return cls(
            tuple(place for place, *_ in rows),
            np.array([truth for _, truth, _ in rows], np.int64),
            predicted_class(probabilities, document.threshold),
            probabilities,
        )

    def __len__(self) -> int:
        """Count the points."""
        return len(self.places)

    def in_cell(self, truth: int, predicted: int) -> NDArray[np.intp]:
        """Give the rows of the points in a cell of the confusion matrix."""
        return np.flatnonzero((self.truth == truth) & (self.predicted == predicted))

    def wrong_of(self, truth: int) -> NDArray[np.intp]:
        """Give the rows of a class's points that were called something else."""
        return np.flatnonzero((self.truth == truth) & (self.predicted != truth))

    def worst(self, most: int) -> NDArray[np.intp]:
        """Give the rows of the worst mistakes: wrong, and the surest of it first."""
        wrong = np.flatnonzero(self.truth != self.predicted)
        sure = self.confidence[wrong]
        return wrong[np.argsort(-sure, kind="stable")][:most]

    @property
    def confidence(self) -> NDArray[np.float64]:
        """`(n,)` probability of the class that was predicted."""
        return self.probabilities[np.arange(len(self)), self.predicted]
