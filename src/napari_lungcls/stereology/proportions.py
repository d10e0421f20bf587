"""Intervals for rare classes, where those of ratios promise too much."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from napari_lungcls.stereology.estimate import LEVEL, MeasuredValue
from napari_lungcls.stereology.ratios import cr2

RARE, FEW_HITS = 0.05, 10
"""Below this share, or with fewer hits, `rare_ratio` is what to believe."""

KORN_GRAUBARD = "Korn–Graubard"


def is_rare(hits: float, points: float) -> bool:
    """Tell whether so few hits call for `rare_ratio`."""
    return bool(points > 0) and (hits < FEW_HITS or hits / points < RARE)


def rare_ratio(hits: ArrayLike, points: ArrayLike) -> MeasuredValue:
    """Estimate a small share from counts over clusters, with an interval that holds.

    Parameters
    ----------
    hits, points
        `(clusters,)` points that hit the class, and all that lie in the reference.

    Returns
    -------
    MeasuredValue
        With the interval of Clopper and Pearson on as many points as there would be if they were
        independent, and fewer because clusters are few. That no point has hit is no certainty: the
        interval then ends above 0, and there is no standard error.

    Notes
    -----
    Korn and Graubard 1998, Surv Methodol 24:193.

    Examples
    --------
    >>> from napari_lungcls.stereology.proportions import rare_ratio
    >>> low, high = rare_ratio([0, 1, 0, 2], [50, 60, 40, 50]).ci
    >>> f"{low:.3f} to {high:.3f}"
    '0.001 to 0.058'
    """
    x, y = np.asarray(hits, np.float64), np.asarray(points, np.float64)
    n, g = float(y.sum()), int((y > 0).sum())
    if n == 0:
        return MeasuredValue(estimate=None, n_clusters=g, ci_method="nothing was counted")
    p = float(x.sum()) / n
    se, _ = cr2(x - p * y, y)
    effective = n
    if 0 < p < 1 and np.isfinite(se) and se > 0:
        # Fewer clusters than points: Student's factor for the one over that for the other.
        loss = (stats.t.ppf(0.975, n - 1) / stats.t.ppf(0.975, g - 1)) ** 2
        effective = min(n, p * (1 - p) / se**2 * loss)
    low, high = clopper_pearson(p * effective, effective)
    has_se = 0 < p < 1 and np.isfinite(se)
    return MeasuredValue(
        estimate=p,
        se=se if has_se else None,
        ce=se / p if has_se else None,
        df=float(g - 1) if g > 1 else None,
        ci=(low, high),
        ci_method=KORN_GRAUBARD,
        n_clusters=g,
    )


def clopper_pearson(hits: float, points: float) -> tuple[float, float]:
    """Give the exact 95 % interval of a share; both numbers may be fractions."""
    tail = (1 - LEVEL) / 2
    low = 0.0 if hits <= 0 else float(stats.beta.ppf(tail, hits, points - hits + 1))
    high = 1.0 if hits >= points else float(stats.beta.ppf(1 - tail, hits + 1, points - hits))
    return low, high
