"""Temperature scaling: how it is fitted, and what it brings."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, Field
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from napari_lungcls.evaluation.reliability import (
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

CERTAIN = 0.99
"""How often networks with smoothed labels are taken to be right where they are surest."""

ALIKE = 0.25
"""Standard deviation of the logarithm of their temperatures."""


@dataclass(frozen=True)
class Prior:
    """What is known of a temperature before a point is looked at.

    Attributes
    ----------
    centre
        The usual temperature.
    spread
        Standard deviation of the natural logarithm of the temperature.
    """

    centre: float = 1.0
    spread: float = 1.0

    @classmethod
    def of_smoothing(cls, share: float, classes: int) -> Prior:
        """Tell what is known of networks that learned smoothed labels.

        They learn to be no surer than their labels, whatever the points, so that the same
        temperature brings nearly all of them to what they are worth: on a mouse lung, six
        networks of 90 or 900 points are calibrated best between 0.5 and 0.8, and 18 validation
        points with one mistake among them would say 1.2; see docs/defaults.md.

        Parameters
        ----------
        share
            Of each label that was spread over all classes; at 0.1 and for three classes the
            centre is 0.63.
        classes
            How many there are.
        """
        if share == 0:
            return cls()
        other = share / classes
        margin = math.log((1 - share + other) / other)
        centre = margin / math.log(CERTAIN * (classes - 1) / (1 - CERTAIN))
        return cls(centre, ALIKE) if centre < 1 else cls()


class Calibration(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
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

    temperature: float = Field(gt=0)
    n: int = Field(ge=1)
    ece_before: float
    ece_after: float
    nll_before: float
    nll_after: float
    ece_by_chance: float
    before: list[ReliabilityBin]
    after: list[ReliabilityBin]


def fit_temperature(logits: ArrayLike, codes: ArrayLike, prior: Prior | None = None) -> float:
    """Find the temperature at which the true classes are the most probable.

    One number for all classes, so that no answer changes. Where few points say little, or all
    are right and the likelihood would grow for ever, a prior holds it near the usual: the
    logarithm of the temperature is normal. If nothing else is known it is centred at 1 with
    standard deviation 1, which weighs as little as half a nat at a factor of e. The temperature
    lies between 1/20 and 20.

    Parameters
    ----------
    logits
        `(n, k)`.
    codes
        `(n,)` true classes.
    prior
        What is known before.

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
    known = prior or Prior()

    def penalty(log_temperature: float) -> float:
        loss = -of_truth(log_softmax(values / np.exp(log_temperature), axis=1), truth).sum()
        away = (log_temperature - math.log(known.centre)) / known.spread
        return float(loss) + away**2 / 2

    # With the prior there could be two valleys: look everywhere first, then finely.
    grid = np.linspace(-np.log(LARGEST), np.log(LARGEST), 31)
    best = int(np.argmin([penalty(at) for at in grid]))
    bounds = (grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)])
    found = minimize_scalar(penalty, bounds=bounds, method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))


def fit_calibration(
    logits: ArrayLike,
    codes: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    seed: int = 0,
    prior: Prior | None = None,
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
    prior
        What is known of the temperature before.

    Raises
    ------
    ValueError
        As `fit_temperature`.
    """
    values, truth = checked(logits, codes)
    before = softmax(values, axis=1)
    after = np.empty_like(before)
    usual = (prior or Prior()).centre
    for held in _folds(truth, groups, seed):
        rest = ~held
        fitted = fit_temperature(values[rest], truth[rest], prior) if rest.any() else usual
        after[held] = softmax(values[held] / fitted, axis=1)
    return Calibration(
        temperature=fit_temperature(values, truth, prior),
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
        1 changes nothing; the reciprocal of a model's own gives its uncalibrated predictions.
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
