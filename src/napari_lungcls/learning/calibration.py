"""How far probabilities can be trusted: temperature scaling and the calibration error."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from napari_lungcls.learning.intervals import wilson

BINS = 15
"""Bins of the calibration error, as in Guo et al. 2017."""

FOLDS = 5
LARGEST = 20.0
"""A temperature lies between one through this and this."""

_CONFIG = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
_LEAST = float(np.finfo(np.float64).tiny)

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


class ReliabilityBin(BaseModel):
    """The points whose answer has a probability in one range.

    Attributes
    ----------
    low, high
        The range, `low < p <= high`; the first bin holds 0 too.
    n
        Points in it.
    confidence
        Mean probability of their answers; None when there are none.
    accuracy
        Share of them that is right; None when there are none.
    interval
        95 % Wilson interval of `accuracy`.
    """

    model_config = _CONFIG

    low: float
    high: float
    n: int
    confidence: float | None = None
    accuracy: float | None = None
    interval: tuple[float, float] | None = None


class Calibration(BaseModel):
    """What temperature scaling did.

    Attributes
    ----------
    temperature
        Fitted on all `n` points; logits are divided by it.
    n
        Points.
    ece_before, nll_before
        Expected calibration error and mean negative log likelihood (nats) at temperature 1.
    ece_after, nll_after
        The same with every point answered at a temperature that was fitted without it
        (cross-fitting), because the fit flatters the points that it was made on.
    ece_by_chance
        What a perfectly calibrated model would show on as many points; see
        `error_by_chance`.
    before, after
        The bins of the reliability diagram; `after` is cross-fitted too.
    """

    model_config = _CONFIG

    temperature: float = Field(gt=0)
    n: int = Field(ge=1)
    ece_before: float
    ece_after: float
    nll_before: float
    nll_after: float
    ece_by_chance: float
    before: list[ReliabilityBin]
    after: list[ReliabilityBin]


def fit_temperature(logits: ArrayLike, codes: ArrayLike) -> float:
    """Find the temperature at which the true classes are the most probable.

    One number for all classes, so that no answer changes. Where few points say little, or all
    are right and the likelihood would grow for ever, a weak prior holds it near 1: the
    logarithm of the temperature is normal with standard deviation 1, which weighs as little
    as half a nat at a factor of e. It lies between 1/20 and 20.

    Parameters
    ----------
    logits
        `(n, k)`.
    codes
        `(n,)` true classes.

    Raises
    ------
    ValueError
        When shapes or codes do not fit, there are no points, or a logit is no number.

    Notes
    -----
    Guo et al. 2017, On calibration of modern neural networks, ICML,
    doi 10.48550/arXiv.1706.04599. The prior is ours.
    """
    values, truth = _checked(logits, codes)

    def penalty(log_temperature: float) -> float:
        loss = -_chosen(log_softmax(values / np.exp(log_temperature), axis=1), truth).sum()
        return float(loss) + log_temperature**2 / 2

    # With the prior there could be two valleys: look everywhere first, then finely.
    grid = np.linspace(-np.log(LARGEST), np.log(LARGEST), 31)
    best = int(np.argmin([penalty(at) for at in grid]))
    bounds = (grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)])
    found = minimize_scalar(penalty, bounds=bounds, method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))


def fit_calibration(
    logits: ArrayLike, codes: ArrayLike, *, groups: ArrayLike | None = None, seed: int = 0
) -> Calibration:
    """Fit a temperature and tell honestly what it brings.

    Parameters
    ----------
    logits
        `(n, k)`, of points that the network was not trained on.
    codes
        `(n,)` true classes.
    groups
        `(n,)` what belongs together (animal, image, block); a group is never on both sides
        of a cross-fit. Without it points are dealt out at random, stratified by class.
    seed
        Of that dealing.

    Raises
    ------
    ValueError
        As `fit_temperature`.
    """
    values, truth = _checked(logits, codes)
    before = softmax(values, axis=1)
    after = np.empty_like(before)
    for held in _folds(truth, groups, seed):
        rest = ~held
        fitted = fit_temperature(values[rest], truth[rest]) if rest.any() else 1.0
        after[held] = softmax(values[held] / fitted, axis=1)
    return Calibration(
        temperature=fit_temperature(values, truth),
        n=len(truth),
        ece_before=expected_calibration_error(before, truth),
        ece_after=expected_calibration_error(after, truth),
        nll_before=negative_log_likelihood(before, truth),
        nll_after=negative_log_likelihood(after, truth),
        ece_by_chance=error_by_chance(after),
        before=reliability(before, truth),
        after=reliability(after, truth),
    )


def expected_calibration_error(
    probabilities: ArrayLike, codes: ArrayLike, bins: int = BINS
) -> float:
    """Give the mean distance between how sure the answers are and how often they are right.

    Points are put into `bins` bins of equal width by the probability of their likeliest class;
    the distances `|accuracy - confidence|` of the bins are averaged, weighted by points.

    Parameters
    ----------
    probabilities
        `(n, k)`, rows adding up to 1.
    codes
        `(n,)` true classes.
    bins
        Number of bins.

    Raises
    ------
    ValueError
        When shapes or codes do not fit, or there are no points.

    Notes
    -----
    Guo et al. 2017, doi 10.48550/arXiv.1706.04599, equation 3. The estimate depends on the
    bins, sees the likeliest class only, and is never 0 for few points, however good the
    model is: `error_by_chance` says how large it then is.
    """
    values, truth = _checked(probabilities, codes)
    confidence, right = values.max(axis=1), values.argmax(axis=1) == truth
    place = _bins_of(confidence, bins)
    gaps = np.bincount(place, right.astype(float) - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(truth))


def error_by_chance(probabilities: ArrayLike, bins: int = BINS) -> float:
    """Give the calibration error that a perfectly calibrated model would show here.

    Each point would then be right with the probability of its answer. The distance in a bin
    is about normal, and the mean of its absolute value `sqrt(2 / pi)` of its standard
    deviation.

    Parameters
    ----------
    probabilities
        `(n, k)`, rows adding up to 1.
    bins
        Number of bins.
    """
    confidence = np.asarray(probabilities, dtype=np.float64).max(axis=1)
    # Rounding may put the probability of a sure answer a little above 1.
    variance = np.maximum(confidence * (1 - confidence), 0)
    spread = np.sqrt(np.bincount(_bins_of(confidence, bins), variance, minlength=bins))
    return float(np.sqrt(2 / np.pi) * spread.sum() / len(confidence))


def negative_log_likelihood(probabilities: ArrayLike, codes: ArrayLike) -> float:
    """Give the mean of `-log p` of the true classes, in nats.

    A probability of 0, as float16 rounds small ones to, counts as the least normal number,
    so that one point does not make the mean infinite.
    """
    values, truth = _checked(probabilities, codes)
    return float(-np.log(np.maximum(_chosen(values, truth), _LEAST)).mean())


def reliability(
    probabilities: ArrayLike, codes: ArrayLike, bins: int = BINS
) -> list[ReliabilityBin]:
    """Compare confidence and accuracy bin by bin, as a reliability diagram shows them.

    Parameters and errors are those of `expected_calibration_error`.
    """
    values, truth = _checked(probabilities, codes)
    confidence, right = values.max(axis=1), values.argmax(axis=1) == truth
    place = _bins_of(confidence, bins)
    table = []
    for k in range(bins):
        inside = place == k
        n = int(inside.sum())
        figures: dict[str, Any] = {"low": k / bins, "high": (k + 1) / bins, "n": n}
        if n:
            accuracy = float(right[inside].mean())
            figures |= {"confidence": float(confidence[inside].mean()), "accuracy": accuracy}
            figures["interval"] = wilson(accuracy, n)
        table.append(ReliabilityBin(**figures))
    return table


def at_temperature(probabilities: ArrayLike, temperature: float) -> Floats:
    """Give what the probabilities would be, had the logits been divided by `temperature` too.

    Parameters
    ----------
    probabilities
        `(n, k)`, rows adding up to 1.
    temperature
        1 changes nothing; the reciprocal of a model's own gives its uncalibrated answers.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    scaled: Floats = softmax(np.log(np.maximum(values, _LEAST)) / temperature, axis=1)
    return scaled


