"""The settings of a training run: one model that fills the command line, windows and files."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from napari_lungcls.errors import InputError
from napari_lungcls.network.engines.protocol import OptimizerOptions
from napari_lungcls.network.spec import Padding, Readout

LEAST_STEPS = 280
"""Steps that a run takes at least when `epochs` is not given; see docs/training.md."""


class TrainingSettings(BaseModel):
    """How a network is trained. Every field is an option of `lungcls train`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # What the network sees.
    zooms: tuple[int, ...] = Field(
        (1, 4, 16), description="factors by which the image is shrunk before the network looks"
    )
    window: int = Field(64, ge=16, le=512, description="edge of the window, in level pixels")
    stages: tuple[int, ...] = Field((1, 2, 3, 4), description="stages of the trunk that are read")
    readout: Readout = Field("point", description="how cells become one vector")
    padding: Padding = Field("reflect", description="what convolutions see past a window's edge")

    # Where it runs, and from what it starts.
    engine: str = Field("torch", description="library that computes the network: torch or mxnet")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps")
    pretrained: str = Field("none", description="none, imagenet, or a file of ResNet-18 weights")
    freeze: bool = Field(False, description="train the heads only, the trunk stays as it is")

    # The run.
    epochs: int | None = Field(
        None, ge=1, le=100_000, description=f"rounds over the points [about {LEAST_STEPS} steps]"
    )
    batch_size: int = Field(32, ge=2, le=4096, description="points per step")
    learning_rate: float = Field(1e-3, gt=0, le=10, description="peak learning rate")
    schedule: Literal["one-cycle", "step", "constant"] = Field(
        "one-cycle", description="how the learning rate changes over the run"
    )
    step_epochs: int = Field(10, ge=1, description="epochs between steps of the schedule 'step'")
    step_factor: float = Field(
        0.3, gt=0, le=1, description="factor at each step of the schedule 'step'"
    )
    optimizer: Literal["adam", "adamw", "sgd"] = Field("adam", description="optimiser")
    weight_decay: float = Field(1e-4, ge=0, description="weight decay")
    clip_norm: float = Field(1.0, gt=0, description="largest norm of the gradient")
    dropout: float = Field(0.3, ge=0, lt=1, description="share of the features dropped")
    zoom_dropout: float = Field(0.2, ge=0, lt=1, description="share of the zooms dropped")
    balance: bool = Field(True, description="draw every class equally often")
    patience: int = Field(
        20, ge=1, description="stop after this many epochs without a better validation accuracy"
    )
    seed: int = Field(0, ge=0, lt=2**32, description="repeats a run exactly on the CPU")

    # Augmentation.
    rotation: Literal["any", "right", "none"] = Field("any", description="turns of the windows")
    flip: bool = Field(True, description="flip windows")
    random_phase: bool = Field(
        True, description="put the point anywhere near the window's middle, as painting does"
    )
    colour: float = Field(
        0.05, ge=0, le=1, description="strength of brightness, contrast and colour changes"
    )

    # The split.
    val_fraction: float = Field(
        0.2, ge=0, lt=1, description="share of the points kept for validation; 0 trains on all"
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
