"""Ratios of sums over clusters: point counts, and whatever else is counted together.

A cluster is the highest unit that was drawn at random: an animal, else a section, else a field.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.stereology.estimate import MeasuredValue, with_t_interval

CR2 = "CR2, t with Bell–McCaffrey degrees of freedom"

Floats = NDArray[np.float64]


def ratio(x: ArrayLike, y: ArrayLike) -> MeasuredValue:
    """Estimate `Σx / Σy` over clusters, with its error.

    Parameters
    ----------
    x, y
        `(clusters,)` what was counted; clusters without any `y` count for nothing.

    Returns
    -------
    MeasuredValue
        Its standard error is CR2, its interval Student's with the degrees of freedom of Bell and
        McCaffrey: right for few clusters of unequal size.

    Raises
    ------
    InputError
        When the shapes differ or a `y` is negative.

    Notes
    -----
    Cochran 1977, "Sampling techniques", §2.11; Cruz-Orive and Weibel 1981, J Microsc 122:235; the
    bias is of order one over the number of clusters.

    Examples
    --------
    >>> from napari_lungcls.stereology.ratios import ratio
    >>> septa = ratio([9, 12, 7, 10, 8], [40, 52, 38, 47, 43])
    >>> f"{septa.estimate:.4f} ± {septa.se:.4f}, df {septa.df:.2f}"
    '0.2091 ± 0.0096, df 3.94'
    """
    above, below = _counts(x, y)
    total = below.sum()
    if total == 0:
        return with_t_interval(np.nan, np.nan, np.nan, len(below), CR2)
    estimate = above.sum() / total
    used = below > 0
    se, df = cr2(above - estimate * below, below)
    return with_t_interval(float(estimate), se, df, int(used.sum()), CR2)


def cr2(residuals: ArrayLike, weights: ArrayLike) -> tuple[float, float]:
    """Give the standard error of a weighted mean over few clusters, and its degrees of freedom.

    Parameters
    ----------
    residuals
        `(clusters,)` what is left of each cluster's sum: `x − R·y` for a ratio `R`, `w·(D − θ)`
        for a mean `θ` of `D` with weights `w`.
    weights
        `(clusters,)` the `y` or `w`, not negative.

    Returns
    -------
    se : float
        `√(Σ e²/(1 − w/Y)) / Y`, with `Y = Σw`.
    df : float
        `tr(K)² / ΣK²` with `K = diag(c²w/Y²) − (cw)(cw)ᵀ/Y³`, `c = (1 − w/Y)^−½`; exactly one less
        than the clusters where all weigh the same.

    Notes
    -----
    Bell and McCaffrey 2002, Surv Methodol 28:169; Pustejovsky and Tipton 2018,
    doi 10.1080/07350015.2016.1247004. Both are nan for fewer than two clusters.
    """
    left, w = np.asarray(residuals, np.float64), np.asarray(weights, np.float64)
    left, w = left[w > 0], w[w > 0]
    if len(w) < 2:
        return float("nan"), float("nan")
    total = w.sum()
    c = (1 - w / total) ** -0.5
    se = np.sqrt(((c * left) ** 2).sum()) / total
    k = np.diag(c**2 * w / total**2) - np.outer(c * w, c * w) / total**3
    return float(se), float(np.trace(k) ** 2 / (k**2).sum())


def linearized_se(x: ArrayLike, y: ArrayLike) -> float:
    """Give the textbook's standard error of `Σx / Σy`: `√(G/(G−1)·Σe²) / Σy`.

    Divided by the ratio it is the coefficient of error of Cruz-Orive and Weibel 1981. With few
    clusters it is a little too small: `ratio` takes CR2.
    """
    above, below = _counts(x, y)
    g = len(below)
    left = above - above.sum() / below.sum() * below
    return float(np.sqrt(g / (g - 1) * (left**2).sum()) / below.sum())


def jackknife(figures: ArrayLike) -> tuple[float, float]:
    """Give the standard error and degrees of freedom of a figure that was also found without each.

    Parameters
    ----------
    figures
        `(clusters,)` the figure with one cluster left out.

    Notes
    -----
    `SE² = (G−1)/G · Σ(θ₋ᵢ − mean)²` (Tukey 1958; Efron and Tibshirani 1993, chapter 11 [M]).
    """
    left_out = np.asarray(figures, np.float64)
    g = len(left_out)
    if g < 2:
        return float("nan"), float("nan")
    return float(np.sqrt((g - 1) / g * ((left_out - left_out.mean()) ** 2).sum())), float(g - 1)


def jackknifed_ratio_se(x: ArrayLike, y: ArrayLike) -> float:
    """Give the delete-one jackknife's standard error of `Σx / Σy`."""
    above, below = _counts(x, y)
    return jackknife((above.sum() - above) / (below.sum() - below))[0]


def _counts(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    above, below = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if above.ndim != 1 or above.shape != below.shape:
        raise InputError(f"{above.shape} and {below.shape} are not one number for each cluster")
    if not (np.isfinite(above).all() and np.isfinite(below).all()) or (below < 0).any():
        raise InputError("counts must be numbers, and those divided by not negative")
    return above, below
