"""The trials that several processes share: whose turn it is, who is alive, what was lost."""

from __future__ import annotations

import logging
import os
import platform
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import OptunaError, UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from napari_lungcls.hyperparameter_search.space import Choices, Space, is_whole
from napari_lungcls.utils.locks import is_running

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


OWNER, BEAT = "owner", "beat"
"""Attributes of a running trial: the process that works on it, and a count that it raises."""

EVERY = 15.0
"""Seconds between two beats."""

GRACE = 120.0
"""Seconds without a beat after which a process on another machine counts as dead."""

_BOOT, _NAMESPACE = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")


def place() -> str:
    """Name the surroundings in which process numbers mean the same processes.

    Names of machines are not enough: several may have one, and containers of one machine
    count their processes separately.
    """
    try:
        return f"{_BOOT.read_text(encoding='ascii').strip()} {os.readlink(_NAMESPACE)}"
    except OSError:
        return f"{platform.node()} {uuid.getnode():x}"


@contextmanager
def owning(trial: Trial, every: float = EVERY) -> Iterator[None]:
    """Mark a trial as ours, and show until the block ends that we live.

    A thread does so, because reading and validating may take longer than the grace.
    """
    trial.set_user_attr(OWNER, {"place": place(), "pid": os.getpid()})
    ended = threading.Event()

    def beat() -> None:
        count = 0
        while not ended.wait(every):
            count += 1
            try:
                trial.set_user_attr(BEAT, count)
            except UpdateFinishedTrialError:
                return
            except (OptunaError, OSError):
                # The storage cannot be reached just now; the trial itself will say so if
                # that lasts.
                continue

    thread = threading.Thread(target=beat, name="lungcls-beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class Watch:
    """Finds running trials whose process is gone.

    A process on this machine is asked for. Others are given time: clocks of machines differ,
    so what counts is how long *we* have seen no new beat.

    Parameters
    ----------
    grace
        Seconds without a beat.
    clock
        Gives seconds.
    """

    def __init__(self, grace: float = GRACE, clock: Callable[[], float] = time.monotonic) -> None:
        self._grace, self._clock = grace, clock
        self._seen: dict[int, tuple[Any, float]] = {}
        self._place = place()

    def dead(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Return the trials that nobody works on any more, of all trials of a study."""
        running = [trial for trial in trials if trial.state == TrialState.RUNNING]
        return [trial for trial in running if self._is_gone(trial) or self._is_silent(trial)]

    def _is_gone(self, trial: FrozenTrial) -> bool:
        owner = trial.user_attrs.get(OWNER)
        if not isinstance(owner, dict) or owner.get("place") != self._place:
            return False
        return not is_running(int(owner.get("pid", 0)))

    def _is_silent(self, trial: FrozenTrial) -> bool:
        now = (trial.user_attrs.get(OWNER), trial.user_attrs.get(BEAT))
        before, since = self._seen.get(trial.number, (None, 0.0))
        if before != now:
            since = self._clock()
            self._seen[trial.number] = now, since
        return self._clock() - since > self._grace
