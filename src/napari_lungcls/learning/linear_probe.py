"""A linear map on the features of a frozen backbone: a quick map, or a start for training."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from napari_lungcls.errors import InputError
from napari_lungcls.learning.augmentation import places_in_tiles, posed, right_pose
from napari_lungcls.learning.examples import Crops, Examples, Side
from napari_lungcls.learning.progress import Clock, EpochRecord, TrainingProgress
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.trainer import (
    ASKED_PIXELS,
    Logits,
    TrainingPart,
    class_weights,
    logits_of,
)
from napari_lungcls.network.engines import Engine, State, create_engine
from napari_lungcls.network.parameters import STAGE_NAMES, stage_channels
from napari_lungcls.network.spec import NetworkSpec
from napari_lungcls.network.tiles import Tiles

VIEWS = 12_000
"""Vectors of features that are taken at most; up to 1500 points are seen in all poses."""
MOST_POSES = 8
"""Right angles and flips, which keep every pixel as it is."""
STRENGTHS = (1e-3, 1e-2, 1e-1)
"""Inverse regularisation strengths that are tried; the validation points choose."""
USUAL_STRENGTH = 1e-2
"""The one that is taken without validation points."""


def poses_for(n: int) -> int:
    """Return in how many poses each of `n` examples is seen."""
    return max(1, min(MOST_POSES, VIEWS // max(1, n)))


def fit_linear_probe(
    engine: Engine,
    examples: Examples,
    part: TrainingPart,
    settings: TrainingSettings,
    clock: Clock,
    before: int,
    steps: int,
    cancelled: Callable[[], bool],
    stages: Sequence[int] = tuple(STAGE_NAMES),
) -> Generator[TrainingProgress, None, tuple[list[EpochRecord], Logits | None]]:
    """Fit the heads of a network whose backbone stays bit-identical, and load them.

    Parameters
    ----------
    engine
        The network; its heads are replaced.
    examples, part, settings
        What to learn from.
    clock, before, steps
        For the progress: steps of what came before, and as how many all examples count.
    cancelled
        Asked before every batch.
    stages
        What the map may read; the heads of other stages become 0.

    Yields
    ------
    TrainingProgress

    Returns
    -------
    history, logits
        The one epoch, and the logits of the validation side.

    Raises
    ------
    InputError
        When cancelled, because there is nothing to keep.

    Notes
    -----
    Multinomial logistic regression of scikit-learn (L2, L-BFGS) on standardised features; the
    standardisation is folded into the heads. A hidden layer holds the linear map exactly: each
    class is `relu(a) − relu(−a)` of two units.
    """
    began, side = time.perf_counter(), part.train
    views = np.empty(
        (poses_for(len(side)), len(side), sum(stage_channels(s) for _, s in engine.spec.reads)),
        np.float32,
    )
    done = 0
    for read in _read_views(engine, examples, side, settings, views):
        if cancelled():
            raise InputError("training was cancelled before the heads were fitted; nothing is left")
        done += read
        now = before + steps * done // (len(engine.spec.zooms) * len(views) * len(side))
        yield TrainingProgress(
            "training", now, clock.total, 0, 1, None, None,
            clock.seconds, clock.remaining(now), part.name,
        )  # fmt: skip
    features = views.reshape(len(views) * len(side), -1)
    codes = np.tile(examples.codes[side.rows], len(views))
    weights = class_weights(examples.codes[side.rows], settings, engine.spec.classes)[codes]
    may_read = np.concatenate(
        [np.full(stage_channels(stage), stage in stages) for _, stage in engine.spec.reads]
    )
    start, truth = engine.state(), examples.codes[part.validation.rows]
    best: tuple[float, State, Logits | None, float, float] | None = None
    for strength in STRENGTHS if len(truth) else (USUAL_STRENGTH,):
        linear, loss, accuracy = regression(features, codes, weights, strength, may_read)
        heads = as_heads(*linear, features, start, engine.spec)
        engine.load(heads, partial=True)
        logits = logits_of(engine, examples, part.validation) if len(truth) else None
        judged = loss if logits is None else _loss(logits, truth)
        if best is None or judged < best[0]:
            best = (judged, heads, logits, loss, accuracy)
    assert best is not None
    judged, heads, logits, loss, accuracy = best
    engine.load(heads, partial=True)
    right = None if logits is None else float((logits.argmax(1) == truth).mean())
    record = EpochRecord(
        1, 0.0, loss, accuracy, None if logits is None else judged, right,
        time.perf_counter() - began,
    )  # fmt: skip
    yield TrainingProgress(
        "training", before + steps, clock.total, 1, 1, loss, record,
        clock.seconds, clock.remaining(before + steps), part.name,
    )  # fmt: skip
    return [record], logits


def _read_views(
    engine: Engine,
    examples: Examples,
    side: Side,
    settings: TrainingSettings,
    views: NDArray[np.float32],
) -> Iterator[int]:
    """Fill in the features of a side's examples, `(poses, n, features)` as in `spec.reads`.

    Each zoom is read through tiles of its own: a coarse one needs far fewer than the finest, as
    each of them has more points. How many were read is given after every batch.
    """
    spec, column = engine.spec, 0
    place = np.empty(len(examples.codes), np.intp)
    place[side.rows] = np.arange(len(side))
    for number, zoom in enumerate(spec.zooms):
        reader, seen = _reader(engine, zoom, settings), examples.at([number])
        stages = reader.spec.stages
        last = column + sum(map(stage_channels, stages))
        for rows, tiles in seen.answering(side, spec.tile, max(1, ASKED_PIXELS // spec.tile**2)):
            crops = Crops(tiles.pixels, rows, tiles.owner, tiles.places)
            n, edge = tiles.pixels.shape[0], tiles.pixels.shape[2]
            for view, pose in enumerate(right_pose(k, n) for k in range(len(views))):
                at = places_in_tiles(crops, pose, edge)
                found = reader.features(Tiles(posed(tiles.pixels, pose, edge), tiles.owner, at))
                parts = [found[stage][:, 0] for stage in stages]
                views[view, place[rows], column:last] = np.concatenate(parts, 1)
                yield len(rows)
        column = last


def _reader(engine: Engine, zoom: int, settings: TrainingSettings) -> Engine:
    """Build a network that looks at one of an engine's zooms only, with the same backbone."""
    spec = engine.spec
    if len(spec.zooms) == 1:
        return engine
    stages = tuple(stage for each, stage in spec.reads if each == zoom)
    alone = spec.model_copy(update={"zooms": (zoom,), "stages": stages})
    reader = create_engine(engine.name, alone, device=settings.device)
    known = {name for name in reader.state() if not name.startswith("heads.")}
    reader.load({n: array for n, array in engine.state().items() if n in known}, partial=True)
    return reader


