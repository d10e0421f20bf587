"""The settings of a training run: one model that fills the command line, windows and files."""

from __future__ import annotations

import math
from typing import Any

from pydantic import ConfigDict, ValidationError

from napari_lungcls.errors import InputError
from napari_lungcls.learning.settings_data import (
    AnswerSettings,
    AugmentationSettings,
    SplitSettings,
)
from napari_lungcls.learning.settings_network import ALL, FEW, SHALLOW, NetworkSettings
from napari_lungcls.learning.settings_run import (
    FINISH,
    FINISH_RATE,
    LEAST_PER_EPOCH,
    LEAST_STEPS,
    RunSettings,
)
from napari_lungcls.network.engines.protocol import OptimizerOptions

CONTEXT = 100.0
"""Micrometres that the coarsest window spans at least when zooms are chosen by pixel size."""


class TrainingSettings(
    AnswerSettings, SplitSettings, AugmentationSettings, RunSettings, NetworkSettings
):
    """How a network is trained. Every field is an option of `lungcls train`.

    What a form needs stands beside it: see `form_hints.setting`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def check(cls, **values: Any) -> TrainingSettings:
        """Build settings from what a user typed.

        Raises
        ------
        InputError
            One line that names the option and what is wrong with it.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            first = error.errors()[0]
            option = str(first["loc"][0]).replace("_", "-") if first["loc"] else "settings"
            reason = str(first["msg"]).removeprefix("Value error, ")
            raise InputError(f"--{option} {first.get('input')}: {reason}") from error

    @property
    def optimizer_options(self) -> OptimizerOptions:
        """The part that an engine needs."""
        return OptimizerOptions(
            optimizer=self.optimizer,
            betas=(self.beta1, self.beta2),
            epsilon=self.epsilon,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            clip_norm=self.clip_norm,
            label_smoothing=self.label_smoothing,
            dropout=self.dropout,
            freeze=self.freeze or self.thaw_after > 0,
            trunk_rate=self.trunk_rate,
            precision=self.precision,
            seed=self.seed,
        )

    def resolved(self, pixel_size: float | None, n: int | None = None) -> TrainingSettings:
        """Choose zooms and stages where they were left to the program.

        Zoom 1, and four times coarser ones until a window spans `CONTEXT`; zoom 1 alone where
        the pixel size is not known. The first two stages for fewer than `FEW` points that
        a whole network is trained on from the beginning, else all four. docs/defaults.md has the
        measurements behind it.

        Parameters
        ----------
        pixel_size
            Micrometres per pixel.
        n
            Points, before they are split; many if not given.
        """
        zooms = [1]
        while pixel_size is not None and self.window * zooms[-1] * pixel_size < CONTEXT:
            zooms.append(4 * zooms[-1])
        learned = self.pretrained == "none" and not self.freeze and self.readout == "point"
        stages = SHALLOW if learned and n is not None and n < FEW else ALL
        return self.model_copy(
            update={"zooms": self.zooms or tuple(zooms), "stages": self.stages or stages}
        )

    def finishing(self, before: int, n: int) -> TrainingSettings:
        """Return the settings to go on with on `n` points, after a training on `before`."""
        steps = FINISH * self.epochs_for(before) * self.steps_per_epoch(before)
        epochs = max(1, round(steps / max(1, round(n / self.batch_size))))
        rate = FINISH_RATE * self.learning_rate
        return self.model_copy(update={"epochs": epochs, "learning_rate": rate, "thaw_after": 0})

    def epochs_for(self, n: int) -> int:
        """Return the number of epochs for `n` points: as set, or enough for `LEAST_STEPS`."""
        return self.epochs or max(10, math.ceil(LEAST_STEPS / self.steps_per_epoch(n)))

    def steps_per_epoch(self, n: int) -> int:
        """Return the batches of an epoch: they cover `n` points; a last small one is left out.

        Where the program chooses the epochs, few points are gone over several times in each.
        """
        least = 1 if self.epochs else LEAST_PER_EPOCH
        return max(least, round(n / self.batch_size))
