"""Which examples make up the batches of an epoch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.learning.examples import Examples
from napari_lungcls.learning.settings import TrainingSettings

Rows = NDArray[np.intp]


def draw_epoch(
    examples: Examples, rows: Rows, settings: TrainingSettings, rng: np.random.Generator
) -> list[Rows]:
    """Draw the batches of one epoch.

    Parameters
    ----------
    examples
        Their classes.
    rows
        The examples that may be drawn.
    settings
        The batch size; with `balance` `sampling`, every class is drawn equally often.
    rng
        Shuffles.

    Returns
    -------
    list of ndarray
        `settings.steps_per_epoch(len(rows))` batches of `batch_size` rows.
    """
    steps, size = settings.steps_per_epoch(len(rows)), settings.batch_size
    count = steps * size
    if settings.balance == "sampling":
        codes = examples.codes[rows]
        classes = np.unique(codes)
        share = -(-count // len(classes))
        groups = [_repeat(rows[codes == c], share, rng) for c in classes]
        drawn = rng.permutation(np.stack(groups, 1).reshape(-1)[:count])
    else:
        drawn = _repeat(rows, count, rng)
    return np.split(drawn, steps)


def sample_weights(
    codes: NDArray[np.int64], settings: TrainingSettings, classes: int
) -> NDArray[np.float32]:
    """Weigh classes for the loss, `(classes,)`: `n / (classes · n_class)` with `balance` `weights`.

    King and Zeng 2001, doi 10.1093/oxfordjournals.pan.a004868; what scikit-learn calls
    `balanced`. Otherwise every class weighs 1.
    """
    counts = np.bincount(codes, minlength=classes)
    if settings.balance != "weights":
        return np.ones(classes, np.float32)
    weights: NDArray[np.float32] = (len(codes) / (classes * np.maximum(counts, 1))).astype(
        np.float32
    )
    return weights


def _repeat(rows: Rows, count: int, rng: np.random.Generator) -> Rows:
    """Shuffle the rows again and again until there are `count`."""
    return np.concatenate([*_shuffles(rows, count, rng)])[:count]


def _shuffles(rows: Rows, count: int, rng: np.random.Generator) -> Iterator[Rows]:
    for _ in range(-(-count // len(rows))):
        yield rng.permutation(rows)
