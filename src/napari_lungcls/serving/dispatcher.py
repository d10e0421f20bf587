"""One thread that predicts: what waits together is predicted together, and the line is short."""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.inference.at_points import PointBatch, predict_together
from napari_lungcls.model import Model
from napari_lungcls.network.engines import Painting

Probabilities = NDArray[np.float32]


class Busy(Exception):
    """Too many requests wait."""


@dataclass(eq=False)
class _Waiting:
    model: Model
    batch: PointBatch
    future: Future[Probabilities | None] = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)


class Dispatcher:
    """Predicts points for many clients with one network at a time.

    Parameters
    ----------
    capacity
        Requests that wait or run; `submit` refuses one more.
    together
        Requests that are predicted at once.

    Attributes
    ----------
    batches, requests
        How many were predicted.
    """

    def __init__(self, capacity: int, together: int) -> None:
        self._capacity, self._together = capacity, together
        self._waiting: deque[_Waiting] = deque()
        self._running = 0
        self._changed = threading.Condition()
        self._closing = False
        self._paintings: dict[int, tuple[Model, Painting]] = {}
        self.batches = self.requests = 0
        self.seconds = 0.0
        self._thread = threading.Thread(target=self._run, name="lungcls-predict", daemon=True)
        self._thread.start()

    @property
    def depth(self) -> int:
        """Number of requests that wait or run."""
        return len(self._waiting) + self._running

    def wait_estimate(self) -> int:
        """Estimate in how many seconds the line will be shorter; at least 1."""
        each = self.seconds / self.requests if self.requests else 0.2
        return max(1, round(each * self.depth / 2))

    def submit(self, model: Model, batch: PointBatch) -> Future[Probabilities | None]:
        """Put points in the line; the result is None if they were cancelled.

        Raises
        ------
        Busy
            If the line is full, or the server ends.
        """
        with self._changed:
            if self._closing or self.depth >= self._capacity:
                raise Busy
            waiting = _Waiting(model, batch)
            self._waiting.append(waiting)
            self._changed.notify_all()
        return waiting.future

    def close(self, timeout: float | None = None) -> None:
        """Finish what was accepted, and take nothing more."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout)

    def _run(self) -> None:
        while batch := self._next():
            began = time.monotonic()
            model = batch[0].model
            found: list[Any]
            try:
                points = [each.batch for each in batch]
                found = list(predict_together(model.predictor, self._painting(model), points))
            except Exception as error:  # a defect must not end the thread
                found = [error] * len(batch)
            with self._changed:
                self._running = 0
                self.batches += 1
                self.requests += len(batch)
                self.seconds += time.monotonic() - began
            for each, result in zip(batch, found, strict=True):
                if isinstance(result, InputError | Exception):
                    each.future.set_exception(result)
                else:
                    each.future.set_result(result)

    def _next(self) -> list[_Waiting]:
        """Wait for requests of one model; none at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            if not self._waiting:
                return []
            model = self._waiting[0].model
            own = [each for each in self._waiting if each.model is model][: self._together]
            self._waiting = deque(each for each in self._waiting if each not in own)
            self._running = len(own)
            return own

    def _painting(self, model: Model) -> Painting:
        """Fold a model's network once: in fp32, as the command line does at points."""
        if id(model) not in self._paintings:
            self._paintings[id(model)] = model, model.engine.painting("fp32")
        return self._paintings[id(model)][1]
