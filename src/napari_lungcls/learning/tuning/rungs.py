"""Judging a trial while it runs: at equal shares of each training, whatever its epochs."""

from __future__ import annotations

import math

from optuna.trial import Trial

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
