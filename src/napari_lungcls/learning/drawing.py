"""Which examples make up the batches of an epoch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.learning.examples import Examples
from napari_lungcls.learning.settings import TrainingSettings

Rows = NDArray[np.intp]

MIXED_RUNS = 64
"""Runs of neighbouring rows whose examples are shuffled together."""


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

    Notes
    -----
    Examples that are read in runs are shuffled run by run: the runs of the whole set come in
    random order, and the rows of `MIXED_RUNS` of them at a time are mixed. Nobody then has to
    hold or jump around in the whole file.
    """
    steps, size = settings.steps_per_epoch(len(rows)), settings.batch_size
    count = steps * size
    if examples.run_length > 1:
        return np.split(_mixed_runs(examples, rows, count, settings, rng), steps)
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


def _mixed_runs(
    examples: Examples, rows: Rows, count: int, settings: TrainingSettings,
    rng: np.random.Generator,
) -> Rows:  # fmt: skip
    """Draw rows so that those drawn near each other come from few runs.

    All classes go through the runs side by side, so that each run is read about once; a row
    of a rare class is drawn several times while its run is there.
    """
    run = rows // examples.run_length
    _, run = np.unique(run, return_inverse=True)
    turn = rng.permutation(run.max() + 1)
    # Runs in their turn, and the rows of each in random order.
    ordered = rows[np.lexsort((rng.random(len(rows)), turn[run]))]
    codes = examples.codes[ordered]
    balanced = settings.balance == "sampling"
    classes = [codes == c for c in np.unique(codes)] if balanced else [np.ones(len(rows), bool)]
    share = -(-count // len(classes))
    groups = [ordered[mask][np.arange(share) * mask.sum() // share] for mask in classes]
    drawn = np.stack(groups, 1).reshape(-1)[:count]
    _, first = np.unique(drawn // examples.run_length, return_index=True)
    met = np.zeros(count, np.intp)
    met[first] = 1
    pool = (np.cumsum(met) - 1) // MIXED_RUNS
    mixed: Rows = drawn[np.lexsort((rng.random(count), pool))]
    return mixed


def _repeat(rows: Rows, count: int, rng: np.random.Generator) -> Rows:
    """Shuffle the rows again and again until there are `count`."""
    return np.concatenate([*_shuffles(rows, count, rng)])[:count]


def _shuffles(rows: Rows, count: int, rng: np.random.Generator) -> Iterator[Rows]:
    for _ in range(-(-count // len(rows))):
        yield rng.permutation(rows)
