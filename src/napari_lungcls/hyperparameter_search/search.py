"""A search for settings as scripts and the command line use it: run trials, then conclude."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from optuna.study import Study

from napari_lungcls.annotation import ClassScheme
from napari_lungcls.evaluation.metrics import Objective
from napari_lungcls.hyperparameter_search.outcome import ended, outcome, write_outcome
from napari_lungcls.hyperparameter_search.process_pool import run_in_processes
from napari_lungcls.hyperparameter_search.queue import Queue
from napari_lungcls.hyperparameter_search.space import Space
from napari_lungcls.hyperparameter_search.study import Pruner, join_study, speaking_of
from napari_lungcls.hyperparameter_search.task import Task
from napari_lungcls.hyperparameter_search.worker import Worker
from napari_lungcls.images.pairs import open_pairs
from napari_lungcls.learning.initialization import dry_run
from napari_lungcls.learning.progress import TrainingProgress
from napari_lungcls.learning.run import run_training
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.settings_file import write_settings
from napari_lungcls.network.model_file import write_model
from napari_lungcls.utils.progress import Step

JOURNAL = "study.journal"
"""The study in the folder of results, where no other storage is named."""


@dataclass(frozen=True)
class Request:
    """What shall be tuned, and how; the same for all processes that share a study.

    Attributes
    ----------
    images, points, pixel_size, channels
        As `open_pairs` takes them.
    scheme
        The classes.
    settings
        What the trials share.
    out
        A folder for the results, made when the study is joined.
    space
        What they change; a usual space if None.
    search
        What else they change, or change elsewhere.
    fixed
        Settings that stay as they are, whatever the space says.
    storage, study
        Where the study is kept, in `out` if not given, and its name.
    objective
        What trials are judged by, on the validation points.
    pruner
        What ends hopeless trials early.
    trials
        Trials in all, of all processes and calls.
    timeout
        Seconds after which no further trial begins, or None.
    jobs
        Processes that work at once on this machine.

    Examples
    --------
    >>> request = Request(
    ...     images=("section.ome.tif",),
    ...     points=("section.csv",),
    ...     scheme=lc.ClassScheme.preset("lung"),
    ...     settings=quick,
    ...     out=Path("tuned"),
    ...     trials=1,
    ... )
    >>> request.where == str(Path("tuned", "study.journal"))
    True
    """

    images: tuple[str, ...]
    points: tuple[str, ...]
    scheme: ClassScheme
    settings: TrainingSettings
    storage: str | None = None
    out: Path | None = None
    space: Space | None = None
    search: Space = field(default_factory=lambda: Space(dimensions={}))
    fixed: tuple[str, ...] = ()
    pixel_size: float | None = None
    channels: str | None = None
    study: str = "lungcls"
    objective: Objective = "accuracy"
    pruner: Pruner = "median"
    trials: int = 50
    timeout: float | None = None
    jobs: int = 1

    @property
    def where(self) -> str:
        """Where the study is kept."""
        if self.storage is not None:
            return self.storage
        assert self.out is not None
        return str(self.out / JOURNAL)


class Search:
    """A search on its way: images and points opened, split, and the study joined.

    Parameters
    ----------
    request
        What to do.

    Raises
    ------
    InputError
        When images, points, settings, space and study do not go together.

    Examples
    --------
    >>> request = Request(
    ...     images=("section.ome.tif",),
    ...     points=("section.csv",),
    ...     scheme=lc.ClassScheme.preset("lung"),
    ...     settings=quick,
    ...     fixed=("epochs", "zooms", "tile", "stages"),
    ...     out=Path("tuned"),
    ...     trials=1,
    ... )
    >>> search = Search(request)
    >>> for step in search.trials():
    ...     pass
    >>> search.counts()["complete"]
    1
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        pairs = open_pairs(request.images, request.points, request.pixel_size, request.channels)
        self.task: Task = Task.prepare(
            pairs,
            request.scheme,
            request.settings,
            request.objective,
            request.space,
            request.search,
            request.fixed,
        )
        dry_run(self.task.base, len(request.scheme), str(pairs[0][0].dtype), self.task.origin)
        if request.storage is None:
            self._make_folder()
        with speaking_of(request.where):
            self.study: Study = join_study(self.task, request.where, request.study, request.pruner)
        self._make_folder()

    def _make_folder(self) -> None:
        if self.request.out is not None:
            self.request.out.mkdir(exist_ok=True)

    def trials(self, cancelled: Callable[[], bool] = lambda: False) -> Generator[Step, None, None]:
        """Run trials until there are as many as asked for, with those of other processes.

        Parameters
        ----------
        cancelled
            Asked after every batch; trials that run are then left to be repeated.

        Raises
        ------
        InputError
            When images or the storage cannot be read any more.
        """
        with speaking_of(self.request.where):
            worker = self._worker()
            if self.request.jobs == 1:
                yield from worker.run(self.request.timeout, cancelled)
            else:
                yield from run_in_processes(
                    partial(work, self.request), self.request.jobs, worker.progress, cancelled
                )

    def counts(self) -> dict[str, Any]:
        """Return how many trials there are, and how they ended."""
        with speaking_of(self.request.where):
            return {"study": self.study.study_name} | ended(self.study)

    def conclude(
        self, cancelled: Callable[[], bool] = lambda: False
    ) -> Generator[TrainingProgress, None, dict[str, Any]]:
        """Train with the best settings, judge on the test part, and write all results.

        Parameters
        ----------
        cancelled
            Asked after every batch; see `run_training`.

        Returns
        -------
        dict
            Counts, the best trial, its settings' file, figures on the test part, the model.

        Raises
        ------
        InputError
            When no trial was completed, or the folder cannot be written.
        """
        task, study, out = self.task, self.study, self.request.out
        assert out is not None
        with speaking_of(self.request.where):
            found = outcome(study)
            write_outcome(out, study, task.space, task.objective, task.base.seed)
        best = task.settings(found.best.params)
        settings = write_settings(out / "settings.yaml", best)
        trained = yield from run_training(
            task.pairs, best, task.scheme, cancelled=cancelled, split=task.split
        )
        model = write_model(out / "model.safetensors", trained.document, trained.state)
        return (
            self.counts()
            | found.describe()
            | {"settings": str(settings), "test": trained.document.test, "model": str(model)}
        )

    def _worker(self) -> Worker:
        first = self.task.space.values(self.task.base)
        queue = Queue(self.study, self.task.space, first, self.request.trials)
        return Worker(self.task, self.study, queue, self.request.trials)


def work(request: Request, cancelled: Callable[[], bool]) -> None:
    """Run trials in a process of its own, for `run_in_processes`."""
    for _ in Search(replace(request, jobs=1)).trials(cancelled):
        pass
