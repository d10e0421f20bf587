"""A made image of three tissues that a small network learns in seconds."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.images.pairs import Pair
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.learning.run import Trained, TrainingProgress, run_training
from napari_lungcls.learning.settings import TrainingSettings

# Threads would wait for each other in networks as small as these.
torch.set_num_threads(1)

SCHEME = ClassScheme.of_names(["dark", "grey", "bright"])
QUICK = TrainingSettings(
    final="none",
    pretrained="none",
    freeze="no",
    zooms=(1, 2),
    tile=32,
    stages=(-1, 1),
    hidden=8,
    epochs=3,
    batch_size=16,
    device="cpu",
    seed=1,
)

READS = 5
"""Blocks around the points of a scene at the zooms of `QUICK`: four, and one."""


def scene(seed: int = 0, **options: Any) -> Pair:
    """Three kinds of tissue in squares of 40 pixels, and 90 points well inside them."""
    rng = np.random.default_rng(seed)
    kinds = rng.permutation(np.arange(100) % 3).reshape(10, 10)
    image = np.array([60, 120, 190])[kinds].repeat(40, 0).repeat(40, 1)
    image = image[..., None] + rng.normal(0, 12, (400, 400, 3))
    places = rng.permutation(100)[:90]
    where = np.column_stack([places // 10, places % 10]) * 40 + rng.uniform(15, 25, (90, 2))
    labels = [SCHEME.names[kinds.reshape(-1)[i]] for i in places]
    stack = ImageStack(image.clip(0, 255).astype(np.uint8), **({"source": "a.tif"} | options))
    return stack, Points.build(where, labels)


def run(
    pairs: Any, settings: TrainingSettings = QUICK, **options: Any
) -> tuple[list[TrainingProgress], Trained]:
    steps, generator = [], run_training(pairs, settings, SCHEME, **options)
    while True:
        try:
            steps.append(next(generator))
        except StopIteration as end:
            return steps, end.value


def exhausted(generator: Any) -> Trained:
    """Run to the end, whatever is reported on the way."""
    while True:
        try:
            next(generator)
        except StopIteration as end:
            trained: Trained = end.value
            return trained


def same(first: Trained, second: Trained) -> bool:
    return first.state.keys() == second.state.keys() and all(
        np.array_equal(array, second.state[name]) for name, array in first.state.items()
    )