Linear = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Weights `(classes, features)` and bias `(classes,)`."""


def regression(
    features: NDArray[np.float32],
    codes: NDArray[np.int64],
    weights: NDArray[np.float32],
    strength: float,
    may_read: NDArray[np.bool_],
) -> tuple[Linear, float, float]:
    """Fit a linear map; return it with the training loss and accuracy.

    Parameters
    ----------
    features
        `(n, features)`; they are standardised here, and the map is one of them as they are.
    codes
        `(n,)` classes, each of which occurs.
    weights
        `(n,)` of the points in the loss.
    strength
        Inverse strength of the regularisation, `C` of scikit-learn.
    may_read
        `(features,)` which of them the map may use.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    mean = features.mean(0, dtype=np.float64)
    spread = np.maximum(features.std(0, dtype=np.float64), 1e-6)
    model = LogisticRegression(C=strength, max_iter=200)
    scaled = (features - mean) / spread * may_read
    with warnings.catch_warnings():
        # A preview may stop short of the last digit.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(scaled, codes, sample_weight=weights)
    slopes, bias = model.coef_, model.intercept_
    if len(slopes) == 1:  # two classes share one row
        slopes, bias = np.concatenate([-slopes, slopes]) / 2, np.concatenate([-bias, bias]) / 2
    logs = model.predict_log_proba(scaled)
    loss = float(-logs[np.arange(len(codes)), codes].mean())
    accuracy = float((logs.argmax(1) == codes).mean())
    return (slopes / spread, bias - (slopes / spread) @ mean), loss, accuracy


def as_heads(
    slopes: NDArray[np.float64],
    bias: NDArray[np.float64],
    features: NDArray[np.float32],
    start: State,
    spec: NetworkSpec,
) -> State:
    """Write a linear map as the heads of a network.

    Parameters
    ----------
    slopes, bias
        `(classes, features)` in the order of `spec.reads`, and `(classes,)`.
    features
        `(n, features)` to which it was fitted.
    start
        First parameters of the heads, for a hidden layer.
    spec
        The network.

    Notes
    -----
    With a hidden layer each class takes two units; what is left of the layer keeps its first
    parameters and has no say until training gives it one.
    """
    state: State = {}
    if spec.hidden:
        k = len(slopes)
        first = np.concatenate([start[spec.head_name(z, s)] for z, s in spec.reads], 1)
        rest = first.astype(np.float64)[2 * k :]
        slopes = np.concatenate([slopes, -slopes, rest])
        bias = np.concatenate([bias, -bias, -(features.mean(0, dtype=np.float64) @ rest.T)])
        out = np.zeros((k, spec.hidden))
        out[:, :k], out[:, k : 2 * k] = np.eye(k), -np.eye(k)
        state["heads.out.weight"] = out.astype(np.float32)
        state["heads.out.bias"] = np.zeros(k, np.float32)
    state[spec.bias_name] = bias.astype(np.float32)
    last = 0
    for zoom, stage in spec.reads:
        first_column, last = last, last + stage_channels(stage)
        state[spec.head_name(zoom, stage)] = slopes[:, first_column:last].astype(np.float32)
    return state


def _loss(logits: Logits, codes: NDArray[np.int64]) -> float:
    chosen = log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(codes)), codes]
    return float(-chosen.mean()) if len(codes) else math.inf
