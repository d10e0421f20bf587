"""The settings of a training run: one model that fills the command line, windows and files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

from pydantic import ConfigDict, ValidationError, model_validator

from napari_lungcls.errors import InputError
from napari_lungcls.learning.settings_data import (
    AnswerSettings,
    AugmentationSettings,
    SplitSettings,
)
from napari_lungcls.learning.settings_network import (
    FAST,
    FEW,
    FROZEN,
    RARE,
    SLOW,
    SMALL,
    TWO,
    NetworkSettings,
)
from napari_lungcls.learning.settings_run import (
    FINISH,
    FINISH_RATE,
    LEAST_STEPS,
    MOST_STEPS,
    PIXELS,
    SLOW_STEPS,
    STEPS_PER_EPOCH,
    STEPS_PER_POINT,
    TILE,
    RunSettings,
)
from napari_lungcls.network.engines.protocol import OptimizerOptions
from napari_lungcls.network.parameters import DETAIL, STAGE_NAMES
from napari_lungcls.utils.renamed import RENAMED, current_name, current_names


class TrainingSettings(
    AnswerSettings, SplitSettings, AugmentationSettings, RunSettings, NetworkSettings
):
    """How a network is trained. Every field is an option of the command line as well.

    What a form needs stands beside it: see `form_hints.setting`.

    Examples
    --------
    >>> settings = lc.TrainingSettings(epochs=10, zooms=(1, 4), seed=7)
    >>> settings.epochs, settings.zooms
    (10, (1, 4))
    >>> settings.model_copy(update={"epochs": 20}).epochs
    20
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _accept_former_names(cls, values: Any) -> Any:
        return current_names(values) if isinstance(values, Mapping) else values

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copy the settings, with some changed; see pydantic."""
        return super().model_copy(update=current_names(update or {}), deep=deep)

    @classmethod
    def check(cls, **values: Any) -> TrainingSettings:
        """Build settings from what a user typed.

        Raises
        ------
        InputError
            Naming the setting, and what is wrong with it.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0]) if first["loc"] else None
            reason = str(first["msg"]).removeprefix("Value error, ").removeprefix("Input ")
            raise InputError(f"{reason} (got {first.get('input')})", setting=name) from error

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
            freeze=self.freezes or self.unfreeze_after > 0,
            backbone_lr_factor=self.backbone_lr_factor or 1.0,
            precision=self.precision,
            seed=self.seed,
        )

    @property
    def freezes(self) -> bool:
        """Whether only the heads are fitted, once `resolved`."""
        return self.freeze == "yes"

    def resolved(
        self,
        n: int,
        *,
        rarest: int = 0,
        extent: int = TILE,
        weights: tuple[int, ...] = (),
        pixel_size: float | None = None,
    ) -> TrainingSettings:
        """Choose what was left to the program; docs/defaults.md has the measurements behind it.

        Parameters
        ----------
        n
            Points, before they are split.
        rarest
            How many of them the class has that has fewest; 0 if that is not known.
        extent
            Longest edge of the images, in pixels.
        weights
            Stages of the backbone that have weights from a file, the stem as 0; none if it begins
            with random numbers.
        pixel_size
            Micrometres per pixel, if known.
        """
        reads_points = bool(weights) and self.pooling == "point"
        freeze = self.freeze
        if freeze == "auto":
            freeze = "yes" if reads_points and n < FEW else "no"
        keeping = SLOW if rarest < RARE else FAST
        every = tuple(STAGE_NAMES)
        known = tuple(s for s in every if s in weights or s == DETAIL)
        is_small = self.pooling == "point" and pixel_size is not None and pixel_size < SMALL
        learning = TWO if reads_points or is_small else (1,)
        zooms = self.zooms or (FROZEN if reads_points and freeze == "yes" else learning)
        # A tile is no larger than the image, in whole cells of the deepest stage.
        needed = 32 * math.ceil(extent / zooms[0] / 32)
        tile = self.tile or min(TILE, needed)
        return self.model_copy(
            update={
                "freeze": freeze,
                "zooms": zooms,
                "stages": self.stages or (known if weights else every),
                "tile": tile,
                "backbone_lr_factor": self.backbone_lr_factor or (keeping if weights else 1.0),
                "batch_size": self.batch_size or max(1, PIXELS // (tile**2 * len(zooms))),
            }
        )

    def finishing(self, before: int, n: int) -> TrainingSettings:
        """Return the settings to go on with on `n` points, after a training on `before`."""
        steps = FINISH * self.epochs_for(before) * self.steps_per_epoch(before)
        rate = FINISH_RATE * self.learning_rate
        now = self.model_copy(update={"epochs": 1, "learning_rate": rate, "unfreeze_after": 0})
        # Epochs are shorter where their number is given.
        return now.model_copy(update={"epochs": max(1, round(steps / now.steps_per_epoch(n)))})

    def epochs_for(self, n: int) -> int:
        """Return the number of epochs for `n` examples: as set, or enough for so many."""
        if self.epochs:
            return self.epochs
        if self.pooling == "mean":
            return max(10, math.ceil(LEAST_STEPS / self.steps_per_epoch(n)))
        least = LEAST_STEPS if (self.backbone_lr_factor or 1.0) == 1.0 else SLOW_STEPS
        steps = min(MOST_STEPS, max(least, round(STEPS_PER_POINT * n)))
        return max(1, round(steps / self.steps_per_epoch(n)))

    def steps_per_epoch(self, n: int) -> int:
        """Return the steps of an epoch.

        Patches: as many as it takes to see each of `n` once. Points share tiles: at most
        `STEPS_PER_EPOCH`, and as many of those where the program chooses the epochs.
        """
        assert self.batch_size is not None
        if self.pooling == "mean":
            return max(1, round(n / self.batch_size))
        least = 1 if self.epochs else STEPS_PER_EPOCH
        return max(least, min(STEPS_PER_EPOCH, math.ceil(n / self.batch_size)))


def _former(name: str) -> property:
    return property(lambda settings: getattr(settings, current_name(name)))


for _name in RENAMED:
    setattr(TrainingSettings, _name, _former(_name))
