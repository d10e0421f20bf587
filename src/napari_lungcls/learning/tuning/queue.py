"""The trials of a study that several processes share: whose turn it is, and what was lost."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from napari_lungcls.learning.tuning.dimensions import Choices, is_whole
from napari_lungcls.learning.tuning.owners import Watch
from napari_lungcls.learning.tuning.space import Space

RETRY_OF, SURPLUS, NOTE = "retry_of", "surplus", "note"
"""Attributes: the lost trial that one repeats; that one is not needed; why one failed."""

FIRST = -1
"""What the trial of the settings as given is marked as a retry of, so that there is one only."""

logger = logging.getLogger(__name__)

ATTEMPTS = 3
"""How often settings are tried that each time end with their process."""


def counted(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Leave out what was lost and repeated, and what was begun by two processes at once.

    Parameters
    ----------
    trials
        All trials of a study.
    """
    repeated = {trial.user_attrs.get(RETRY_OF) for trial in trials}
    return [
        trial
        for trial in trials
        if trial.state != TrialState.FAIL
        or not (trial.user_attrs.get(SURPLUS) or trial.number in repeated)
    ]


class Queue:
    """Hands out trials until a study has enough of them.

    Parameters
    ----------
    study
        The study; other processes may work on it too.
    space, first
        What to draw from, and the values to begin with, as far as they are given.
    wanted
        Trials in all.
    watch
        Finds trials whose process is gone.
    """

    def __init__(
        self,
        study: Study,
        space: Space,
        first: Mapping[str, Any],
        wanted: int,
        watch: Watch | None = None,
    ) -> None:
        self._study, self._first, self._wanted = study, dict(first), wanted
        self._distributions = distributions(space)
        self._watch = watch or Watch()

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials as they are now."""
        return self._study.get_trials(deepcopy=False)

    @property
    def finished(self) -> int:
        """How many trials have ended for good."""
        return sum(trial.state.is_finished() for trial in counted(self.trials))

    @property
    def is_over(self) -> bool:
        """Whether there are enough trials and none is under way."""
        trials = counted(self.trials)
        ended = sum(trial.state.is_finished() for trial in trials)
        return ended >= self._wanted and ended == len(trials)

    def take(self) -> Trial | None:
        """Return a trial to run now; None where all that are left are run by others."""
        while True:
            trials = self.trials
            if not trials and self._first:
                self._study.enqueue_trial(self._first, user_attrs={RETRY_OF: FIRST})
                continue
            waiting = any(trial.state == TrialState.WAITING for trial in trials)
            if not waiting and len(counted(trials)) >= self._wanted:
                return None
            try:
                trial = self._study.ask(self._distributions)
                if not self._is_surplus(trial):
                    return trial
                trial.set_user_attr(SURPLUS, True)
            except UpdateFinishedTrialError:
                # SQLite may hand a waiting trial to two processes; the other one has ended it.
                continue
            end(self._study, trial.number, TrialState.FAIL)

    def recover(self) -> int:
        """Fail the trials of processes that are gone, and repeat them; return how many."""
        gone = self._watch.dead(self.trials)
        for trial in gone:
            self.give_back(trial, "its process ended")
        return len(gone)

    def give_back(self, trial: FrozenTrial | Trial, why: str) -> None:
        """Fail a trial that was not run to its end, and let somebody repeat it.

        The repetition is put down first: a process that dies between the two loses nothing,
        and where two do this at once, the later repetition is left out.
        """
        trials = {each.number: each for each in self.trials}
        again = {each.user_attrs.get(RETRY_OF) for each in trials.values()}
        lost = trials[trial.number]
        if lost.number not in again and _attempts(lost, trials) < ATTEMPTS:
            note = f"trial {lost.number} again, because {why}"
            logger.info(note)
            self._study.enqueue_trial(lost.params, user_attrs={RETRY_OF: lost.number, NOTE: note})
        end(self._study, lost.number, TrialState.FAIL)

    def _is_surplus(self, trial: Trial) -> bool:
        """Tell whether another process has already taken what this trial is for."""
        trials = {each.number: each for each in self.trials}
        origin = trial.user_attrs.get(RETRY_OF)
        if origin is None:
            return sum(each.number < trial.number for each in counted(self.trials)) >= self._wanted
        well = (TrialState.COMPLETE, TrialState.PRUNED)
        return (origin in trials and trials[origin].state in well) or any(
            trials[number].user_attrs.get(RETRY_OF) == origin for number in range(trial.number)
        )


def end(study: Study, number: int, state: TrialState, value: float | None = None) -> bool:
    """End a trial; return whether it was ours to end, and no other process's."""
    try:
        study.tell(number, value, state=state)
    except (UpdateFinishedTrialError, ValueError):
        # Optuna says with a ValueError that a trial is finished when it sees it in time.
        if study.get_trials(deepcopy=False)[number].state.is_finished():
            return False
        raise
    return True


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Say a space in Optuna's words."""
    found: dict[str, BaseDistribution] = {}
    for name, dimension in space.dimensions.items():
        if isinstance(dimension, Choices):
            found[name] = CategoricalDistribution(dimension.values)
        elif is_whole(name):
            low, high = int(dimension.low), int(dimension.high)
            found[name] = IntDistribution(low, high, log=dimension.log)
        else:
            found[name] = FloatDistribution(dimension.low, dimension.high, log=dimension.log)
    return found


def _attempts(trial: FrozenTrial, trials: Mapping[int, FrozenTrial]) -> int:
    """Count how often the settings of a trial were begun."""
    count = 1
    while (origin := trials.get(trial.user_attrs.get(RETRY_OF, FIRST))) is not None:
        trial, count = origin, count + 1
    return count
