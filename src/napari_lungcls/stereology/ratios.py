"""Ratios of sums over clusters, with standard errors that hold for few clusters."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_lungcls.stereology.estimate import (
    EstimationMethod,
    Interval,
    StereologyEstimate,
    t_interval,
    undefined,
)

Floats = NDArray[np.float64]

_ONE = 1 - 1e-9
"""A cluster with this share of the weight or more is alone: nothing shows how clusters vary."""


def ratio(
    x: ArrayLike,
    y: ArrayLike,
    level: float = 0.95,
    *,
    limits: Interval = (-math.inf, math.inf),
    method: EstimationMethod = "manual",
    unit: str = "",
) -> StereologyEstimate:
    """Estimate `R = Σx / Σy` from independent clusters.

    Parameters
    ----------
    x, y
        `(G,)` numerator and denominator of each cluster, such as points on septa and on
        parenchyma in each animal. Clusters in which both are 0 change nothing.
    level
        Of the interval.
    limits
        What is possible at all, such as `(0, 1)` for a fraction; the interval ends there.
    method, unit
        Handed on to the result.

    Returns
    -------
    StereologyEstimate
        `se` is CR2, `df` Bell-McCaffrey, `ce` that of Cruz-Orive and Weibel. Without `se`,
        `df` and `ci` where one cluster holds all of y; without `ci` where all clusters have
        the same ratio.

    Raises
    ------
    ValueError
        When x and y are not vectors of one length, or not finite.

    Notes
    -----
    Cochran 1977, Sampling Techniques, §2.11; Cruz-Orive and Weibel 1981, J. Microsc. 122,
    235. Clusters are taken as independent: usually conservative for a systematic sample.
    The bias is of the order 1/G. Interval: see `cr2` and `bell_mccaffrey`.
    """
    x, y = _clusters(x, y)
    total = float(y.sum())
    if not total > 0:
        return undefined(method, len(y), unit)
    r = float(x.sum()) / total
    se = cr2((x - r * y) / total, y)
    df = bell_mccaffrey(y)
    # Clusters that agree to the last digit say that they are too few, not that there is no error.
    known = se is not None and df is not None and se > 1e-12 * abs(r)
    return StereologyEstimate(
        estimate=r,
        se=se,
        ce=cochran_ce(x, y) if se is not None else None,
        df=df,
        ci=t_interval(r, se, df, level, limits) if known else None,  # type: ignore[arg-type]
        ci_method="t-cr2" if known else "none",
        method=method,
        n_clusters=len(y),
        unit=unit,
    )


def cr2(residuals: ArrayLike, weights: ArrayLike) -> float | None:
    """Give the bias-reduced standard error of a weighted mean of clusters.

    Parameters
    ----------
    residuals
        `(G,)` what each cluster contributes to the deviation of the estimate: for a ratio
        `(x - R·y) / Σy`. They add up to 0.
    weights
        `(G,)` y of each cluster, in any unit; negative ones count as 0.

    Returns
    -------
    float or None
        `sqrt(Σ r² / (1 - w))` with `w` the share of the weights; None where one cluster has
        all the weight.

    Notes
    -----
    `SE² = Σ e²/(1 - w)/Y²`: the CR2 of Bell and McCaffrey 2002, Surv. Methodol. 28, 169,
    for a regression through the origin whose variance is proportional to y.
    """
    share = _shares(weights)
    if _alone(share):
        return None
    r = np.asarray(residuals, dtype=np.float64)
    return math.sqrt(float((r**2 / (1 - share)).sum()))


def bell_mccaffrey(weights: ArrayLike) -> float | None:
    """Give the degrees of freedom that belong to `cr2`.

    Parameters
    ----------
    weights
        `(G,)`, as for `cr2`.

    Returns
    -------
    float or None
        G - 1 for equal weights, less otherwise; None where one cluster has all the weight.

    Notes
    -----
    `K = diag(c²w) - (cw)(cw)ᵀ`, `c = (1 - w)^-½`, `df = tr(K)² / ΣK²`. Bell and McCaffrey
    2002, Surv. Methodol. 28, 169; Pustejovsky and Tipton 2018,
    doi 10.1080/07350015.2016.1247004 (doi not verified).
    """
    w = _shares(weights)
    if _alone(w):
        return None
    c2 = 1 / (1 - w)
    # tr(K) is 1. ΣK² without the matrix: the diagonal, the crossed terms, the outer product.
    squares = ((c2 * w) ** 2).sum() - 2 * (c2**2 * w**3).sum() + (c2 * w**2).sum() ** 2
    return float(1 / squares)


def cochran_se(x: ArrayLike, y: ArrayLike) -> float | None:
    """Give the standard error of `Σx / Σy` with the factor G/(G - 1), as textbooks do.

    Returns
    -------
    float or None
        `sqrt(G/(G - 1)·Σ(x - R·y)²) / Σy`; None with fewer than two clusters.

    Raises
    ------
    ValueError
        When x and y are not vectors of one length, or not finite.

    Notes
    -----
    Cochran 1977, Sampling Techniques, §2.11.
    """
    x, y = _clusters(x, y)
    total = float(y.sum())
    if len(y) < 2 or not total > 0:
        return None
    e = x - x.sum() / total * y
    return math.sqrt(len(y) / (len(y) - 1) * float((e**2).sum())) / total


def cochran_ce(x: ArrayLike, y: ArrayLike) -> float | None:
    """Give the coefficient of error of `Σx / Σy` that is usual in stereology.

    Returns
    -------
    float or None
        None with fewer than two clusters, or where Σx is 0.

    Raises
    ------
    ValueError
        When x and y are not vectors of one length, or not finite.

    Notes
    -----
    `CE² = G/(G - 1)·[Σx²/(Σx)² + Σy²/(Σy)² - 2Σxy/(Σx·Σy)]`, which is `SE²/R²` and is
    computed so. Cruz-Orive and Weibel 1981, J. Microsc. 122, 235.
    """
    se = cochran_se(x, y)
    numerator, denominator = np.sum(x), np.sum(y)
    return None if se is None or numerator == 0 else abs(float(se * denominator / numerator))


def _shares(weights: ArrayLike) -> Floats:
    """Give each cluster's share; a corrected denominator may fall below 0 and then has none."""
    w = np.maximum(np.asarray(weights, dtype=np.float64), 0)
    total = w.sum()
    return w / total if total > 0 else np.zeros(0)


def _alone(shares: Floats) -> bool:
    """Say whether one cluster has all the weight, or none has any."""
    return len(shares) == 0 or float(shares.max()) >= _ONE


def _clusters(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    """Leave out clusters that hold nothing."""
    x, y = vectors(x, y)
    held = (x != 0) | (y != 0)
    return x[held], y[held]


def vectors(*columns: ArrayLike) -> list[Floats]:
    """Check columns that have one finite value for each cluster.

    Raises
    ------
    ValueError
        When they have not.
    """
    arrays = [np.asarray(column, dtype=np.float64) for column in columns]
    if not arrays or any(a.ndim != 1 or a.shape != arrays[0].shape for a in arrays):
        raise ValueError("every column needs one value for each cluster")
    if not all(np.isfinite(a).all() for a in arrays):
        raise ValueError("a value of a cluster is not finite")
    return arrays
