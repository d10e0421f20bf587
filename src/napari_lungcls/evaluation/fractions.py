"""How far observers and models agree on fractions, one value for each animal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict
from scipy import stats

_CONFIG = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
Interval = tuple[float, float]
Floats = NDArray[np.float64]


class BlandAltman(BaseModel):
    """Two observers' fractions of the same animals.

    Attributes
    ----------
    a, b
        Who they are.
    n
        Animals.
    bias
        Mean of `a - b`, with its interval.
    sd
        Of the differences.
    lower, upper
        Limits of agreement, between which 95 % of differences lie, with their intervals.
    """

    model_config = _CONFIG

    a: str
    b: str
    n: int
    bias: float
    bias_ci: Interval
    sd: float
    lower: float
    lower_ci: Interval
    upper: float
    upper_ci: Interval


class IntraclassCorrelation(BaseModel):
    """Absolute agreement of single observers, ICC(2,1), with its interval.

    `estimate` is None where nothing varies, `ci` where observers agree exactly.
    """

    model_config = _CONFIG

    estimate: float | None
    ci: Interval | None
    n: int
    observers: int


class FractionAgreement(BaseModel):
    """Agreement of all observers on a fraction: all pairs, and all together."""

    model_config = _CONFIG

    pairs: list[BlandAltman]
    icc: IntraclassCorrelation


def fraction_agreement(
    fractions: ArrayLike, observers: Sequence[str], level: float = 0.95
) -> FractionAgreement:
    """Compare the fractions that observers and models find in the same animals.

    Parameters
    ----------
    fractions
        `(n, observers)`, one row for each animal: sections of one animal are not independent.
    observers
        Their names, at least two.
    level
        Of the intervals.

    Raises
    ------
    ValueError
        When there are fewer than two animals or observers, or a value is not finite.
    """
    table = _table(fractions)
    if table.shape[1] != len(observers):
        raise ValueError("every observer needs a column")
    columns = list(zip(observers, table.T, strict=True))
    return FractionAgreement(
        pairs=[bland_altman(a, b, level) for a, b in combinations(columns, 2)],
        icc=intraclass_correlation(table, level),
    )


def bland_altman(
    a: tuple[str, ArrayLike], b: tuple[str, ArrayLike], level: float = 0.95
) -> BlandAltman:
    """Compare two observers animal by animal.

    Parameters
    ----------
    a, b
        Name and values `(n,)` of each.
    level
        Of the intervals; the limits of agreement are always those of 95 %.

    Raises
    ------
    ValueError
        When there are fewer than two animals, or a value is not finite.

    Notes
    -----
    `bias ± 1.96·SD`: Bland and Altman 1986, Lancet 327, 307-310. Intervals of the limits are
    exact for one limit at a time, by the noncentral t: Carkeet 2015, Optom. Vis. Sci. 92
    (pages not verified). The usual approximation is too narrow for a handful of animals.
    """
    table = _table(np.stack([np.asarray(a[1]), np.asarray(b[1])], axis=1))
    difference = table[:, 0] - table[:, 1]
    n, bias, sd = len(difference), float(difference.mean()), float(difference.std(ddof=1))
    z, root, tail = float(stats.norm.ppf(0.975)), math.sqrt(len(difference)), (1 - level) / 2
    half = float(stats.t.ppf(1 - tail, n - 1)) * sd / root
    near, far = stats.nct.ppf([tail, 1 - tail], n - 1, z * root) * sd / root
    return BlandAltman(
        a=a[0],
        b=b[0],
        n=n,
        bias=bias,
        bias_ci=(bias - half, bias + half),
        sd=sd,
        lower=bias - z * sd,
        lower_ci=(bias - float(far), bias - float(near)),
        upper=bias + z * sd,
        upper_ci=(bias + float(near), bias + float(far)),
    )


def intraclass_correlation(ratings: ArrayLike, level: float = 0.95) -> IntraclassCorrelation:
    """Compute ICC(2,1): animals and observers both random, absolute agreement, single values.

    Parameters
    ----------
    ratings
        `(n, observers)`, at least two of each.
    level
        Of the interval.

    Raises
    ------
    ValueError
        When there are fewer than two animals or observers, or a value is not finite.

    Notes
    -----
    Shrout and Fleiss 1979, Psychol. Bull. 86, 420-428, doi 10.1037/0033-2909.86.2.420; the
    same as ICC(A,1) of McGraw and Wong 1996, Psychol. Methods 1, 30-46,
    doi 10.1037/1082-989X.1.1.30 (dois from memory, not verified).
    """
    table = _table(ratings)
    n, k = table.shape
    rows, columns = table.mean(axis=1), table.mean(axis=0)
    msr = k * float(rows.var(ddof=1))
    msc = n * float(columns.var(ddof=1))
    left = table - rows[:, np.newaxis] - columns + table.mean()
    mse = float((left**2).sum()) / ((n - 1) * (k - 1))
    whole = msr + (k - 1) * mse + k * (msc - mse) / n
    tiny = 1e-12 * max(msr, msc, mse)
    if not (whole > 0 and max(msr, msc, mse) > 1e-24):
        return IntraclassCorrelation(estimate=None, ci=None, n=n, observers=k)
    icc = (msr - mse) / whole
    ci = _icc_interval(icc, (msr, msc, mse), n, k, level) if mse > tiny else None
    return IntraclassCorrelation(estimate=icc, ci=ci, n=n, observers=k)


def _icc_interval(
    icc: float, squares: tuple[float, float, float], n: int, k: int, level: float
) -> Interval:
    """Give the interval by F with Satterthwaite's degrees of freedom, Shrout and Fleiss p. 424."""
    msr, msc, mse = squares
    # Their v, multiplied through by MSE: a zero then does no harm.
    by_observer = k * icc * msc
    by_error = (n * (1 + (k - 1) * icc) - k * icc) * mse
    below = (n - 1) * by_observer**2 + by_error**2
    v = (n - 1) * (k - 1) * (by_observer + by_error) ** 2 / below if below > 0 else n - 1
    v = max(v, 1e-3)
    tail = (1 + level) / 2
    f_low, f_high = (float(stats.f.ppf(tail, *df)) for df in ((n - 1, v), (v, n - 1)))
    other = k * msc + (k * n - k - n) * mse
    low = n * (msr - f_low * mse) / (f_low * other + n * msr)
    high = n * (f_high * msr - mse) / (other + n * f_high * msr)
    return low, high


def _table(values: ArrayLike) -> Floats:
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or min(table.shape) < 2 or not np.isfinite(table).all():
        raise ValueError("agreement needs finite values of two animals and two observers or more")
    return table
