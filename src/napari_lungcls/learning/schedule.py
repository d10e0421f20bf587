"""Learning rates over a run, and when to stop it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from napari_lungcls.evaluation.intervals import standard_error
from napari_lungcls.learning.progress import EpochRecord
from napari_lungcls.learning.settings import TrainingSettings


def learning_rate(
    settings: TrainingSettings, step: int, steps: int, history: Sequence[EpochRecord]
) -> float:
    """Learning rate of a step.

    Parameters
    ----------
    settings
        Names the schedule and the peak.
    step, steps
        Steps before this one, and in all.
    history
        The epochs before this one.

    Notes
    -----
    `one-cycle` rises from 1/25 of the peak and falls to nearly 0 along half cosines
    (Smith and Topin 2019, doi 10.1117/12.2520589). `cosine` rises from 0 in a straight line
    and falls to 0 (Loshchilov and Hutter 2017, arXiv 1608.03983; Goyal et al. 2017, arXiv
    1706.02677). `step` multiplies by `step_factor` every `step_epochs` epochs, `plateau`
    whenever the loss on the validation points, or without them that of training, has not
    fallen for so many.
    """
    peak = settings.learning_rate
    if settings.schedule == "constant":
        return peak
    if settings.schedule == "step":
        return peak * settings.step_factor ** (len(history) // settings.step_epochs)
    if settings.schedule == "plateau":
        return peak * settings.step_factor ** _plateaus(settings.step_epochs, history)
    turn = settings.warm_up * steps
    if step < turn:
        if settings.schedule == "cosine":
            return peak * (step + 1) / (turn + 1)
        return _half_cosine(peak / 25, peak, step / turn)
    last = peak / 1e4 if settings.schedule == "one-cycle" else 0.0
    return _half_cosine(peak, last, (step - turn) / max(1.0, steps - turn))


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(1.0, share))) / 2


def _plateaus(patience: int, history: Sequence[EpochRecord]) -> int:
    """Count how often the loss stood still for `patience` epochs."""
    lowest, waited, found = math.inf, 0, 0
    for record in history:
        loss = record.train_loss if record.val_loss is None else record.val_loss
        waited = 0 if loss < lowest else waited + 1
        lowest = min(lowest, loss)
        if waited >= patience:
            found, waited = found + 1, 0
    return found


class BestEpoch:
    """Chooses the epoch to keep, and knows when to give up.

    Kept is the last epoch whose validation accuracy is at most one standard error below the
    highest. Which of many epochs is the highest on a few points is luck, and late epochs are
    learned at lower rates and answer better elsewhere; docs/defaults.md has figures.

    Parameters
    ----------
    points
        Validation points.
    patience
        Epochs without progress after which a run is over. Progress is a higher accuracy, or
        the same with a lower loss. The loss alone would be a poor judge: a few confident
        mistakes, such as points of a rare class, can raise it while the map still improves.
    min_epochs
        Epochs before which it never is.
    min_delta
        By how much the accuracy must exceed that of the last progress to be progress.

    Notes
    -----
    The rule of one standard error is that of Breiman et al. 1984, Classification and
    Regression Trees, section 3.4.3.
    """

    def __init__(
        self, points: int, patience: int, min_epochs: int = 1, min_delta: float = 0.0
    ) -> None:
        self.points = points
        self.patience, self.min_epochs, self.min_delta = patience, min_epochs, min_delta
        self.epoch = -1
        self._highest, self._loss = -1.0, math.inf
        self._reached, self._progress = -1.0, -1

    def keeps(self, epoch: int, accuracy: float, loss: float) -> bool:
        """Take note of an epoch; tell whether it is the one to keep so far."""
        better = (accuracy, -loss) > (self._highest, -self._loss)
        if accuracy > self._reached + self.min_delta or (better and self.min_delta == 0):
            self._reached, self._progress = accuracy, epoch
        if better:
            self._highest, self._loss = accuracy, loss
        if accuracy < self.enough:
            return False
        self.epoch = epoch
        return True

    @property
    def enough(self) -> float:
        """Accuracy from which an epoch is as good as the best so far."""
        # One right and one wrong point are added, or all right would mean no error at all.
        share = (self._highest * self.points + 1) / (self.points + 2)
        return self._highest - standard_error(share, self.points)

    def is_over(self, epoch: int) -> bool:
        """Tell whether to stop after this epoch."""
        return epoch + 1 >= self.min_epochs and epoch - self._progress >= self.patience
