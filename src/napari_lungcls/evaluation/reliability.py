"""How far probabilities can be trusted: reliability, calibration error, likelihood."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel

from napari_lungcls.evaluation.intervals import wilson

BINS = 15
"""Bins of the calibration error, as in Guo et al. 2017."""

LEAST = float(np.finfo(np.float64).tiny)
"""What a probability of 0 counts as in a logarithm."""

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


class ReliabilityBin(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
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

    low: float
    high: float
    n: int
    confidence: float | None = None
    accuracy: float | None = None
    interval: tuple[float, float] | None = None


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
    values, truth = checked(probabilities, codes)
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
    values, truth = checked(probabilities, codes)
    return float(-np.log(np.maximum(of_truth(values, truth), LEAST)).mean())


def reliability(
    probabilities: ArrayLike, codes: ArrayLike, bins: int = BINS
) -> list[ReliabilityBin]:
    """Compare confidence and accuracy bin by bin, as a reliability diagram shows them.

    Parameters and errors are those of `expected_calibration_error`.
    """
    values, truth = checked(probabilities, codes)
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


def are_probabilities(values: ArrayLike) -> bool:
    """Tell whether rows add up to 1, within what float16 rounds, and none is negative."""
    array = np.asarray(values, dtype=np.float64)
    return bool((array >= 0).all() and (np.abs(array.sum(axis=1) - 1) < 2e-3).all())


def _bins_of(confidence: Floats, bins: int) -> NDArray[np.intp]:
    """Put each confidence into a bin `low < p <= high`; 0 belongs to the first."""
    edges = np.arange(1, bins) / bins
    return np.searchsorted(edges, confidence, side="left")


def of_truth(values: Floats, codes: Codes) -> Floats:
    """Give the value of the true class in each row, `(n,)`."""
    chosen: Floats = np.take_along_axis(values, codes[:, np.newaxis], axis=1)[:, 0]
    return chosen


def checked(values: ArrayLike, codes: ArrayLike) -> tuple[Floats, Codes]:
    """Give values `(n, k)` and true classes `(n,)` as arrays.

    Raises
    ------
    ValueError
        When shapes or codes do not fit, there are no points, or a value is no number.
    """
    array, truth = np.asarray(values, dtype=np.float64), np.asarray(codes)
    if array.ndim != 2 or truth.shape != array.shape[:1] or 0 in array.shape:
        raise ValueError(f"codes {truth.shape} and values {array.shape} are not (n,) and (n, k)")
    if not np.isfinite(array).all():
        raise ValueError("logits and probabilities must be numbers")
    if truth.dtype.kind not in "iu" or truth.min() < 0 or truth.max() >= array.shape[1]:
        raise ValueError(f"codes must be integers from 0 to {array.shape[1] - 1}")
    return array, truth.astype(np.int64)
