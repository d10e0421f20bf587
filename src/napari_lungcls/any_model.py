"""What models do wherever they are computed: on this computer, or by a server."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_lungcls.annotation import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.images.opening import as_stack
from napari_lungcls.images.pairs import AnyPoints, as_pairs
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.network.model_file import ModelDocument
from napari_lungcls.utils.progress import exhaust

if TYPE_CHECKING:
    from napari_lungcls.evaluation.metrics import Metrics
    from napari_lungcls.evaluation.model_card import ModelCard
    from napari_lungcls.evaluation.predictions import PointPredictions
    from napari_lungcls.inference.painted import PaintedMap
    from napari_lungcls.inference.run import PaintingProgress
    from napari_lungcls.network.suitability import Suitability

AtPoints = Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]
"""Rows of points, and their probabilities `(m, classes)`."""


class AnyModel(ABC):
    """Answers at points and paints maps, by three methods that say how.

    Attributes
    ----------
    document
        What the model file says about the network.
    """

    document: ModelDocument

    @abstractmethod
    def prepare(self) -> None:
        """Do what is done once, before the first question."""

    @abstractmethod
    def predictions_at(
        self, stack: ImageStack, coordinates: NDArray[np.float64], points: str = "the points"
    ) -> AtPoints:
        """Predict points exactly where they lie, some at a time; see `at_points`."""

    @abstractmethod
    def painted_at(
        self,
        stack: ImageStack,
        coordinates: NDArray[np.float64],
        points: str = "the points",
        *,
        stride: int,
    ) -> AtPoints:
        """Read the cells of a map under points; see `at_points.painted_at_points`."""

    @abstractmethod
    def painting(
        self, image: Any, stride: int = 4, **options: Any
    ) -> Generator[PaintingProgress, None, PaintedMap]:
        """Paint, yielding progress; the map is the generator's return value."""

    def adapted(self, image: Any) -> AnyModel:
        """Return a model that is adapted to an image, where that is possible; see `Model.adapted`.

        Raises
        ------
        InputError
            When it is not.
        """
        raise InputError(
            "a model at a server is not adapted to images",
            suggestion=({"adapt": None}, "or use the model on this computer"),
        )

    @property
    def scheme(self) -> ClassScheme:
        """The classes, in the order of the probabilities."""
        return self.document.scheme

    def card(self, name: str = "model") -> ModelCard:
        """Say what is known about the model; of a file, `ModelCard.of_file` has the checksum."""
        from napari_lungcls.evaluation.model_card import ModelCard

        return ModelCard(self.document, name)

    def suitability(self, image: Any) -> Suitability:
        """Tell whether an image looks like those that the model was trained on.

        Parameters
        ----------
        image
            Anything that `as_stack` takes.

        Raises
        ------
        InputError
            When the pixel sizes differ so much that one must be wrong.
        """
        from napari_lungcls.network.suitability import assess_image

        return assess_image(as_stack(image), self.document)

    def classify(self, image: Any, coordinates: ArrayLike) -> NDArray[np.float32]:
        """Probabilities of the classes at points: what the painted map says exactly there.

        Parameters
        ----------
        image
            Anything that `as_stack` takes.
        coordinates
            `(n, ndim)` positions `(…, y, x)` in pixels of the image.

        Returns
        -------
        ndarray, (n, classes), float32
            Rows add up to 1.

        Raises
        ------
        InputError
            When points lie outside the image, or the image does not suit the model.
        """
        try:
            where = np.asarray(coordinates, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"coordinates must be numbers, as many for each point: {error}"
            ) from error
        parts = list(self.predictions_at(as_stack(image), where))
        found = np.empty((len(where), len(self.scheme)), np.float32)
        for rows, probabilities in parts:
            found[rows] = probabilities
        return found

    def paint(
        self,
        image: Any,
        stride: int = 4,
        *,
        progress: Callable[[PaintingProgress], None] | None = None,
        **options: Any,
    ) -> PaintedMap:
        """Paint a map of the classes over an image; see `painting` for the options.

        Returns
        -------
        PaintedMap
            `classes` `(…, h, w)` uint8, 0 = not painted, else code + 1; `probabilities`
            `(k, …, h, w)` float16; `scale` and `translate` place it in the world.
        """
        return exhaust(self.painting(image, stride, **options), progress)

    def evaluate(self, image: Any, points: AnyPoints | None = None, **options: Any) -> Metrics:
        """Compare the model with labelled points; see `predictions` for the options and errors."""
        return self.predictions(image, points, **options).metrics()

    def predictions(
        self,
        image: Any,
        points: AnyPoints | None = None,
        *,
        painted: bool = False,
        stride: int = 4,
        progress: Callable[[int, int], None] | None = None,
    ) -> PointPredictions:
        """Predict labelled points.

        Parameters
        ----------
        image, points
            An image and its points, or a list of such pairs as `image` alone.
        painted
            Read the cells of the painted map under the points, not what it says exactly there.
        stride
            Image pixels between the map's cells.
        progress
            Called with the points done and in all.

        Raises
        ------
        InputError
            When a point's class is unknown, or image, points and model do not fit.
        """
        from napari_lungcls.inference.at_points import predict_pairs

        predict = partial(self.painted_at, stride=stride) if painted else self.predictions_at
        return predict_pairs(self.document, as_pairs(image, points), predict, progress=progress)
