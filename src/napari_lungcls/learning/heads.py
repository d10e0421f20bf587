"""Heads for a trunk that stays as it is: features once, then a logistic regression on them."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Generator

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.imaging.windows import batches
from napari_lungcls.learning.augmentation import augmented
from napari_lungcls.learning.examples import Examples
from napari_lungcls.learning.history import EpochRecord
from napari_lungcls.learning.loop import ASKED_TOGETHER, Logits, Part, logits_of
from napari_lungcls.learning.progress import Clock, TrainingProgress
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.network.engines import Engine, State
from napari_lungcls.network.readouts import readouts_at
from napari_lungcls.network.spec import NetworkSpec

VIEWS = 4000
"""Windows whose features are taken at most; a few points are seen in several poses each."""
MOST_POSES = 8
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
"""Inverse regularisation strengths that are tried; the validation points choose."""
USUAL_STRENGTH = 1e-3
"""The one that is taken without validation points."""


def poses_for(n: int) -> int:
    """Return in how many poses each of `n` points is seen."""
    return max(1, min(MOST_POSES, VIEWS // max(1, n)))


def fit_heads(
    engine: Engine,
    examples: Examples,
    part: Part,
    settings: TrainingSettings,
    seed: tuple[int, int],
    clock: Clock,
    before: int,
    cancelled: Callable[[], bool],
) -> Generator[TrainingProgress, None, tuple[list[EpochRecord], Logits | None]]:
    """Fit the heads of a network whose trunk stays bit-identical, and load them.

    Parameters
    ----------
    engine
        The network; its heads are replaced.
    examples, part, settings
        What to learn from, and the augmentation.
    seed
        Of the poses.
    clock, before
        For the progress; every point counts as one step.
    cancelled
        Asked after every batch.

    Yields
    ------
    TrainingProgress

    Returns
    -------
    history, logits
        The one epoch, and the answers for the validation rows.

    Raises
    ------
    InputError
        When cancelled, because there is nothing to keep.

    Notes
    -----
    Multinomial logistic regression of scikit-learn (L2, L-BFGS) on standardised features; the
    standardisation is folded into the heads.
    """
    began, rng = time.perf_counter(), np.random.default_rng(seed)
    rows = np.tile(part.train, poses_for(len(part.train)))
    found, done = [], 0
    for chunk in batches(len(rows), ASKED_TOGETHER):
        if cancelled():
            raise InputError("training was cancelled before the heads were fitted; nothing is left")
        squares, places = examples.around(rows[chunk])
        spec = engine.spec
        windows, places = augmented(squares, places, settings, spec.normalisation, rng)
        found.append(_flat(engine.features(windows, readouts_at(spec, places)), spec))
        done += len(windows)
        yield TrainingProgress(
            "training", before + done, clock.total, 0, 1, None, None,
            clock.seconds, clock.remaining(before + done), part.name,
        )  # fmt: skip
    features, codes = np.concatenate(found), examples.codes[rows]
    best: tuple[float, State, Logits | None, float, float] | None = None
    for strength in STRENGTHS if len(part.validation) else (USUAL_STRENGTH,):
        heads, loss, accuracy = _regression(features, codes, strength, settings, engine.spec)
        engine.load(heads, partial=True)
        logits = logits_of(engine, examples, part.validation) if len(part.validation) else None
        judged = loss if logits is None else _loss(logits, examples.codes[part.validation])
        if best is None or judged < best[0]:
            best = (judged, heads, logits, loss, accuracy)
    assert best is not None
    judged, heads, logits, loss, accuracy = best
    engine.load(heads, partial=True)
    right = None
    if logits is not None:
        right = float((logits.argmax(1) == examples.codes[part.validation]).mean())
    record = EpochRecord(
        1, 0.0, loss, accuracy, None if logits is None else judged, right,
        time.perf_counter() - began,
    )  # fmt: skip
    yield TrainingProgress(
        "training", before + len(rows), clock.total, 1, 1, loss, record,
        clock.seconds, clock.remaining(before + len(rows)), part.name,
    )  # fmt: skip
    return [record], logits


def _flat(features: dict[int, NDArray[np.float32]], spec: NetworkSpec) -> NDArray[np.float32]:
    """Put the features `(n, zooms, channels)` of all stages side by side."""
    return np.concatenate([features[s].reshape(len(features[s]), -1) for s in spec.stages], 1)


def _regression(
    features: NDArray[np.float32],
    codes: NDArray[np.int64],
    strength: float,
    settings: TrainingSettings,
    spec: NetworkSpec,
) -> tuple[State, float, float]:
    """Fit heads; return them with the training loss and accuracy."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    mean = features.mean(0, dtype=np.float64)
    spread = np.maximum(features.std(0, dtype=np.float64), 1e-6)
    model = LogisticRegression(
        C=strength,
        max_iter=200,
        class_weight=None if settings.balance == "none" else "balanced",
    )
    scaled = (features - mean) / spread
    with warnings.catch_warnings():
        # A preview may stop short of the last digit.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(scaled, codes)
    weights, bias = model.coef_, model.intercept_
    if len(weights) == 1:  # two classes share one row
        weights, bias = np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
    odds = model.predict_log_proba(scaled)
    loss = float(-odds[np.arange(len(codes)), codes].mean())
    accuracy = float((odds.argmax(1) == codes).mean())
    return _as_heads(weights / spread, bias - (weights / spread) @ mean, spec), loss, accuracy


def _as_heads(weights: NDArray[np.float64], bias: NDArray[np.float64], spec: NetworkSpec) -> State:
    """Cut the weights `(classes, features)` into the arrays of the network."""
    from napari_lungcls.network.parameters import stage_channels

    state: State = {spec.bias_name: bias.astype(np.float32)}
    first = 0
    for stage in spec.stages:
        for zoom in spec.zooms:
            last = first + stage_channels(stage)
            state[spec.head_name(zoom, stage)] = weights[:, first:last].astype(np.float32)
            first = last
    return state


def _loss(logits: Logits, codes: NDArray[np.int64]) -> float:
    from scipy.special import log_softmax

    chosen = log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(codes)), codes]
    return float(-chosen.mean()) if len(codes) else math.inf
