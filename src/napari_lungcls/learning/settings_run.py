"""Settings: how long and how fast a network learns, and what keeps it from overfitting."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, field_validator

from napari_lungcls.learning.form_hints import GENERALISE, OPTIMISER, RATE, RUN, setting

LEAST_STEPS = 280
"""Steps that a run takes at least when `epochs` is not given; see docs/training.md."""

LEAST_PER_EPOCH = 10
"""Steps between two looks at the validation points at least, when `epochs` is not given."""

FINISH = 0.4
"""Share of a training's steps for which it goes on with all points at the end."""

FINISH_RATE = 0.3
"""Share of the learning rate then. At the full rate the network loses what it has settled, and
becomes worse than its figures say; see docs/defaults.md."""


class RunSettings(BaseModel):
    """Epochs, learning rate, optimiser, regularisation and early stopping."""

    epochs: int | None = setting(
        None,
        "Epochs",
        f"rounds over the points [about {LEAST_STEPS} steps]",
        RUN,
        in_sight=True,
        ge=1,
        le=100_000,
    )
    batch_size: int = setting(
        32, "Batch size", "points per step", RUN, unit="points", ge=2, le=4096
    )
    min_epochs: int = setting(
        1,
        "Least epochs",
        "epochs before which a run never stops early",
        RUN,
        unit="epochs",
        ge=1,
    )
    patience: int = setting(
        20,
        "Patience",
        "stop after this many epochs without a better validation accuracy",
        RUN,
        unit="epochs",
        ge=1,
    )
    tolerance: float = setting(
        0.0,
        "Tolerance",
        "by how much the validation accuracy must rise to count as better",
        RUN,
        ge=0,
        lt=1,
    )
    seed: int = setting(0, "Seed", "repeats a run exactly on the CPU", RUN, ge=0, lt=2**32)

    learning_rate: float = setting(1e-3, "Learning rate", "peak learning rate", RATE, gt=0, le=10)
    schedule: Literal["one-cycle", "cosine", "step", "plateau", "constant"] = setting(
        "one-cycle", "Schedule", "how the learning rate changes over the run", RATE
    )
    warm_up: float = setting(
        0.25,
        "Warm-up",
        "share of the run in which the learning rate rises, in one-cycle and cosine",
        RATE,
        ge=0,
        lt=1,
    )
    step_epochs: int = setting(
        10,
        "Step after",
        "epochs between steps of the schedule 'step', and without progress in 'plateau'",
        RATE,
        unit="epochs",
        ge=1,
    )
    step_factor: float = setting(
        0.3, "Step factor", "factor at each step of 'step' and 'plateau'", RATE, gt=0, le=1
    )

    optimizer: Literal["adam", "adamw", "sgd", "rmsprop"] = setting(
        "adam", "Optimiser", "optimiser; sgd has Nesterov momentum", OPTIMISER
    )
    beta1: float = setting(
        0.9, "Beta 1", "decay of the first moment, in adam and adamw", OPTIMISER, ge=0, lt=1
    )
    beta2: float = setting(
        0.999,
        "Beta 2",
        "decay of the second moment, in adam, adamw and rmsprop",
        OPTIMISER,
        ge=0,
        lt=1,
    )
    epsilon: float = setting(
        1e-8, "Epsilon", "added to the root of the second moment", OPTIMISER, gt=0, le=1
    )
    momentum: float = setting(0.9, "Momentum", "momentum of sgd", OPTIMISER, gt=0, lt=1)
    weight_decay: float = setting(1e-4, "Weight decay", "weight decay", OPTIMISER, ge=0)
    clip_norm: float = setting(
        1.0, "Largest gradient", "largest norm of the gradient", OPTIMISER, gt=0
    )

    balance: Literal["sampling", "weights", "none"] = setting(
        "sampling",
        "Balance classes",
        "draw every class equally often, weigh rare classes more, or leave them as they are",
        GENERALISE,
    )
    label_smoothing: float = setting(
        0.1,
        "Label smoothing",
        "share of a label that is spread over all classes",
        GENERALISE,
        ge=0,
        lt=1,
    )
    dropout: float = setting(
        0.3, "Dropout", "share of the features dropped before the heads", GENERALISE, ge=0, lt=1
    )
    zoom_dropout: float = setting(
        0.2, "Zoom dropout", "share of the zooms dropped", GENERALISE, ge=0, lt=1
    )
    average: float = setting(
        0.0,
        "Average weights",
        "decay per step of the moving average of the weights; 0 keeps the weights themselves",
        GENERALISE,
        ge=0,
        lt=1,
    )

    @field_validator("balance", mode="before")
    @classmethod
    def _as_a_flag(cls, value: Any) -> Any:
        """Accept the flag that this was in models of earlier versions."""
        return {True: "sampling", False: "none"}[value] if isinstance(value, bool) else value
