"""What was asked of the network, in order, and what it answered. Neither Qt nor napari."""

import itertools
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_lungcls.model import Model

_numbers = itertools.count(1)


class State(Enum):
    """How far a request is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"


@dataclass(eq=False)
class Request:
    """One click or one rectangle.

    Attributes
    ----------
    image
        The image, as `stack_of` takes it.
    model
        The model that answers.
    coordinates
        `(n, ndim)` points in pixels of the image.
    size
        How large a point is to be shown, in pixels of the image.
    click
        Whether it is the one point of a click.
    state
        How far it is.
    stopped
        Set when no more answers are wanted.
    probabilities
        `(n, classes)` probabilities that have been shown.
    number
        Unique, from 1.
    """

    image: Any
    model: "Model"
    coordinates: NDArray[np.float64]
    size: float
    click: bool
    state: State = State.WAITING
    stopped: bool = False
    probabilities: NDArray[np.float32] = field(init=False)
    number: int = field(init=False, default_factory=lambda: next(_numbers))

    def __post_init__(self) -> None:
        """Begin without answers."""
        self.probabilities = np.empty((0, len(self.model.scheme)), np.float32)


@dataclass(frozen=True, eq=False)
class Answers:
    """The first `done` rows of `probabilities` are answered; a later report has them as well."""

    done: int
    probabilities: NDArray[np.float32]


def answering(request: Request, cancelled: Callable[[], bool]) -> Generator[Answers, None, Answers]:
    """Classify the points of a request, square by square.

    The first report, without answers, comes when the network is there. Reports are
    cumulative, so that some of them may be dropped on the way to the window.

    Raises
    ------
    InputError
        When image and model do not go together.
    """
    from napari_lungcls.gui.channels import stack_of
    from napari_lungcls.inference.at_points import answers_at

    model, where = request.model, request.coordinates
    probabilities = np.empty((len(where), len(model.scheme)), np.float32)
    done = 0
    predictor = model.predictor
    yield Answers(done, probabilities)
    for rows, found in answers_at(predictor, stack_of(request.image), where):
        probabilities[rows] = found
        # Points are asked in the order of their squares, see `Controller.rectangle`.
        done += len(rows)
        if request.stopped or cancelled():
            break
        yield Answers(done, probabilities)
    return Answers(done, probabilities)


class Requests:
    """A queue that is worked off one by one, and remembers what is done for undoing it."""

    def __init__(self) -> None:
        self._all: list[Request] = []

    def add(self, request: Request) -> None:
        """Put a request at the end."""
        self._all.append(request)

    def next(self) -> Request | None:
        """Give the request to work on now, if there is one and none is being worked on."""
        if self.running is not None:
            return None
        first = next((each for each in self._all if each.state is State.WAITING), None)
        if first is not None:
            first.state = State.RUNNING
        return first

    @property
    def running(self) -> Request | None:
        """The request that is being worked on; undone ones no longer are."""
        return next((each for each in self._all if each.state is State.RUNNING), None)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(each.state is State.WAITING for each in self._all)

    def of(self, image: Any) -> list[Request]:
        """Give the requests for an image, oldest first."""
        return [each for each in self._all if each.image is image]

    def __contains__(self, request: object) -> bool:
        """Tell whether a request has not been undone."""
        return any(each is request for each in self._all)

    def finish(self, request: Request) -> None:
        """Note that a request is answered as far as it will be."""
        request.state = State.DONE

    def remove(self, request: Request) -> None:
        """Forget a request; if it is being worked on, that is to end."""
        request.stopped = True
        self._all = [each for each in self._all if each is not request]

    def stop(self) -> None:
        """Ask the running request to end, and forget those that wait."""
        for request in [each for each in self._all if each.state is State.WAITING]:
            self.remove(request)
        if (running := self.running) is not None:
            running.stopped = True
