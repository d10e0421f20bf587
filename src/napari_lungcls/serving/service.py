"""What the routes of a server share, and how one classification goes through it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from fastapi import Request
from numpy.typing import NDArray

from napari_lungcls.images.stack import ImageStack
from napari_lungcls.inference.at_points import PointBatch
from napari_lungcls.network.compatibility import remarks
from napari_lungcls.serving.budget import Budget
from napari_lungcls.serving.dispatcher import Busy, Dispatcher
from napari_lungcls.serving.errors import Refusal
from napari_lungcls.serving.jobs import PaintJobs
from napari_lungcls.serving.kept_images import KeptImages
from napari_lungcls.serving.metrics import ServerMetrics
from napari_lungcls.serving.models import ServedModel, ServedModels
from napari_lungcls.serving.options import ServerOptions
from napari_lungcls.serving.requests import ImageOpener, positions

LOOK_EVERY = 0.25
"""Seconds between two looks whether the client is still there."""


@dataclass(frozen=True, eq=False)
class Classified:
    """Probabilities `(n, classes)` of points, and what is to be said about the image."""

    probabilities: NDArray[np.float32]
    notes: list[str]


@dataclass(eq=False)
class Service:
    """A server without its routes; attributes are named like their classes."""

    models: ServedModels
    options: ServerOptions
    dispatcher: Dispatcher
    jobs: PaintJobs
    images: KeptImages
    metrics: ServerMetrics
    requests: Budget
    pixels: Budget
    ending: bool = False

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Take part in the line from the first byte on.

        Raises
        ------
        Refusal
            503 with `Retry-After` if it is full.
        """
        try:
            if self.ending:
                raise Busy
            with self.requests.take(1):
                yield
        except Busy:
            raise self.busy() from None

    def busy(self) -> Refusal:
        """Say that there is too much to do."""
        seconds = self.dispatcher.wait_estimate()
        return Refusal(
            503, "too many requests wait", f"try again in {seconds} s", retry_after=seconds
        )

    async def classify(
        self,
        request: Request,
        model: ServedModel,
        image: ImageOpener,
        coordinates: list[list[float]] | None,
    ) -> Classified:
        """Classify points while the client waits.

        Raises
        ------
        Refusal
            If the time is up, or the client has gone.
        InputError
            If image, points and model do not go together.
        """
        gone = threading.Event()
        work = asyncio.ensure_future(
            asyncio.to_thread(self._classify, model, image, coordinates, gone)
        )
        loop = asyncio.get_running_loop()
        end = loop.time() + self.options.timeout
        while not work.done():
            await asyncio.wait({work}, timeout=LOOK_EVERY)
            late = loop.time() > end
            if not work.done() and (late or await request.is_disconnected()):
                gone.set()
                await asyncio.wait({work})
                work.exception()
                status = 504 if late else 499
                words = f"it took more than {self.options.timeout:g} s" if late else "cancelled"
                raise Refusal(status, words, "send fewer points" if late else "")
        found = await work
        self.metrics.points.inc(len(found.probabilities))
        return found

    def _classify(
        self,
        model: ServedModel,
        image: ImageOpener,
        coordinates: list[list[float]] | None,
        gone: threading.Event,
    ) -> Classified:
        with image() as stack:
            where = positions(coordinates, stack, self.options)
            found = self._predicted(model, stack, where, gone)
            return Classified(found, remarks(stack, model.model.document))

    def _predicted(
        self,
        model: ServedModel,
        stack: ImageStack,
        where: NDArray[np.float64],
        gone: threading.Event,
    ) -> NDArray[np.float32]:
        batch = PointBatch(stack, where, gone.is_set)
        found = self.dispatcher.submit(model.model, batch).result()
        if found is None:
            raise Refusal(499, "cancelled")
        return found
