"""A study: where it is kept, who may join it, how trials are drawn and stopped early."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import OptunaError
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, TPESampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from napari_lungcls.errors import InputError
from napari_lungcls.hyperparameter_search.task import Task
from napari_lungcls.run_identity import difference
from napari_lungcls.utils.atomic_write import check_writable

Pruner = Literal["median", "hyperband", "none"]

STARTUP = 5
"""Trials that are never stopped early, because there is little to compare them with."""

_PATIENCE = 60.0
"""Seconds to wait for another process that writes to the same SQLite file."""

_TRIES = 5
_SQLITE = b"SQLite format 3\x00"
_LONGEST = 1 << 20


@contextmanager
def speaking_of(storage: str) -> Iterator[None]:
    """Turn what goes wrong with a storage into one line.

    Raises
    ------
    InputError
        When the storage cannot be reached, read or written.
    """
    try:
        yield
    except (OptunaError, SQLAlchemyError, ImportError, json.JSONDecodeError) as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise InputError(
            f"the study cannot be read or written at {storage} ({reason})",
            setting="storage",
            suggestion="give a file, or a database such as sqlite:///study.db or "
            "postgresql://user@host/name",
        ) from error


def open_storage(where: str) -> BaseStorage:
    """Open a storage.

    Parameters
    ----------
    where
        The path of a journal file, which is made if need be, or the URL of a database.

    Raises
    ------
    InputError
        When it cannot be used.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if "://" not in where:
        return _journal(Path(where))
    options: dict[str, Any] = {"pool_pre_ping": True}
    if where.startswith("sqlite"):
        options = {"connect_args": {"timeout": _PATIENCE}}
    for attempt in range(_TRIES):
        try:
            return RDBStorage(where, engine_kwargs=options)
        except (OptunaError, SQLAlchemyError):
            # Two processes that make the tables of a new database get in each other's way.
            if attempt == _TRIES - 1:
                raise
            time.sleep(0.2 * (attempt + 1))
    raise AssertionError


def _journal(path: Path) -> BaseStorage:
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file", setting="storage")
    check_writable(path)
    _check_journal(path)
    # Windows lets few users make the symbolic links by which others are kept out elsewhere.
    lock = JournalFileOpenLock(os.fspath(path)) if sys.platform == "win32" else None
    return JournalStorage(JournalFileBackend(os.fspath(path), lock_obj=lock))


def _check_journal(path: Path) -> None:
    """Refuse a file that is something else, before a line is added to it."""
    if not path.exists():
        return
    try:
        with path.open("rb") as stream:
            first = stream.readline(_LONGEST)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})", setting="storage") from error
    if first.startswith(_SQLITE):
        raise InputError(f"{path} is a database; write sqlite:///{path}", setting="storage")
    try:
        known = not first or "op_code" in json.loads(first)
    except (ValueError, TypeError, RecursionError):
        known = False
    if not known:
        raise InputError(f"{path} is no journal of a study; give another file", setting="storage")


def open_study(storage: BaseStorage, name: str, pruner: Pruner, seed: int) -> Study:
    """Open a study in a storage, or begin it."""
    return optuna.create_study(
        storage=storage,
        study_name=name,
        sampler=NumberedSampler(seed),
        pruner=_pruner(pruner),
        direction="maximize",
        load_if_exists=True,
    )


def _pruner(name: Pruner) -> BasePruner:
    if name == "median":
        return MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=RUNGS // 4)
    if name == "hyperband":
        return HyperbandPruner(min_resource=2, max_resource=RUNGS, reduction_factor=3)
    return NopPruner()


class NumberedSampler(BaseSampler):
    """The tree-structured Parzen estimator, drawing by the seed and the trial's number.

    Processes that share a study so draw different trials, and a study that goes on after a
    break draws what it would have drawn without.

    Bergstra et al. 2011, Algorithms for hyper-parameter optimization, NeurIPS 24.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._last: tuple[int, TPESampler] | None = None

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Ask the sampler of this trial."""
        return self._of(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Ask the sampler of this trial."""
        return self._of(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Ask the sampler of this trial."""
        return self._of(trial).sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        """Tell the sampler of this trial."""
        self._of(trial).after_trial(study, trial, state, values)

    def _of(self, trial: FrozenTrial) -> TPESampler:
        if self._last is None or self._last[0] != trial.number:
            seeds = np.random.SeedSequence([self._seed, trial.number])
            self._last = trial.number, TPESampler(seed=int(seeds.generate_state(1)[0]))
        return self._last[1]


AGREED = "napari-lungcls"
"""Attribute of a study: what all who work on it must have in common."""


def join_study(task: Task, where: str, name: str, pruner: Pruner) -> Study:
    """Open a study or begin it.

    Parameters
    ----------
    task
        What is tuned.
    where
        See `open_storage`.
    name, pruner
        Of the study.

    Raises
    ------
    InputError
        When the study was begun with other points, settings or another space, so that its
        trials cannot be compared with ours; naming what differs.
    """
    study = open_study(open_storage(where), name, pruner, task.base.seed)
    ours = task.fingerprint()
    found = study.user_attrs.get(AGREED)
    if found is None and study.get_trials(deepcopy=False):
        raise InputError(
            f"{name!r} in {where} was not begun by lungcls; give another name", setting="study"
        )
    if found is None:
        study.set_user_attr(AGREED, ours)
    elif (other := difference(found, ours)) is not None:
        raise InputError(
            f"the study {name!r} in {where} was begun with {other}",
            suggestion=(other.remedy, "as then, or", {"study": ...}, "with another name"),
        )
    return study


RUNGS = 20
"""Shares of a training at which trials are compared.

Epochs would not do: with another batch size, another number of them makes a training.
"""


class Rungs:
    """Reports the best validation accuracy so far, and asks whether to go on.

    Parameters
    ----------
    trial
        The trial that runs.
    """

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._rung, self._best = 0, -math.inf

    def give_up(self, share: float, accuracy: float) -> bool:
        """Report the accuracy after an epoch; say whether the pruner wants the trial to end.

        Parameters
        ----------
        share
            Of the training that is done, 0 to 1.
        accuracy
            On the validation points.
        """
        self._best = max(self._best, accuracy)
        # Rounding must not lose a rung that is reached exactly.
        reached = int(share * RUNGS + 1e-9)
        for rung in range(self._rung + 1, reached + 1):
            self._trial.report(self._best, rung)
        is_new, self._rung = reached > self._rung, max(reached, self._rung)
        return is_new and reached < RUNGS and self._trial.should_prune()
