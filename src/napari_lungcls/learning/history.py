"""What is remembered of every epoch of a training."""

from __future__ import annotations

from dataclasses import dataclass

TRAINING, VALIDATION = "#2f8fd8", "#e0701a"
"""Colours of the curves of a training: blue and orange, which everyone can tell apart and which
stand out from dark and light backgrounds."""


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
