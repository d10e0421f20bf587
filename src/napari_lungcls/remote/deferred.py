"""A model of a server that is looked for when it is first asked, as windows need it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.any_model import AnyModel, AtPoints
from napari_lungcls.errors import InputError
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.network.model_file import ModelDocument

if TYPE_CHECKING:
    from napari_lungcls.inference.painted import PaintedMap
    from napari_lungcls.inference.run import PaintingProgress
    from napari_lungcls.remote.model import RemoteModel

DECIDING = {"network", "scheme", "pixel_size", "temperature", "threshold", "created"}
"""Of a model's document, what its answers depend on, and when it was made."""


class DeferredModel(AnyModel):
    """A model that is loaded here and is to be computed by a server.

    Parameters
    ----------
    document
        What is loaded.
    path
        Its file.
    server, token_file
        See `connect`.
    """

    def __init__(
        self, document: ModelDocument, path: Path, server: str, token_file: Path | None = None
    ) -> None:
        self.document = document
        self.path, self.server, self.token_file = path, server, token_file
        self._found: RemoteModel | None = None
        self._answers, self._unwanted = threading.Lock(), False

    def prepare(self) -> None:
        """Find the model at the server, and make sure that the server is there.

        Raises
        ------
        InputError
            When it is not, or the file is not the model that is loaded.
        """
        from napari_lungcls.remote.model import connect

        if self._found is not None:
            self._found.prepare()
            return
        found = connect(self.path, self.server, token_file=self.token_file)
        if found.document.model_dump(include=DECIDING) != self.document.model_dump(
            include=DECIDING
        ):
            found.close()
            raise InputError(
                f"{self.path}: holds another model than the one that is loaded; load it again"
            )
        self._found = found

    def close(self, *, forget: bool = True) -> None:
        """Let go of the server, once the points that are asked about have their answers.

        Without `forget` nothing is sent: the server forgets the image by itself.
        """
        self._unwanted = True
        if self._answers.acquire(blocking=False):
            try:
                self._let_go(forget=forget)
            finally:
                self._answers.release()

    def _let_go(self, *, forget: bool) -> None:
        found, self._found = self._found, None
        if found is not None:
            found.close(forget=forget)

    def predictions_at(
        self, stack: ImageStack, coordinates: NDArray[np.float64], points: str = "the points"
    ) -> AtPoints:
        """Predict points as the server does, one call after the other."""
        with self._answers:
            try:
                yield from self._model().predictions_at(stack, coordinates, points)
            finally:
                if self._unwanted:
                    self._let_go(forget=False)

    def painted_at(
        self,
        stack: ImageStack,
        coordinates: NDArray[np.float64],
        points: str = "the points",
        *,
        stride: int,
    ) -> AtPoints:
        """Read the cells of the server's map under points."""
        return self._model().painted_at(stack, coordinates, points, stride=stride)

    def painting(
        self, image: Any, stride: int = 4, **options: Any
    ) -> Generator[PaintingProgress, None, PaintedMap]:
        """Paint as the server does."""
        return (yield from self._model().painting(image, stride, **options))

    def until(self, cancelled: Callable[[], bool]) -> None:
        """Give up what is sent when `cancelled` says so."""
        self._model().cancelled = cancelled

    def _model(self) -> RemoteModel:
        if self._found is None:
            self.prepare()
        assert self._found is not None
        return self._found
