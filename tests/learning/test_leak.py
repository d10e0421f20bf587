"""Figures of a model that has learned nothing are chance, because nothing leaks."""

from __future__ import annotations

import numpy as np

from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.imaging.stack import ImageStack
from napari_lungcls.learning.layout import Pair
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.splits import Split
from napari_lungcls.learning.training import run_training
from three_tissues import exhausted

SCHEME = ClassScheme.of_names(["heads", "tails"])
SETTINGS = TrainingSettings(
    final="none",
    zooms=(1,), window=16, stages=(1,), epochs=10, batch_size=32, device="cpu", seed=1,
    learning_rate=3e-3, dropout=0, colour=0, sharpness=0, rotation="none", flip=False,
    random_phase=False,
    val_fraction=0.35, patience=99,
)  # fmt: skip
CLUSTERS, EACH, APART = 144, 5, 28


def meaningless(seed: int) -> tuple[Pair, np.ndarray]:
    """Make smooth noise, and tight clusters of points, each of a class drawn by lot."""
    rng = np.random.default_rng(seed)
    across = int(np.sqrt(CLUSTERS))
    coarse = rng.uniform(0, 255, (across * APART // 4,) * 2)
    image = coarse.repeat(4, 0).repeat(4, 1)
    cluster = np.arange(CLUSTERS).repeat(EACH)
    centres = np.stack([cluster // across, cluster % across], 1) * APART + APART / 2
    where = centres + rng.uniform(-1.5, 1.5, centres.shape)
    codes = rng.permutation(np.arange(CLUSTERS) % 2)[cluster]
    points = Points.build(where, [SCHEME.names[code] for code in codes])
    return (ImageStack(image.astype(np.uint8), source="noise.tif"), points), cluster


def test_a_split_with_a_buffer_gives_chance_and_a_random_one_flatters() -> None:
    pair, cluster = meaningless(0)
    honest = exhausted(run_training([pair], SETTINGS, SCHEME)).document
    rows = np.random.default_rng(0).permutation(len(cluster))
    cut = len(rows) // 3
    plain = Split(np.sort(rows[cut:]), np.sort(rows[:cut]))
    flattered = exhausted(run_training([pair], SETTINGS, SCHEME, split=plain)).document
    assert honest.validation is not None
    assert flattered.validation is not None
    # The points of a cluster are one throw of the coin, not five.
    error = np.sqrt(0.25 / (honest.split["validation"] / EACH))
    assert abs(honest.validation["accuracy"] - 0.5) < 3 * error
    assert honest.split["n_buffered"] > 0
    assert flattered.validation["accuracy"] > 0.5 + 3 * error
    assert flattered.validation["accuracy"] > honest.validation["accuracy"] + 0.25
