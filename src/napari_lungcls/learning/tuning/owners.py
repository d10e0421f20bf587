"""Who works on a trial, and whether that process still lives: for any kind of storage."""

from __future__ import annotations

import os
import platform
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.exceptions import OptunaError, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from napari_lungcls.utils.locks import is_running

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
