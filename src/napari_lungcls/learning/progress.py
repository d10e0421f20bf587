"""Where a training run stands, what it remembers of every epoch, and the running figures behind."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from napari_lungcls.utils.humanize import percent

TRAINING, VALIDATION = "#2f8fd8", "#e0701a"
"""Colours of the curves of a training: blue and orange, which everyone can tell apart and which
stand out from dark and light backgrounds."""

ALL_POINTS = "all points"
"""Part of a run that trains on every point, after the splits have been judged."""


SETTLED = 20
"""Steps after which the time that is left can be told; the first are the slowest."""


@dataclass(frozen=True)
class EpochRecord:
    """One epoch.

    Attributes
    ----------
    epoch
        Number, from 1.
    learning_rate
        Of the epoch's last step.
    train_loss, train_accuracy
        Means over the windows that were trained on, as they were met, with dropout.
    val_loss, val_accuracy
        After the epoch, on the validation points; None when none are held out.
    seconds
        Duration, validation included.
    """

    epoch: int
    learning_rate: float
    train_loss: float
    train_accuracy: float
    val_loss: float | None
    val_accuracy: float | None
    seconds: float


@dataclass(frozen=True)
class TrainingProgress:
    """Where a run stands; one after each batch, with the epoch's record after its last.

    Attributes
    ----------
    phase
        `reading` tissue, or `training`.
    done, total
        Blocks of tissue read, or steps taken.
    epoch, epochs
        Epochs finished, and in all; early stopping may end before.
    loss
        Mean training loss of the epoch so far.
    record
        Figures of the epoch that has just ended, else None.
    seconds, remaining
        Time spent, and an estimate of what is left, None during the first steps.
    part
        Which of several trainings this is, such as `fold 2 of 5`; empty when there is one.
    share_of_epoch
        How much of the epoch that has not ended is done.

    Examples
    --------
    >>> for progress in lc.training("section.ome.tif", "section.csv", quick):
    ...     if progress.record is not None:
    ...         print(progress.epoch, progress.epochs, progress.record.train_loss > 0)
    1 1 True
    """

    phase: Literal["reading", "training"]
    done: int
    total: int
    epoch: int = 0
    epochs: int = 0
    loss: float | None = None
    record: EpochRecord | None = None
    seconds: float = 0.0
    remaining: float | None = None
    part: str = ""
    share_of_epoch: float = 0.0

    @property
    def words(self) -> str:
        """What a progress bar says beside itself."""
        if self.phase == "reading":
            return "reading tissue"
        said = f"{self.part}, " if self.part else ""
        said += f"epoch {self.epoch}/{self.epochs}"
        if self.loss is not None:
            said += f", loss {self.loss:.3f}"
        if self.record is not None and self.record.val_accuracy is not None:
            said += f", validation {percent(self.record.val_accuracy)}"
        return said


@dataclass
class Tally:
    """Running means of an epoch.

    Attributes
    ----------
    loss_sum, right, n
        Over the examples so far.
    """

    loss_sum: float = 0.0
    right: float = 0.0
    n: int = 0

    def add(self, loss: float, accuracy: float, n: int) -> None:
        """Count a batch of `n` in."""
        self.loss_sum += loss * n
        self.right += accuracy * n
        self.n += n

    @property
    def loss(self) -> float:
        """Mean loss so far."""
        return self.loss_sum / self.n

    @property
    def accuracy(self) -> float:
        """Mean accuracy so far."""
        return self.right / self.n


class Clock:
    """Time since the start, and an estimate of what is left from the steps so far."""

    def __init__(self) -> None:
        """Begin now."""
        self._began = self._steps_began = time.perf_counter()
        self._first = self.total = 0

    def start(self, total: int, done: int = 0) -> None:
        """Begin the steps, `total` of them, `done` of which an earlier process took."""
        self._steps_began, self._first, self.total = time.perf_counter(), done, total

    @property
    def seconds(self) -> float:
        """Seconds since the very start."""
        return time.perf_counter() - self._began

    def remaining(self, done: int) -> float | None:
        """Estimate the seconds left after `done` steps; None while too few tell it."""
        taken = done - self._first
        if taken < min(SETTLED, self.total - self._first):
            return None
        return (time.perf_counter() - self._steps_began) / max(1, taken) * (self.total - done)
