"""What a study found: counts, the best trial, a table of all, and which settings mattered."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from napari_lungcls.errors import InputError
from napari_lungcls.learning.tuning.queue import NOTE, counted
from napari_lungcls.learning.tuning.space import Space
from napari_lungcls.learning.tuning.worker import FIGURES

LEAST = 4
"""Complete trials from which on something can be said about importance."""


@dataclass(frozen=True)
class Found:
    """What a study found so far.

    Attributes
    ----------
    trials
        All that count, in the order of their numbers: what was lost and repeated does not.
    best
        The complete trial with the largest value; of several, the first.
    """

    trials: tuple[FrozenTrial, ...]
    best: FrozenTrial

    @property
    def complete(self) -> list[tuple[int, float]]:
        """Numbers and values of the trials that were run to their end."""
        return [
            (trial.number, trial.value)
            for trial in self.trials
            if trial.state == TrialState.COMPLETE and trial.value is not None
        ]

    def describe(self) -> dict[str, Any]:
        """Return the best trial in plain values."""
        return {"best_value": self.best.value, "best_params": dict(self.best.params)}


def ended(study: Study) -> dict[str, int]:
    """Count how the trials of a study ended; those that were lost and repeated count once."""
    states = [trial.state for trial in counted(study.get_trials(deepcopy=False))]
    return {
        "trials": sum(state.is_finished() for state in states),
        "complete": states.count(TrialState.COMPLETE),
        "pruned": states.count(TrialState.PRUNED),
        "failed": states.count(TrialState.FAIL),
    }


def outcome(study: Study) -> Found:
    """Look up what a study found.

    Raises
    ------
    InputError
        When no trial has ended well, with the reason of the last that failed.
    """
    trials = counted(study.get_trials(deepcopy=False))
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not complete:
        notes = [t.user_attrs[NOTE] for t in trials if NOTE in t.user_attrs]
        last = f"; the last one failed: {notes[-1]}" if notes else ""
        raise InputError(
            f"no trial of the study {study.study_name!r} was completed{last or '; go on with it'}"
        )
    return Found(tuple(trials), max(complete, key=lambda trial: trial.value or 0.0))


def trials_csv(study: Study, space: Space) -> str:
    """Write a row per trial, those that were lost included.

    Columns are number, state, value, the settings that were searched, figures on the
    validation points, epochs, seconds, the time it began, and a note. The value of a pruned
    trial is the validation accuracy at which it was stopped.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    names, figures = list(space.dimensions), [*FIGURES, "epochs"]
    writer.writerow(["number", "state", "value", *names, *figures, "seconds", "began", NOTE])
    for trial in study.get_trials(deepcopy=False):
        began = trial.datetime_start
        writer.writerow(
            [
                trial.number,
                trial.state.name.lower(),
                _cell(trial.value),
                *(_cell(trial.params.get(name)) for name in names),
                *(_cell(trial.user_attrs.get(name)) for name in figures),
                round(trial.duration.total_seconds(), 2) if trial.duration else "",
                began.isoformat(timespec="seconds") if began else "",
                _cell(trial.user_attrs.get(NOTE)),
            ]
        )
    return buffer.getvalue()


def importance(study: Study, names: Sequence[str], seed: int) -> dict[str, float]:
    """Say which settings mattered: shares of the variance of the value, largest first.

    Only complete trials count. Empty where there are too few, or all have one value.

    Hutter et al. 2014, An efficient approach for assessing hyperparameter importance, ICML.
    """
    complete = [t for t in study.get_trials(deepcopy=False) if t.state == TrialState.COMPLETE]
    if len(complete) < LEAST or len({trial.value for trial in complete}) < 2:
        return {}
    evaluator = FanovaImportanceEvaluator(seed=seed)
    try:
        return dict(get_param_importances(study, evaluator=evaluator, params=list(names)))
    except RuntimeError:
        # No tree of the forest found anything to split: nothing can be said.
        return {}


def _cell(value: Any) -> Any:
    return "" if value is None else value