def are_probabilities(values: ArrayLike) -> bool:
    """Tell whether rows add up to 1, within what float16 rounds, and none is negative."""
    array = np.asarray(values, dtype=np.float64)
    return bool((array >= 0).all() and (np.abs(array.sum(axis=1) - 1) < 2e-3).all())


def _folds(codes: Codes, groups: ArrayLike | None, seed: int) -> list[NDArray[np.bool_]]:
    """Deal points out, each into one part."""
    rng = np.random.default_rng(seed)
    if groups is None:
        order = np.lexsort((rng.random(len(codes)), codes))
        part = np.empty(len(codes), np.intp)
        part[order] = np.arange(len(codes)) % FOLDS
    else:
        names, group = np.unique(np.asarray(groups), return_inverse=True)
        part = (rng.permutation(len(names)) % FOLDS)[group.reshape(-1)]
    return [part == k for k in np.unique(part)]


def _bins_of(confidence: Floats, bins: int) -> NDArray[np.intp]:
    """Put each confidence into a bin `low < p <= high`; 0 belongs to the first."""
    edges = np.arange(1, bins) / bins
    return np.searchsorted(edges, confidence, side="left")


def _chosen(values: Floats, codes: Codes) -> Floats:
    chosen: Floats = np.take_along_axis(values, codes[:, np.newaxis], axis=1)[:, 0]
    return chosen


def _checked(values: ArrayLike, codes: ArrayLike) -> tuple[Floats, Codes]:
    array, truth = np.asarray(values, dtype=np.float64), np.asarray(codes)
    if array.ndim != 2 or truth.shape != array.shape[:1] or 0 in array.shape:
        raise ValueError(f"codes {truth.shape} and values {array.shape} are not (n,) and (n, k)")
    if not np.isfinite(array).all():
        raise ValueError("logits and probabilities must be numbers")
    if truth.dtype.kind not in "iu" or truth.min() < 0 or truth.max() >= array.shape[1]:
        raise ValueError(f"codes must be integers from 0 to {array.shape[1] - 1}")
    return array, truth.astype(np.int64)
