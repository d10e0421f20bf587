"""Intervals of shares, and of areas under curves, that were measured on a number of points.

All of them take the points as independent of each other. Points that lie close together or on
one animal are not, so the true uncertainty is larger.
"""

from __future__ import annotations

import math

_NORMAL_975 = 1.959963984540054

Interval = tuple[float, float]


def standard_error(p: float, n: int) -> float:
    """Give the binomial standard error `sqrt(p (1 - p) / n)` of a share `p` of `n` points.

    Raises
    ------
    ValueError
        When `p` is not a share or `n` is not positive.
    """
    _check_share(p, n)
    return math.sqrt(p * (1 - p) / n)


def wilson(accuracy: float, n: int, z: float = _NORMAL_975) -> Interval:
    """Give the Wilson score interval of an accuracy that was measured on `n` points.

    Unlike `accuracy ± 2 standard errors` it stays inside 0 to 1 and has a width when all
    points are right. It supposes independent points; neighbours are not quite.

    Parameters
    ----------
    accuracy
        Share of points that are right.
    n
        Points.
    z
        Quantile of the normal distribution; 1.96, the default, makes a 95 % interval.

    Returns
    -------
    tuple
        Lower and upper end.

    Raises
    ------
    ValueError
        When `accuracy` is not a share or `n` is not positive.

    Notes
    -----
    Wilson 1927, J. Am. Stat. Assoc. 22, 209-212, doi 10.1080/01621459.1927.10502953.
    """
    _check_share(accuracy, n)
    weight = z * z / n
    centre = accuracy + weight / 2
    half = z * math.sqrt(accuracy * (1 - accuracy) / n + weight / (4 * n))
    low, high = (centre - half) / (1 + weight), (centre + half) / (1 + weight)
    # With none or all right an end is exactly 0 or 1; rounding must not cross it.
    return max(0.0, min(low, accuracy)), min(1.0, max(high, accuracy))


def wilson_auc(auc: float, positives: int, negatives: int, z: float = _NORMAL_975) -> Interval:
    """Give the interval of an area under the ROC curve.

    The ends are the areas from which the measured one lies `z` standard errors away, with the
    standard error of Hanley and McNeil at each end. Unlike `auc ± 2 standard errors` it
    stays inside 0 to 1 and has a width when the classes are parted without an error.

    Parameters
    ----------
    auc
        Area under the curve.
    positives, negatives
        Points of the class, and of the others.
    z
        Quantile of the normal distribution; 1.96, the default, makes a 95 % interval.

    Raises
    ------
    ValueError
        When `auc` is not a share or one of the numbers is not positive.

    Notes
    -----
    Method 5 of Newcombe 2006, Statist. Med. 25, 559-573, doi 10.1002/sim.2324, with the
    standard error of Hanley and McNeil 1982, Radiology 143, 29-36,
    doi 10.1148/radiology.143.1.7063747.
    """
    _check_share(auc, min(positives, negatives))
    from scipy.optimize import brentq

    half = (positives + negatives) / 2 - 1

    def off(at: float) -> float:
        spread = 1 + half * ((1 - at) / (2 - at) + at / (1 + at))
        return (auc - at) ** 2 - z * z * at * (1 - at) * spread / (positives * negatives)

    # At the measured area `off` is negative, at 0 and 1 it is positive: two roots, one on
    # either side. Where the area is 0 or 1 itself, it is an end.
    low = 0.0 if auc == 0 else float(brentq(off, 0.0, auc if auc < 1 else 1 - 1e-9))
    high = 1.0 if auc == 1 else float(brentq(off, auc if auc > 0 else 1e-9, 1.0))
    return low, high


def _check_share(p: float, n: int) -> None:
    if not 0 <= p <= 1:
        raise ValueError(f"{p} is not a share between 0 and 1")
    if n < 1:
        raise ValueError(f"a share of {n} points has no error")
