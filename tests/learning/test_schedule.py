"""Learning rates over a run, and the epoch to keep."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_lungcls.learning.schedule import WARM_UP, BestEpoch, learning_rate
from napari_lungcls.learning.settings import TrainingSettings


def rates(steps: int, per_epoch: int = 1, **fields: Any) -> np.ndarray[Any, Any]:
    settings = TrainingSettings(**fields)
    return np.array([learning_rate(settings, i, steps, i // per_epoch) for i in range(steps)])


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
        assert top == pytest.approx(WARM_UP * steps, abs=1)
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


def test_constant_is_constant() -> None:
    assert set(rates(9, schedule="constant", learning_rate=0.3)) == {0.3}


@given(
    st.lists(
        st.tuples(st.sampled_from([0.5, 0.75, 1.0]), st.floats(0, 10)), min_size=1, max_size=30
    ),
    st.integers(1, 5),
)
def test_the_best_epoch_is_kept_and_patience_ends(
    figures: list[tuple[float, float]], patience: int
) -> None:
    best = BestEpoch(patience)
    kept, over = [], []
    for epoch, (accuracy, loss) in enumerate(figures):
        if best.improves(epoch, accuracy, loss):
            kept.append(epoch)
        over.append(best.is_over(epoch))
    ranks = [(-accuracy, loss) for accuracy, loss in figures]
    assert best.epoch == kept[-1] == ranks.index(min(ranks))
    for epoch, ended in enumerate(over):
        so_far = ranks[: epoch + 1]
        assert ended == (epoch - so_far.index(min(so_far)) >= patience)
