"""Temperature scaling: how it is fitted, and what it brings."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, Field
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from napari_lungcls.learning.reliability import (
    CONFIG,
    LEAST,
    Codes,
    Floats,
    ReliabilityBin,
    checked,
    error_by_chance,
    expected_calibration_error,
    negative_log_likelihood,
    of_truth,
    reliability,
)

FOLDS = 5
LARGEST = 20.0
"""A temperature lies between one through this and this."""


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

    model_config = CONFIG

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
    values, truth = checked(logits, codes)

    def penalty(log_temperature: float) -> float:
        loss = -of_truth(log_softmax(values / np.exp(log_temperature), axis=1), truth).sum()
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
    values, truth = checked(logits, codes)
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
    scaled: Floats = softmax(np.log(np.maximum(values, LEAST)) / temperature, axis=1)
    return scaled


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
