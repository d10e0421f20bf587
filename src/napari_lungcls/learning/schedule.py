"""Learning rates over a run, and when to stop it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from napari_lungcls.learning.settings import TrainingSettings

WARM_UP = 0.25
"""Share of a one-cycle run in which the learning rate rises."""


def learning_rate(settings: TrainingSettings, step: int, steps: int, epoch: int) -> float:
    """Learning rate of a step.

    Parameters
    ----------
    settings
        Names the schedule and the peak.
    step, steps
        Steps before this one, and in all.
    epoch
        Epochs before this one, for the schedule `step`.

    Notes
    -----
    `one-cycle` rises from 1/25 of the peak and falls to nearly 0 along half cosines
    (Smith and Topin 2019, doi 10.1117/12.2520589). `step` multiplies by `step_factor`
    every `step_epochs` epochs.
    """
    peak = settings.learning_rate
    if settings.schedule == "constant":
        return peak
    if settings.schedule == "step":
        return peak * settings.step_factor ** (epoch // settings.step_epochs)
    turn = max(1.0, WARM_UP * steps)
    if step < turn:
        return _half_cosine(peak / 25, peak, step / turn)
    return _half_cosine(peak, peak / 1e4, (step - turn) / max(1.0, steps - turn))


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(1.0, share))) / 2


@dataclass
class BestEpoch:
    """Keeps the epoch of the highest validation accuracy, and knows when to give up.

    Of epochs with the same accuracy the one with the lowest loss is best. The loss alone would
    be a poor judge: a few confident mistakes, such as points of a rare class, can raise it while
    the map still improves.
    """

    patience: int
    accuracy: float = -1.0
    loss: float = math.inf
    epoch: int = -1

    def improves(self, epoch: int, accuracy: float, loss: float) -> bool:
        """Take note of an epoch; tell whether it is the best so far."""
        if (accuracy, -loss) > (self.accuracy, -self.loss):
            self.accuracy, self.loss, self.epoch = accuracy, loss, epoch
            return True
        return False

    def is_over(self, epoch: int) -> bool:
        """Tell whether to stop after this epoch."""
        return epoch - self.epoch >= self.patience
