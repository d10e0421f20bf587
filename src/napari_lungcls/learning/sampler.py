"""Which examples the steps of an epoch are drawn around, and how much each class weighs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.learning.examples import Examples
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.splits import Rows

MIXED_RUNS = 64
"""Runs of neighbouring rows whose examples are shuffled together."""


def draw_epoch(
    examples: Examples, rows: Rows, settings: TrainingSettings, rng: np.random.Generator
) -> list[Rows]:
    """Draw the examples around which the tiles of an epoch lie, step by step.

    Parameters
    ----------
    examples
        How many of them are read together.
    rows
        The examples that may be drawn.
    settings
        The batch size.
    rng
        Shuffles.

    Returns
    -------
    list of ndarray
        `settings.steps_per_epoch(len(rows))` arrays of `batch_size` rows.

    Notes
    -----
    Examples that are read in runs are shuffled run by run: the runs of the whole set come in
    random order, and the rows of `MIXED_RUNS` of them at a time are mixed. Nobody then has to
    hold or jump around in the whole file.
    """
    steps, size = settings.steps_per_epoch(len(rows)), settings.batch_size
    assert size is not None
    if examples.run_length > 1:
        return np.split(_mixed_runs(examples, rows, steps * size, rng), steps)
    return np.split(np.concatenate([*_shuffles(rows, steps * size, rng)])[: steps * size], steps)


def class_weights(
    codes: NDArray[np.int64], settings: TrainingSettings, classes: int
) -> NDArray[np.float32]:
    """Weigh classes for the loss, `(classes,)`, as the tissue has them and not the points.

    A class that is `p` of the tissue and `q` of the points weighs `p / q`
    (King and Zeng 2001, doi 10.1093/oxfordjournals.pan.a004868).

    Raises
    ------
    InputError
        When the settings give frequencies for another number of classes.
    """
    if settings.prior == "points":
        return np.ones(classes, np.float32)
    wanted = np.full(classes, 1 / classes)
    if isinstance(settings.prior, tuple):
        if len(settings.prior) != classes:
            raise InputError(
                f"there are {classes} classes, and {len(settings.prior)} class frequencies were "
                "given; give one for each, in the order of the classes"
            )
        wanted = np.asarray(settings.prior) / sum(settings.prior)
    counts = np.bincount(codes, minlength=classes)
    weights: NDArray[np.float32] = (wanted * len(codes) / np.maximum(counts, 1)).astype(np.float32)
    return weights


def _mixed_runs(examples: Examples, rows: Rows, count: int, rng: np.random.Generator) -> Rows:
    """Draw rows so that those drawn near each other come from few runs."""
    run = rows // examples.run_length
    _, run = np.unique(run, return_inverse=True)
    turn = rng.permutation(run.max() + 1)
    # Runs in their turn, and the rows of each in random order.
    ordered = rows[np.lexsort((rng.random(len(rows)), turn[run]))]
    drawn = ordered[np.arange(count) * len(rows) // count]
    _, first = np.unique(drawn // examples.run_length, return_index=True)
    met = np.zeros(count, np.intp)
    met[first] = 1
    pool = (np.cumsum(met) - 1) // MIXED_RUNS
    mixed: Rows = drawn[np.lexsort((rng.random(count), pool))]
    return mixed


def _shuffles(rows: Rows, count: int, rng: np.random.Generator) -> Iterator[Rows]:
    for _ in range(-(-count // len(rows))):
        yield rng.permutation(rows)
