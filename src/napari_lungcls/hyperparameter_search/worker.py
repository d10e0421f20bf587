"""One process that works on a study: trial after trial until there are enough."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import Trial, TrialState

from napari_lungcls.errors import InputError
from napari_lungcls.evaluation.metrics import HEADLINES
from napari_lungcls.hyperparameter_search.queue import NOTE, Queue, end, owning
from napari_lungcls.hyperparameter_search.study import Rungs
from napari_lungcls.hyperparameter_search.task import Task
from napari_lungcls.learning.dataset import PointSet
from napari_lungcls.learning.experiment import Experiment
from napari_lungcls.learning.progress import Clock, TrainingProgress
from napari_lungcls.network.model_file import ModelDocument
from napari_lungcls.utils.progress import Step

POLL = 0.5
"""Seconds between two looks at the trials of other processes."""

FIGURES = tuple(metric.name for metric in HEADLINES)
"""What a trial remembers of its validation."""


class Worker:
    """Runs trials of a study in this process.

    Parameters
    ----------
    task
        What is tuned.
    study
        Where trials are drawn and kept.
    queue
        Hands out the trials.
    wanted
        Trials in all.
    """

    def __init__(self, task: Task, study: Study, queue: Queue, wanted: int) -> None:
        self._task, self._study, self._queue, self._wanted = task, study, queue, wanted
        self._points: PointSet | None = None
        self._done, self._looked = 0, -math.inf

    def run(
        self, timeout: float | None, cancelled: Callable[[], bool]
    ) -> Generator[Step, None, None]:
        """Work until there are enough trials, the time is up, or somebody wants to end.

        Parameters
        ----------
        timeout
            Seconds after which no further trial begins.
        cancelled
            Asked after every batch; the trial that runs is then left to be repeated.
        """
        until = math.inf if timeout is None else time.monotonic() + timeout
        while not cancelled() and time.monotonic() < until and not self._queue.is_over:
            self._queue.recover()
            if self._points is None:
                yield from self._read(cancelled)
                continue
            trial = self._queue.take()
            if trial is not None:
                yield from self._finish(trial, cancelled)
            elif not self._queue.is_over:
                yield self.progress("waiting for trials of other processes")
                time.sleep(POLL)

    def _read(self, cancelled: Callable[[], bool]) -> Generator[Step, None, None]:
        for step in self._task.read():
            if isinstance(step, PointSet):
                self._points = step
            elif cancelled():
                return
            else:
                yield self.progress("reading")

    def _finish(self, trial: Trial, cancelled: Callable[[], bool]) -> Generator[Step, None, None]:
        """Run a trial, whatever becomes of it."""
        ended = False
        try:
            with owning(trial):
                ended = yield from self._train(trial, cancelled)
        except InputError as error:
            trial.set_user_attr(NOTE, str(error))
            ended = True
            end(self._study, trial.number, TrialState.FAIL)
        except UpdateFinishedTrialError:
            # We were silent for so long that others took us for dead and repeat the trial.
            ended = True
        finally:
            if not ended:
                self._queue.give_back(trial, "it was interrupted")

    def _train(self, trial: Trial, cancelled: Callable[[], bool]) -> Generator[Step, None, bool]:
        """Train with the settings of a trial; tell whether it came to an end."""
        task = self._task
        assert self._points is not None
        # The model on everything is for the end of the search.
        settings = task.settings(trial.params).model_copy(update={"final": "none"})
        run = Experiment(task.material(self._points, settings), settings, task.scheme, task.origin)
        clock, rungs = Clock(), Rungs(trial)
        for step in run.go(clock, cancelled):
            accuracy = step.record.val_accuracy if step.record else None
            if accuracy is not None and rungs.give_up(step.done / step.total, accuracy):
                trial.set_user_attr("epochs", step.epoch)
                end(self._study, trial.number, TrialState.PRUNED)
                return True
            yield self.progress(self._words(trial, step))
        if cancelled():
            return False
        self._keep(trial, run.document())
        return True

    def _keep(self, trial: Trial, document: ModelDocument) -> None:
        found = document.validation
        assert found is not None
        for name in FIGURES:
            trial.set_user_attr(name, found[name])
        trial.set_user_attr("epochs", len(document.history))
        value = found[self._task.objective]
        if value is None:
            raise InputError(f"the validation points give no {self._task.objective}")
        end(self._study, trial.number, TrialState.COMPLETE, value)

    def progress(self, words: str) -> Step:
        """Say where the study stands, with the trials of all processes."""
        # Not after every batch: a look costs a read of the storage.
        if time.monotonic() - self._looked > POLL:
            self._done, self._looked = self._queue.finished, time.monotonic()
        return Step(self._done, self._wanted, words)

    @staticmethod
    def _words(trial: Trial, step: TrainingProgress) -> str:
        return f"trial {trial.number}: {step.words}"
