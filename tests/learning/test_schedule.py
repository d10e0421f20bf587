"""Learning rates over a run, and the epoch to keep."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_lungcls.learning.progress import EpochRecord
from napari_lungcls.learning.schedule import BestEpoch, learning_rate
from napari_lungcls.learning.settings import TrainingSettings


def rates(steps: int, per_epoch: int = 1, **fields: Any) -> np.ndarray[Any, Any]:
    settings = TrainingSettings(**fields)
    history = losing([1.0] * steps)
    return np.array(
        [learning_rate(settings, i, steps, history[: i // per_epoch]) for i in range(steps)]
    )


def losing(losses: list[float], validated: bool = True) -> list[EpochRecord]:
    """Make the epochs of a run with these losses, on validation points or in training."""
    return [
        EpochRecord(i, 0.1, 0.5 if validated else loss, 1, loss if validated else None, 1, 0)
        for i, loss in enumerate(losses, 1)
    ]


@given(st.integers(1, 500), st.floats(1e-5, 1))
def test_one_cycle_rises_once_and_falls_once(steps: int, peak: float) -> None:
    found = rates(steps, learning_rate=peak)
    assert found[0] == pytest.approx(peak / 25)
    assert (found > 0).all()
    assert (found <= peak * (1 + 1e-9)).all()
    top = int(found.argmax())
    assert (np.diff(found[: top + 1]) > 0).all()
    assert (np.diff(found[top:]) < 0).all()
    if steps >= 20:
        assert top == pytest.approx(0.25 * steps, abs=1)
        assert found[top] > 0.9 * peak
        assert found[-1] < 0.1 * peak


def test_one_cycle_by_hand() -> None:
    found = rates(8, learning_rate=1.0)
    # Two steps up from 0.04, then six down to 0.0001 along half cosines.
    up = [0.04, 0.52]
    down = [0.0001 + 0.9999 * (1 + math.cos(math.pi * i / 6)) / 2 for i in range(6)]
    np.testing.assert_allclose(found, up + down)


def test_steps_fall_between_epochs() -> None:
    found = rates(12, 2, schedule="step", step_epochs=2, step_factor=0.5, learning_rate=0.8)
    assert found.tolist() == [0.8] * 4 + [0.4] * 4 + [0.2] * 4


@given(st.integers(1, 300), st.floats(0, 0.9))
def test_cosine_rises_in_a_line_and_falls_to_nothing(steps: int, warm_up: float) -> None:
    found = rates(steps, schedule="cosine", warm_up=warm_up, learning_rate=1.0)
    rising = int(np.ceil(warm_up * steps))
    np.testing.assert_allclose(np.diff(found[:rising]), 1 / (warm_up * steps + 1), atol=1e-9)
    assert (np.diff(found[rising:]) < 0).all()
    assert (found > 0).all()
    assert found.max() <= 1


@pytest.mark.parametrize("validated", [True, False])
def test_plateaus_lower_the_rate(validated: bool) -> None:
    settings = TrainingSettings(
        schedule="plateau", step_epochs=2, step_factor=0.5, learning_rate=0.8
    )
    history = losing([1.0, 0.9, 0.9, 0.95, 0.8, 0.81, 0.82, 0.83], validated)
    found = [learning_rate(settings, i, 99, history[:i]) for i in range(9)]
    # Down after epochs 3 and 4 without progress, and again after 6 and 7.
    assert found == pytest.approx([0.8] * 4 + [0.4] * 3 + [0.2] * 2)


def test_a_run_does_not_stop_before_its_least_epochs_or_for_small_gains() -> None:
    best = BestEpoch(100, patience=2, min_epochs=4, min_delta=0.1)
    over = []
    for epoch, accuracy in enumerate([0.5, 0.55, 0.58, 0.59, 0.7, 0.71, 0.72]):
        assert best.keeps(epoch, accuracy, 1.0)
        over.append(best.is_over(epoch))
    assert over == [False, False, False, True, False, False, True]


def test_constant_is_constant() -> None:
    assert set(rates(9, schedule="constant", learning_rate=0.3)) == {0.3}


@given(
    st.lists(
        st.tuples(st.sampled_from([0.5, 0.75, 0.8, 1.0]), st.floats(0, 10)),
        min_size=1,
        max_size=30,
    ),
    st.integers(1, 5),
    st.sampled_from([20, 100_000]),
)
def test_the_last_of_the_best_epochs_is_kept_and_patience_ends(
    figures: list[tuple[float, float]], patience: int, points: int
) -> None:
    best = BestEpoch(points, patience)
    over = []
    for epoch, (accuracy, loss) in enumerate(figures):
        assert best.keeps(epoch, accuracy, loss) == (best.epoch == epoch)
        over.append(best.is_over(epoch))
    found = [accuracy for accuracy, _ in figures]
    assert best.epoch == max(i for i, accuracy in enumerate(found) if accuracy >= best.enough)
    assert max(found) - 0.6 / np.sqrt(points) < best.enough < max(found)
    ranks = [(-accuracy, loss) for accuracy, loss in figures]
    for epoch, ended in enumerate(over):
        so_far = ranks[: epoch + 1]
        assert ended == (epoch - so_far.index(min(so_far)) >= patience)
