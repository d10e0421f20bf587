"""Intervals of rare fractions, which no symmetric interval covers.

They allow for chance among points and for ordinary differences between clusters. A structure that
one animal in ten has and the others lack is beyond any interval: those who happened to draw only
the others see nothing that says so.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from napari_lungcls.stereology.estimate import (
    EstimationMethod,
    Interval,
    StereologyEstimate,
    t_quantile,
)
from napari_lungcls.stereology.ratios import ratio

RARE_SHARE = 0.05
RARE_HITS = 10


def proportion(
    x: ArrayLike, y: ArrayLike, level: float = 0.95, *, method: EstimationMethod = "manual"
) -> StereologyEstimate:
    """Estimate the fraction `Σx / Σy` of counted points.

    Like `ratio`, but for fractions below 5 % or fewer than ten points (or as near to 1) with
    the interval of Korn and Graubard.

    Parameters
    ----------
    x, y
        `(G,)` points on the class and on the reference, which holds the class, by cluster.
    level
        Of the interval.
    method
        Handed on to the result.

    Raises
    ------
    ValueError
        When x and y are not vectors of one length, or x is not between 0 and y.
    """
    plain = ratio(x, y, level, limits=(0, 1), method=method)
    hits, points = np.asarray(x), np.asarray(y)
    if (hits < 0).any() or (hits > points).any():
        raise ValueError("points on a class are between 0 and those on its reference")
    return for_rare(plain, float(points.sum()), level)


def for_rare(plain: StereologyEstimate, points: float, level: float) -> StereologyEstimate:
    """Give an estimated fraction the interval of Korn and Graubard if it is rare.

    Also where it has an error but no interval, because all clusters agree exactly.

    Parameters
    ----------
    plain
        The fraction, with `se` and `df`.
    points
        Counted on the reference.
    level
        Of the interval.
    """
    if plain.estimate is None or plain.se is None or plain.df is None:
        return plain
    if plain.ci is not None and not is_rare(plain.estimate, points):
        return plain
    p = min(max(plain.estimate, 0.0), 1.0)
    ends = korn_graubard(p, points, plain.se**2, plain.df, level)
    return plain.model_copy(update={"ci": ends, "ci_method": "korn-graubard"})


def is_rare(p: float, points: float) -> bool:
    """Say whether a fraction, or what is left of 1, is below 5 % or has fewer than ten points."""
    least = min(p, 1 - p)
    # Ten hits are ten, however p was rounded.
    return least < RARE_SHARE - 1e-9 or least * points < RARE_HITS - 1e-6


def korn_graubard(
    p: float, points: float, variance: float, df: float, level: float = 0.95
) -> Interval:
    """Give the interval of a fraction that was estimated from clusters.

    Parameters
    ----------
    p
        The fraction, 0 to 1.
    points
        Counted points.
    variance
        Of p, between clusters; 0 where it is not known, as with no point at all.
    df
        Degrees of freedom of the variance.
    level
        Of the interval.

    Returns
    -------
    tuple
        Both ends, within 0 to 1. Never of width 0.

    Raises
    ------
    ValueError
        When p is not a share, there are no points, or the level is not between 0 and 1.

    Notes
    -----
    Clopper-Pearson with `n* = n/deff·[t(n - 1)/t(df)]²` points, where the design effect `deff`
    is the variance over `p(1 - p)/n`. Korn and Graubard 1998, Surv. Methodol. 24, 193 (pages
    not verified). On the safe side, as some survey programs do on request: `deff` is never
    below 1, and the factor of the degrees of freedom stays where the variance is 0.
    """
    if not (0 <= p <= 1 and points > 0):
        raise ValueError("a fraction needs to be between 0 and 1, and rest on points")
    simple = p * (1 - p) / points
    effective = points / max(1.0, variance / simple if simple > 0 else 1.0)
    adjusted = (t_quantile(max(points - 1, 1.0), level) / t_quantile(df, level)) ** 2
    return clopper_pearson(p, effective * min(1.0, adjusted), level)


def clopper_pearson(p: float, n: float, level: float = 0.95) -> Interval:
    """Give the exact binomial interval of `p·n` hits in n, neither of them needing to be whole.

    Notes
    -----
    Clopper and Pearson 1934, Biometrika 26, 404-413, by quantiles of the beta distribution.
    """
    tail = (1 - level) / 2
    low = float(stats.beta.ppf(tail, p * n, (1 - p) * n + 1)) if p > 0 else 0.0
    high = float(stats.beta.ppf(1 - tail, p * n + 1, (1 - p) * n)) if p < 1 else 1.0
    return low, high


def mover(estimate: float, parts: list[tuple[float, Interval, int]]) -> Interval:
    """Give the interval of a sum and difference of figures that have intervals themselves.

    Parameters
    ----------
    estimate
        The sum.
    parts
        Each figure, its interval, and its sign, 1 or -1.

    Notes
    -----
    Each end lies the root of the sum of squared distances to the ends of the parts away, so
    that skewed parts give a skewed interval. Zou and Donner 2008, Stat. Med. 27, 1693
    (from memory, not verified). It takes the parts as uncorrelated.
    """
    down = [value - ends[0] if sign > 0 else ends[1] - value for value, ends, sign in parts]
    up = [ends[1] - value if sign > 0 else value - ends[0] for value, ends, sign in parts]
    return estimate - math.hypot(*down), estimate + math.hypot(*up)
