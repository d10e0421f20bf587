"""What a study found: counts, the best trial, a table of all, and which settings mattered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from napari_lungcls.errors import InputError
from napari_lungcls.hyperparameter_search.queue import NOTE, counted
from napari_lungcls.hyperparameter_search.space import Space
from napari_lungcls.hyperparameter_search.worker import FIGURES
from napari_lungcls.reporting.figures import png_of, svg_file, svg_of
from napari_lungcls.reporting.searches import history_figure, importance_figure
from napari_lungcls.reporting.tables import csv_text
from napari_lungcls.utils.atomic_write import write_whole

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
    names, figures = list(space.dimensions), [*FIGURES, "epochs"]
    rows = [
        [
            trial.number,
            trial.state.name.lower(),
            trial.value,
            *map(trial.params.get, names),
            *map(trial.user_attrs.get, figures),
            round(trial.duration.total_seconds(), 2) if trial.duration else "",
            trial.datetime_start.isoformat(timespec="seconds") if trial.datetime_start else "",
            trial.user_attrs.get(NOTE),
        ]
        for trial in study.get_trials(deepcopy=False)
    ]
    return csv_text(["number", "state", "value", *names, *figures, "seconds", "began", NOTE], rows)


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


def write_outcome(out: Path, study: Study, space: Space, objective: str, seed: int) -> None:
    """Write the table of trials and draw what can be drawn into a folder.

    Figures of an earlier call that cannot be drawn any more are removed.
    """
    values = outcome(study).complete
    shares = importance(study, list(space.dimensions), seed)
    write_whole(out / "trials.csv", trials_csv(study, space).encode("utf-8"))
    numbers, heights = zip(*values, strict=True)
    for name, figure in (
        ("history", history_figure(numbers, heights, objective)),
        ("importance", importance_figure(shares) if shares else None),
    ):
        svg, png = out / f"{name}.svg", out / f"{name}.png"
        if figure is None:
            svg.unlink(missing_ok=True)
            png.unlink(missing_ok=True)
            continue
        write_whole(svg, svg_file(svg_of(figure, name)).encode("utf-8"))
        write_whole(png, png_of(figure))
