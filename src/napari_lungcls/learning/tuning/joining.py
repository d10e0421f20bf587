"""Joining a study that other processes, machines or earlier calls have begun."""

from __future__ import annotations

import json
from typing import Any

from optuna.study import Study

from napari_lungcls.errors import InputError
from napari_lungcls.hyperparameter_search.study import Pruner, open_storage, open_study
from napari_lungcls.learning.tuning.task import Task

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
    # As a storage gives it back, where tuples are lists.
    ours = json.loads(json.dumps(task.fingerprint()))
    found = study.user_attrs.get(AGREED)
    if found is None and study.get_trials(deepcopy=False):
        raise InputError(
            f"{name!r} in {where} was not begun by lungcls; give another name", setting="study"
        )
    if found is None:
        study.set_user_attr(AGREED, ours)
    else:
        _compare(found, ours, f"the study {name!r} in {where}")
    return study


def _compare(found: dict[str, Any], ours: dict[str, Any], what: str) -> None:
    for key in sorted(found.keys() | ours.keys()):
        before, now = found.get(key), ours.get(key)
        if before != now:
            words = f"{before} there, {now} here"
            shown = f" ({words})" if len(words) <= 120 else ""
            raise InputError(
                f"{what} was begun with another {key}{shown}",
                suggestion=("give the same as then, or", {"study": ...}, "with another name"),
            )
