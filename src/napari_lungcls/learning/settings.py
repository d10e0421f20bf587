"""The settings of a training run: one model that fills the command line, windows and files."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from napari_lungcls.errors import InputError
from napari_lungcls.learning.form_hints import (
    AUGMENTATION,
    INSTALLED,
    RUN,
    SEES,
    SPLIT,
    START,
    shown,
)
from napari_lungcls.network.engines import ENGINES
from napari_lungcls.network.engines.protocol import OptimizerOptions
from napari_lungcls.network.spec import Padding, Readout

LEAST_STEPS = 280
"""Steps that a run takes at least when `epochs` is not given; see docs/training.md."""


class TrainingSettings(BaseModel):
    """How a network is trained. Every field is an option of `lungcls train`.

    What a form needs stands beside it: a title, and what `form_hints.shown` gives.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    zooms: tuple[int, ...] = Field(
        (1, 4, 16),
        title="Zooms",
        description="factors by which the image is shrunk before the network looks",
        json_schema_extra=shown(SEES, in_sight=True),
    )
    window: int = Field(
        64,
        ge=16,
        le=512,
        title="Window",
        description="edge of the window, in level pixels",
        json_schema_extra=shown(SEES, unit="px", in_sight=True),
    )
    stages: tuple[int, ...] = Field(
        (1, 2, 3, 4),
        title="Stages",
        description="stages of the trunk that are read",
        json_schema_extra=shown(SEES),
    )
    readout: Readout = Field(
        "point",
        title="Readout",
        description="how cells become one vector",
        json_schema_extra=shown(SEES),
    )
    padding: Padding = Field(
        "reflect",
        title="Padding",
        description="what convolutions see past a window's edge",
        json_schema_extra=shown(SEES),
    )

    engine: str = Field(
        "torch",
        title="Engine",
        description="library that computes the network: torch or mxnet",
        json_schema_extra=shown(START, choices=list(ENGINES), in_sight=len(INSTALLED) > 1),
    )
    device: str = Field(
        "auto",
        title="Device",
        description="auto, cpu, cuda, cuda:N or mps",
        json_schema_extra=shown(
            START, choices=["auto", "cpu", "cuda", "mps"], other="name", in_sight=True
        ),
    )
    pretrained: str = Field(
        "none",
        title="Start from",
        description="none, imagenet, or a file of ResNet-18 weights",
        json_schema_extra=shown(START, choices=["none", "imagenet"], other="file", in_sight=True),
    )
    freeze: bool = Field(
        False,
        title="Freeze the trunk",
        description="train the heads only, the trunk stays as it is",
        json_schema_extra=shown(START),
    )

    epochs: int | None = Field(
        None,
        ge=1,
        le=100_000,
        title="Epochs",
        description=f"rounds over the points [about {LEAST_STEPS} steps]",
        json_schema_extra=shown(RUN, in_sight=True),
    )
    batch_size: int = Field(
        32,
        ge=2,
        le=4096,
        title="Batch size",
        description="points per step",
        json_schema_extra=shown(RUN, unit="points"),
    )
    learning_rate: float = Field(
        1e-3,
        gt=0,
        le=10,
        title="Learning rate",
        description="peak learning rate",
        json_schema_extra=shown(RUN),
    )
    schedule: Literal["one-cycle", "step", "constant"] = Field(
        "one-cycle",
        title="Schedule",
        description="how the learning rate changes over the run",
        json_schema_extra=shown(RUN),
    )
    step_epochs: int = Field(
        10,
        ge=1,
        title="Step after",
        description="epochs between steps of the schedule 'step'",
        json_schema_extra=shown(RUN, unit="epochs"),
    )
    step_factor: float = Field(
        0.3,
        gt=0,
        le=1,
        title="Step factor",
        description="factor at each step of the schedule 'step'",
        json_schema_extra=shown(RUN),
    )
    optimizer: Literal["adam", "adamw", "sgd"] = Field(
        "adam", title="Optimiser", description="optimiser", json_schema_extra=shown(RUN)
    )
    weight_decay: float = Field(
        1e-4,
        ge=0,
        title="Weight decay",
        description="weight decay",
        json_schema_extra=shown(RUN),
    )
    clip_norm: float = Field(
        1.0,
        gt=0,
        title="Largest gradient",
        description="largest norm of the gradient",
        json_schema_extra=shown(RUN),
    )
    dropout: float = Field(
        0.3,
        ge=0,
        lt=1,
        title="Dropout",
        description="share of the features dropped",
        json_schema_extra=shown(RUN),
    )
    zoom_dropout: float = Field(
        0.2,
        ge=0,
        lt=1,
        title="Zoom dropout",
        description="share of the zooms dropped",
        json_schema_extra=shown(RUN),
    )
    balance: bool = Field(
        True,
        title="Balance classes",
        description="draw every class equally often",
        json_schema_extra=shown(RUN),
    )
    patience: int = Field(
        20,
        ge=1,
        title="Patience",
        description="stop after this many epochs without a better validation accuracy",
        json_schema_extra=shown(RUN, unit="epochs"),
    )
    seed: int = Field(
        0,
        ge=0,
        lt=2**32,
        title="Seed",
        description="repeats a run exactly on the CPU",
        json_schema_extra=shown(RUN),
    )

    rotation: Literal["any", "right", "none"] = Field(
        "any",
        title="Turns",
        description="turns of the windows",
        json_schema_extra=shown(AUGMENTATION),
    )
    flip: bool = Field(
        True, title="Flips", description="flip windows", json_schema_extra=shown(AUGMENTATION)
    )
    random_phase: bool = Field(
        True,
        title="Random phase",
        description="put the point anywhere near the window's middle, as painting does",
        json_schema_extra=shown(AUGMENTATION),
    )
    colour: float = Field(
        0.05,
        ge=0,
        le=1,
        title="Colour changes",
        description="strength of brightness, contrast and colour changes",
        json_schema_extra=shown(AUGMENTATION),
    )

    val_fraction: float = Field(
        0.2,
        ge=0,
        lt=1,
        title="Validation share",
        description="share of the points kept for validation; 0 trains on all",
        json_schema_extra=shown(SPLIT, in_sight=True),
    )

    @field_validator("zooms", "stages", mode="before")
    @classmethod
    def _split_text(cls, value: Any) -> Any:
        """Accept `1,4,16` as the command line gives it."""
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(","))
        return (value,) if isinstance(value, int) else value

    @field_validator("zooms", "stages")
    @classmethod
    def _ascending(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or min(value) < 1 or len(set(value)) != len(value):
            raise ValueError("must be positive whole numbers, each once, such as 1,4,16")
        return tuple(sorted(value))

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
            weight_decay=self.weight_decay,
            clip_norm=self.clip_norm,
            dropout=self.dropout,
            freeze=self.freeze,
            seed=self.seed,
        )

    def epochs_for(self, n: int) -> int:
        """Return the number of epochs for `n` points: as set, or enough for `LEAST_STEPS`."""
        return self.epochs or max(10, math.ceil(LEAST_STEPS / self.steps_per_epoch(n)))

    def steps_per_epoch(self, n: int) -> int:
        """Return how many batches cover `n` points; a last small one is left out."""
        return max(1, round(n / self.batch_size))
