"""What a model says at points whose classes are known: the ground of every figure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.imaging.stack import ImageStack
from napari_lungcls.learning.metrics import Metrics, score
from napari_lungcls.network.deciding import decide


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
