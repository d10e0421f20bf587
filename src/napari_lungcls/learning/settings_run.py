"""Settings: how long and how fast a network learns, and what keeps it from overfitting."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import BaseModel, field_validator

from napari_lungcls.learning.form_hints import GENERALISE, OPTIMISER, RATE, RUN, setting

STEPS_PER_POINT, LEAST_STEPS, MOST_STEPS = 0.55, 240, 800
"""Steps of a run when `epochs` is not given, see docs/defaults.md: so many for each point, within
these limits."""

SLOW_STEPS = 480
"""The least where the backbone learns at a part of the rate, to keep its weights."""

STEPS_PER_EPOCH = 40
"""Steps between two looks at the validation points, at most where points are learned from."""

PIXELS = 2**18
"""Zoomed pixels of a step's tiles at the finest zoom, where the program chooses their number."""

TILE = 256
"""Edge of the tiles, where the image is not smaller; see docs/defaults.md."""

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
        f"rounds, each of at most {STEPS_PER_EPOCH} steps where points are learned from "
        f"[{LEAST_STEPS} to {MOST_STEPS} steps in all, more for more points]",
        RUN,
        in_sight=True,
        ge=1,
        le=100_000,
    )
    batch_size: int | None = setting(
        None,
        "Batch size",
        "tiles, or patches, per step [as many as have 512² pixels; 32 patches]",
        RUN,
        unit="tiles",
        typical=8,
        ge=1,
        le=4096,
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
    min_delta: float = setting(
        0.0,
        "Least improvement",
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

    prior: tuple[float, ...] | Literal["points", "equal"] = setting(
        "points",
        "Class frequencies",
        "how frequent the classes are in the tissue: as among the points, all equal, or numbers "
        "in the order of the classes, such as 0.6,0.2,0.2; labels are weighed accordingly",
        GENERALISE,
        choices=["points", "equal"],
        other="numbers",
        words={"points": "as among the points", "equal": "all equal"},
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
        0.0, "Dropout", "share of the features dropped before the heads", GENERALISE, ge=0, lt=1
    )
    zoom_dropout: float = setting(
        0.2, "Zoom dropout", "share of the zooms dropped", GENERALISE, ge=0, lt=1
    )

    @field_validator("prior", mode="before")
    @classmethod
    def _split_prior(cls, value: Any) -> Any:
        """Accept `0.6,0.2,0.2` as the command line gives it."""
        if isinstance(value, str) and value.strip().lower() not in ("points", "equal"):
            return tuple(part.strip() for part in value.split(","))
        return value.strip().lower() if isinstance(value, str) else value

    @field_validator("prior")
    @classmethod
    def _frequencies(cls, value: Any) -> Any:
        if isinstance(value, tuple) and not (value and all(0 < v < math.inf for v in value)):
            raise ValueError("must be 'points', 'equal', or a positive number for each class")
        return value
