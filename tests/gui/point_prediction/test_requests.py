"""The queue, and the generator that answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from napari_lungcls.errors import InputError
from napari_lungcls.gui.point_prediction.requests import (
    PointRequest,
    Predictions,
    Requests,
    RequestState,
    predict,
)


def never() -> bool:
    return False


def answers(
    request: PointRequest, cancelled: Callable[[], bool] = never
) -> tuple[list[Predictions], Predictions]:
    steps, generator = [], predict(request, cancelled)
    while True:
        try:
            steps.append(next(generator))
        except StopIteration as end:
            return steps, end.value


@pytest.fixture
def ask(model, halves) -> Callable[..., PointRequest]:
    def make(where: Any = ((60, 40), (60, 120)), image: Any = halves) -> PointRequest:
        return PointRequest(image, model, np.array(where, float), 10.0, click=len(where) == 1)

    return make


@pytest.mark.usefixtures("small_squares")
def test_reports_are_cumulative_and_the_first_says_that_the_network_is_there(ask, model, halves):
    grid = np.array([(y, x) for y in (5, 25) for x in (10, 30, 90) for _ in range(4)], float)
    request = ask(grid)
    steps, last = answers(request)
    assert [len(step) for step in steps] == [0, 4, 8, 12, 16, 20, 24]
    assert len(last) == 24
    np.testing.assert_array_equal(last, model.classify(halves, grid))
    assert set(last.argmax(axis=1)) == {0, 1}


@pytest.mark.usefixtures("small_squares")
@pytest.mark.parametrize("how", ["stopped", "cancelled"])
def test_it_ends_after_the_square_in_which_it_is_told_to(ask, how):
    request = ask([[50.0, 50.0]] * 30 + [[50.0, 70.0]] * 10)
    request.stopped = how == "stopped"
    steps, last = answers(request, lambda: how == "cancelled")
    assert [len(step) for step in steps] == [0]
    assert len(last) == 30


def test_an_image_that_does_not_suit_the_model_is_refused(ask):
    with pytest.raises(InputError, match="outside"):
        answers(ask([[500.0, 10.0]]))


def test_requests_are_worked_off_one_by_one_in_order(ask):
    requests, asked = Requests(), [ask() for _ in range(3)]
    for each in asked:
        requests.add(each)
    assert requests.next() is asked[0]
    assert requests.next() is None
    assert (requests.running, requests.waiting) == (asked[0], 2)
    requests.finish(asked[0])
    assert requests.next() is asked[1]
    assert [each.state for each in asked] == [
        RequestState.DONE,
        RequestState.RUNNING,
        RequestState.WAITING,
    ]


def test_stopping_forgets_what_waits_and_tells_what_runs(ask):
    requests, asked = Requests(), [ask() for _ in range(3)]
    for each in asked:
        requests.add(each)
    requests.next()
    requests.stop()
    assert [each in requests for each in asked] == [True, False, False]
    assert asked[0].stopped
    assert requests.running is asked[0]


def test_a_removed_request_is_told_to_end_and_makes_room(ask, halves):
    requests, asked = Requests(), [ask(), ask(), ask(image=halves.copy())]
    for each in asked:
        requests.add(each)
    requests.next()
    requests.remove(asked[0])
    assert asked[0].stopped
    assert requests.of(halves) == [asked[1]]
    assert requests.next() is asked[1]
