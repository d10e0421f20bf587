"""The lines behind the live curves."""

import pytest

from napari_lungcls.gui.train.run import TrainingHistory, ceiling, epoch_ticks, loss_ceiling
from napari_lungcls.learning.progress import EpochRecord, TrainingProgress


def step(
    done: int, loss: float, record: EpochRecord | None = None, part: str = ""
) -> TrainingProgress:
    share = done % 4 / 4
    return TrainingProgress(
        "training", done, 8, done // 4, 2, loss, record, share_of_epoch=share, part=part
    )


def ended(epoch: int, loss: float, val: float | None = 0.5) -> EpochRecord:
    return EpochRecord(epoch, 0.001, loss, 0.7, val, val, 1.0)


def test_the_next_of_several_trainings_begins_anew():
    history = TrainingHistory()
    history.add(step(4, 1.0, ended(1, 1.0), "fold 1 of 2"))
    assert history.loss() == ([1.0], [1.0])
    history.add(step(1, 3.0, part="fold 2 of 2"))
    assert history.loss() == ([0.25], [3.0])


def test_training_on_all_points_afterwards_leaves_the_first_curves():
    history = TrainingHistory()
    history.add(step(4, 1.0, ended(1, 1.0)))
    history.add(step(8, 0.8, ended(2, 0.8)))
    history.add(step(1, 0.7, part="all points"))
    assert (history.before, history.epochs) == (2, 4)
    assert history.loss() == ([1, 2, 2.25], [1.0, 0.8, 0.7])
    history.add(step(4, 0.6, ended(1, 0.6, None), part="all points"))
    assert history.loss() == ([1, 2, 3], [1.0, 0.8, 0.6])
    assert history.line("val_accuracy") == ([1, 2], [0.5, 0.5])


def test_the_loss_is_drawn_within_epochs_too():
    history = TrainingHistory()
    assert not history.add(TrainingProgress("reading", 3, 9))
    assert history.loss() == ([], [])
    assert history.add(step(1, 1.5))
    assert history.add(step(2, 1.25))
    assert history.loss() == ([0.25, 0.5], [1.5, 1.25])
    history.add(step(4, 1.0, ended(1, 1.0)))
    history.add(step(6, 0.75))
    assert history.loss() == ([0.25, 0.5, 1, 1.5], [1.5, 1.25, 1.0, 0.75])
    history.add(step(8, 0.5, ended(2, 0.5, None)))
    assert history.loss() == ([0.25, 0.5, 1, 2], [1.5, 1.25, 1.0, 0.5])
    assert history.line("train_accuracy", times=100) == ([1, 2], [70, 70])
    assert history.line("val_loss") == ([1], [0.5])
    assert history.epochs == 2


@pytest.mark.parametrize(
    ("values", "top"),
    [([], 1), ([0.3, 0.04], 0.5), ([1.0], 1), ([1.1], 2), ([7], 10), ([0], 1), ([float("nan")], 1)],
)
def test_axes_end_at_round_numbers(values, top):
    assert ceiling(values) == pytest.approx(top)


def test_an_epoch_far_off_does_not_flatten_the_rest():
    assert loss_ceiling([0.9, 0.4], [0.8, 22.0, 0.5]) == 1
    assert loss_ceiling([0.9, 0.4], [1.8, 1.2]) == 2
    assert loss_ceiling([], [22.0]) == 50


@pytest.mark.parametrize(
    ("epochs", "named"),
    [(1, [0, 1]), (7, [0, 1, 2, 3, 4, 5, 6, 7]), (12, [0, 2, 4, 6, 8, 10, 12])],
)
def test_epochs_on_the_axis_are_whole(epochs, named):
    assert epoch_ticks(epochs) == named
    assert len(epoch_ticks(1234)) <= 8
