"""Trials that processes share: exactly as many as asked for, and none lost, on any storage."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import TrialState

from napari_lungcls.errors import InputError
from napari_lungcls.hyperparameter_search import queue as owners
from napari_lungcls.hyperparameter_search.outcome import ended, outcome, trials_csv
from napari_lungcls.hyperparameter_search.queue import ATTEMPTS, Queue, Watch, counted, end, owning
from napari_lungcls.hyperparameter_search.space import Space
from napari_lungcls.hyperparameter_search.study import open_storage, open_study

SPACE = Space.build(
    {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}, "batch_size": [8, 16]}, "test"
)
ALL = 6
FIRST = {"learning_rate": 1e-3, "batch_size": 8}
WELL = {"trials": ALL, "complete": ALL, "pruned": 0, "failed": 0}

DIES = """
import os, signal, sys
sys.path.append(sys.argv[2])
from test_queue import joined
from napari_lungcls.hyperparameter_search.queue import owning
_, queue = joined(sys.argv[1])
with owning(queue.take()):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(params=["journal", "sqlite"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    file = tmp_path / "study"
    return str(file) if request.param == "journal" else f"sqlite:///{file}"


def joined(storage: str, wanted: int = ALL, watch: Watch | None = None) -> tuple[Study, Queue]:
    """Join a study as a process of its own would."""
    study = open_study(open_storage(storage), "s", "none", 0)
    return study, Queue(study, SPACE, FIRST, wanted, watch)


def work(study: Study, queue: Queue, most: int = 99) -> None:
    """Run trials whose value is a function of their settings."""
    for _ in range(most):
        trial = queue.take()
        if trial is None:
            return
        # As a worker does where SQLite hands one trial to two.
        with suppress(UpdateFinishedTrialError), owning(trial):
            end(study, trial.number, TrialState.COMPLETE, -abs(trial.params["learning_rate"]))


def test_workers_at_once_run_exactly_as_many_as_asked_for(storage: str) -> None:
    joined(storage)
    workers = [threading.Thread(target=lambda: work(*joined(storage))) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    study, queue = joined(storage)
    assert ended(study) == WELL
    assert queue.is_over
    assert queue.finished == ALL
    assert outcome(study).trials[0].params == FIRST
    assert len({str(trial.params) for trial in counted(study.trials)}) == ALL


def test_a_study_goes_on_as_if_it_had_not_been_left(tmp_path: Path) -> None:
    for name, stops in (("whole", []), ("broken", [2, 9])):
        for most in stops:
            work(*joined(str(tmp_path / name)), most)
        work(*joined(str(tmp_path / name), 13))
    whole, broken = (joined(str(tmp_path / name))[0].trials for name in ("whole", "broken"))
    assert [t.params for t in whole] == [t.params for t in broken]
    assert len(whole) == 13


@pytest.mark.skipif(sys.platform == "win32", reason="processes are not killed so there")
def test_what_a_killed_process_ran_is_repeated(storage: str) -> None:
    joined(storage)
    subprocess.run([sys.executable, "-c", DIES, storage, str(Path(__file__).parent)], check=False)
    (lost,) = joined(storage)[0].trials
    assert (lost.state, lost.params) == (TrialState.RUNNING, FIRST)
    study, queue = joined(storage)
    assert queue.recover() == 1
    assert queue.recover() == 0
    work(study, queue)
    assert ended(study) == WELL
    assert study.trials[0].state == TrialState.FAIL
    assert study.trials[1].params == FIRST
    assert trials_csv(study, SPACE).count("its process ended") == 1


def test_a_process_elsewhere_may_be_silent_only_for_so_long(
    storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    study, queue = joined(storage, watch=Watch(grace=60, clock=lambda: now))
    far = joined(storage)[1]
    with monkeypatch.context() as patch:
        patch.setattr(owners, "place", lambda: "another machine")
        trial = far.take()
        assert trial is not None
        with owning(trial):
            pass
    assert queue.recover() == 0
    now = 59.0
    assert queue.recover() == 0
    trial.set_user_attr(owners.BEAT, 7)
    now = 118.0
    assert queue.recover() == 0, "it lives: there was a beat"
    now = 179.0
    assert queue.recover() == 1
    # It was not dead after all: what it brings late is not counted twice.
    assert not end(study, trial.number, TrialState.COMPLETE, 1.0)
    work(study, queue)
    assert ended(study)["complete"] == len(counted(study.trials)) == ALL


def test_a_trial_is_given_back_once_whoever_does_it(storage: str) -> None:
    study, queue = joined(storage)
    trial = queue.take()
    assert trial is not None
    for _ in range(2):
        joined(storage)[1].give_back(trial, "it was interrupted")
    # Two processes that did so at the same instant each put a repetition down.
    study.enqueue_trial(trial.params, user_attrs={"retry_of": trial.number})
    work(study, queue)
    assert ended(study) == WELL
    repeated = [t for t in study.trials if t.params == trial.params and t.value is not None]
    assert len(repeated) == 1


def test_what_kills_every_process_is_left_alone_in_the_end(tmp_path: Path) -> None:
    study, queue = joined(str(tmp_path / "study"), wanted=2)
    for _ in range(ATTEMPTS):
        trial = queue.take()
        assert trial is not None
        assert trial.params == FIRST
        queue.give_back(trial, "its process ended")
    with pytest.raises(InputError, match="no trial of the study 's' was completed"):
        outcome(study)
    work(study, queue)
    assert ended(study) == {"trials": 2, "complete": 1, "pruned": 0, "failed": 1}
    assert queue.is_over


def test_a_process_shows_that_it_lives(storage: str) -> None:
    study, queue = joined(storage)
    trial = queue.take()
    assert trial is not None
    with owning(trial, every=0.01):
        while joined(storage)[0].trials[0].user_attrs.get(owners.BEAT, 0) < 2:
            pass
    assert queue.recover() == 0
    assert study.trials[0].state == TrialState.RUNNING
