"""The queue of clicks and rectangles, and their predictions. Neither Qt nor napari."""

import itertools
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.remote.deferred import DeferredModel

if TYPE_CHECKING:
    from napari_lungcls.any_model import AnyModel

_numbers = itertools.count(1)


class RequestState(Enum):
    """The state of a request."""

    WAITING = auto()
    RUNNING = auto()
    DONE = auto()


@dataclass(eq=False)
class PointRequest:
    """One click or rectangle.

    Attributes
    ----------
    image
        The image, as `stack_of` takes it.
    model
        The model that predicts.
    coordinates
        Points in pixels of the image, `(n, ndim)`.
    size
        Displayed size of a point in pixels of the image.
    click
        Whether it is the one point of a click.
    state
        Whether it waits, runs or is done.
    stopped
        Set when no more predictions are wanted.
    probabilities
        Predictions that are shown, `(n, classes)`.
    number
        Unique, from 1.
    """

    image: Any
    model: "AnyModel"
    coordinates: NDArray[np.float64]
    size: float
    click: bool
    state: RequestState = RequestState.WAITING
    stopped: bool = False
    probabilities: NDArray[np.float32] = field(init=False)
    number: int = field(init=False, default_factory=lambda: next(_numbers))

    def __post_init__(self) -> None:
        """Start without predictions."""
        self.probabilities = np.empty((0, len(self.model.scheme)), np.float32)


Predictions = NDArray[np.float32]
"""Probabilities `(n, classes)` of the first `n` points of a request."""


def predict(
    request: PointRequest, cancelled: Callable[[], bool]
) -> Generator[Predictions, None, Predictions]:
    """Classify the points of a request, square by square.

    Yields and returns the predictions so far. The first report is empty and comes when the
    network is loaded. Reports are cumulative, so some may be skipped.

    Raises
    ------
    InputError
        If the image does not fit the model.
    """
    from napari_lungcls.gui.image_layer import stack_of

    model, where = request.model, request.coordinates
    probabilities = np.empty((len(where), len(model.scheme)), np.float32)
    done = 0
    model.prepare()
    if isinstance(model, DeferredModel):
        model.until(lambda: request.stopped or cancelled())
    yield probabilities[:done]
    for rows, found in model.predictions_at(stack_of(request.image), where):
        probabilities[rows] = found
        # The points are in the order of their squares, see `Controller.rectangle`.
        done += len(rows)
        if request.stopped or cancelled():
            break
        yield probabilities[:done]
    return probabilities[:done]


class Requests:
    """A queue that is processed one by one; finished requests stay so they can be undone."""

    def __init__(self) -> None:
        self._all: list[PointRequest] = []

    def add(self, request: PointRequest) -> None:
        """Append a request."""
        self._all.append(request)

    def next(self) -> PointRequest | None:
        """Start the next request, unless one is running or none waits."""
        if self.running is not None:
            return None
        first = next((each for each in self._all if each.state is RequestState.WAITING), None)
        if first is not None:
            first.state = RequestState.RUNNING
        return first

    @property
    def running(self) -> PointRequest | None:
        """The running request, unless it was undone."""
        return next((each for each in self._all if each.state is RequestState.RUNNING), None)

    @property
    def waiting(self) -> int:
        """Number of waiting requests."""
        return sum(each.state is RequestState.WAITING for each in self._all)

    def of(self, image: Any) -> list[PointRequest]:
        """Give the requests for an image, oldest first."""
        return [each for each in self._all if each.image is image]

    def __contains__(self, request: object) -> bool:
        """Tell whether a request is in the queue and not undone."""
        return any(each is request for each in self._all)

    def finish(self, request: PointRequest) -> None:
        """Mark a request as done."""
        request.state = RequestState.DONE

    def remove(self, request: PointRequest) -> None:
        """Remove a request, and stop it if it is running."""
        request.stopped = True
        self._all = [each for each in self._all if each is not request]

    def stop(self) -> None:
        """Stop the running request, and remove those that wait."""
        for request in [each for each in self._all if each.state is RequestState.WAITING]:
            self.remove(request)
        if (running := self.running) is not None:
            running.stopped = True
