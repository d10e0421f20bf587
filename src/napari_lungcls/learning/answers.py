"""What a model says at points whose classes are known: the ground of every figure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.imaging.stack import ImageStack
from napari_lungcls.learning.metrics import Metrics, score
from napari_lungcls.network.deciding import decide
from napari_lungcls.network.document import ModelDocument


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers of one model at the points of one or several images.

    Attributes
    ----------
    pairs
        Images with their points, `n` points in all.
    codes
        `(n,)` true classes.
    probabilities
        `(n, k)`, calibrated.
    scheme
        The `k` classes.
    temperature
        At which the probabilities were made.
    threshold
        Of the model, see `decide`.
    """

    pairs: Sequence[tuple[ImageStack, Points]]
    codes: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    scheme: ClassScheme
    temperature: float = 1.0
    threshold: float | None = None

    @classmethod
    def of_rows(
        cls,
        pairs: Sequence[tuple[ImageStack, Points]],
        rows: NDArray[np.intp],
        logits: NDArray[np.float64],
        document: ModelDocument,
    ) -> Self:
        """Give the answers at some of the points of images.

        Parameters
        ----------
        pairs
            Images with all their points.
        rows
            `(n,)` which of them were answered, counted through over all images.
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
            chosen,
            np.concatenate([points.codes(document.scheme) for _, points in chosen]),
            softmax(logits[order] / document.temperature, axis=1).astype(np.float32),
            document.scheme,
            document.temperature,
            document.threshold,
        )

    def __len__(self) -> int:
        """Count the points."""
        return len(self.codes)

    @property
    def predicted(self) -> NDArray[np.intp]:
        """`(n,)` codes of the answers."""
        return decide(self.probabilities, self.threshold)

    def metrics(self) -> Metrics:
        """Compare answers and truth."""
        return score(self.codes, self.probabilities, self.scheme.names, self.threshold)

    def parts(self) -> Iterator[tuple[ImageStack, Points, slice]]:
        """Give each image with its points and their rows in the arrays."""
        first = 0
        for stack, points in self.pairs:
            yield stack, points, slice(first, first + len(points))
            first += len(points)
