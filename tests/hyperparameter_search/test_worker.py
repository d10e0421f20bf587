"""A process that works on a study: ends when asked to, loses nothing, survives bad settings."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from napari_lungcls.errors import InputError
from napari_lungcls.hyperparameter_search.outcome import ended, importance, outcome, trials_csv
from napari_lungcls.hyperparameter_search.queue import Queue
from napari_lungcls.hyperparameter_search.space import Space
from napari_lungcls.hyperparameter_search.study import (
    RUNGS,
    Rungs,
    join_study,
    open_storage,
    open_study,
)
from napari_lungcls.hyperparameter_search.task import Task
from napari_lungcls.hyperparameter_search.worker import Worker
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.learning.settings import TrainingSettings
from three_tissues import QUICK, SCHEME, scene

BASE = TrainingSettings.check(
    **QUICK.model_dump(exclude={"test_fraction"}) | {"zooms": (1,), "epochs": 2}
)


def joined(path: Path, wanted: int, space: dict[str, Any], base: Any = BASE) -> Worker:
    task = Task.prepare([scene()], SCHEME, base, "f1_macro", Space.build(space, "test"))
    study = join_study(task, str(path), "s", "median")
    queue = Queue(study, task.space, task.space.values(task.base), wanted)
    return Worker(task, study, queue, wanted)


def test_an_interrupted_trial_is_repeated_and_counts_once(tmp_path: Path) -> None:
    file, space = tmp_path / "study", {"dropout": {"low": 0.1, "high": 0.5}}
    asked = itertools.count()
    # The first questions are whether to begin at all, and come after each of the four blocks
    # that are read; then whether to begin a trial, and after each of its steps.
    list(joined(file, 2, space).run(None, lambda: next(asked) > 7))
    study = open_study(open_storage(str(file)), "s", "none", 0)
    first, again = study.trials
    assert (first.state, again.state) == (TrialState.FAIL, TrialState.WAITING)
    assert ended(study)["trials"] == 0
    # A generator that is left in the middle is an interruption, too.
    run = joined(file, 2, space).run(None, lambda: False)
    while not next(run).words.startswith("trial 1: epoch 1"):
        pass
    run.close()
    steps = list(joined(file, 2, space).run(None, lambda: False))
    assert ended(study) == {"trials": 2, "complete": 2, "pruned": 0, "failed": 0}
    assert steps[-1].total == 2
    found = outcome(study)
    assert found.trials[0].params == first.params
    assert found.best.value == max(trial.user_attrs["f1_macro"] for trial in found.trials)
    table = trials_csv(study, Space.build(space, "test")).splitlines()
    assert len(table) == 1 + len(study.trials) == 5
    assert importance(study, ["dropout"], 0) == {}, "two trials say nothing"


def test_other_pixels_under_the_same_name_are_another_search(tmp_path: Path) -> None:
    stack, points = scene()
    other = ImageStack(255 - np.asarray(stack.levels[0]), source="a.tif")
    space = Space.build({"dropout": [0.1, 0.2]}, "test")
    ours, again, theirs = (
        Task.prepare([pair], SCHEME, BASE, "accuracy", space)
        for pair in (scene(), scene(), (other, points))
    )
    for task in (ours, again):
        join_study(task, str(tmp_path / "study"), "s", "none")
    with pytest.raises(InputError, match="was begun with other pixels in the images; use the"):
        join_study(theirs, str(tmp_path / "study"), "s", "none")


def test_time_is_kept_and_bad_settings_fail_alone(tmp_path: Path) -> None:
    # So large a decay turns the weights about and out of all bounds.
    wild = BASE.model_copy(update={"optimizer": "sgd", "epochs": 1})
    space = {"weight_decay": [1e30, 1e-4]}
    list(joined(tmp_path / "study", 9, space, wild).run(1e-9, lambda: False))
    study = open_study(open_storage(str(tmp_path / "study")), "s", "none", 0)
    assert not study.trials
    list(joined(tmp_path / "study", 6, space, wild).run(None, lambda: False))
    counts = ended(study)
    assert counts["trials"] == 6 == counts["complete"] + counts["failed"] + counts["pruned"]
    failed = [t for t in study.trials if t.state == TrialState.FAIL]
    assert failed
    assert {t.params["weight_decay"] for t in failed} == {1e30}
    assert all("smaller learning rate" in t.user_attrs["note"] for t in failed)
    assert outcome(study).best.params == {"weight_decay": 1e-4}


@pytest.mark.parametrize("pruner", ["median", "hyperband", "none"])
def test_trials_are_compared_at_equal_shares_whatever_their_epochs(pruner: Any) -> None:
    study = open_study(optuna.storages.InMemoryStorage(), "s", pruner, 0)
    for epochs in (3, 10, 20, 33, 7, 25, 11, 8, 9):
        trial, rungs = study.ask(), None
        rungs = Rungs(trial)
        assert not any(rungs.give_up((i + 1) / epochs, 0.9) for i in range(epochs))
        found = trial.study.get_trials()[trial.number].intermediate_values
        assert sorted(found) == list(range(1, RUNGS + 1))
        study.tell(trial, 0.9)
    stopped = []
    for _ in range(6):
        trial = study.ask()
        rungs = Rungs(trial)
        share = next((i / 50 for i in range(1, 51) if rungs.give_up(i / 50, 0.2)), math.inf)
        stopped.append(share)
        study.tell(trial, state=TrialState.PRUNED)
    if pruner == "none":
        assert stopped == [math.inf] * 6
    elif pruner == "median":
        assert all(0.2 < share < 0.4 for share in stopped)
    else:
        assert min(stopped) < 0.5


def test_the_setting_that_matters_is_named_first() -> None:
    study = optuna.create_study(direction="maximize")
    kinds = {name: FloatDistribution(0, 1) for name in ("dropout", "augmentation")}
    for i in range(12):
        params = {"dropout": i / 12, "augmentation": 7 * i % 12 / 12}
        study.add_trial(create_trial(params=params, distributions=kinds, value=i / 12))
    shares = importance(study, ["augmentation", "dropout"], 0)
    assert next(iter(shares)) == "dropout"
    assert shares["dropout"] > 0.5
    assert sum(shares.values()) == pytest.approx(1)
