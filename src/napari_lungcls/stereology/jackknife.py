"""Errors of quantities made of several counts: the jackknife, and independent factors."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from napari_lungcls.stereology.estimate import (
    EstimationMethod,
    Interval,
    StereologyEstimate,
    t_interval,
    undefined,
)
from napari_lungcls.stereology.ratios import vectors


def jackknife(
    statistic: Callable[..., float],
    *columns: ArrayLike,
    level: float = 0.95,
    limits: Interval = (-math.inf, math.inf),
    method: EstimationMethod = "manual",
    unit: str = "",
) -> StereologyEstimate:
    """Estimate any function of sums over clusters, with the delete-one jackknife.

    For quantities that share their counts, such as `L_m / τ`, where the errors of the factors
    must not be added as if they were independent.

    Parameters
    ----------
    statistic
        Takes the sum of each column and gives the figure.
    columns
        `(G,)` each, one value for every cluster.
    level, limits, method, unit
        As for `ratio`.

    Raises
    ------
    ValueError
        When the columns are not vectors of one length, not finite, or there are none.

    Notes
    -----
    `SE² = (G - 1)/G·Σ(R₍₋g₎ - mean)²`, t with G - 1 degrees of freedom.
    """
    table = np.stack(vectors(*columns))
    sums, g = table.sum(axis=1), table.shape[1]
    value = float(statistic(*sums))
    if g < 2:
        alone = undefined(method, g, unit)
        return alone.model_copy(update={"estimate": value})
    left = np.array([statistic(*rest) for rest in (sums[:, np.newaxis] - table).T])
    se = math.sqrt((g - 1) / g * float(((left - left.mean()) ** 2).sum()))
    return StereologyEstimate(
        estimate=value,
        se=se,
        ce=se / abs(value) if value else None,
        df=g - 1,
        ci=t_interval(value, se, g - 1, level, limits),
        ci_method="jackknife-t",
        method=method,
        n_clusters=g,
        unit=unit,
    )


def propagated_ce(*errors: float) -> float:
    """Give the CE of a product or quotient of independent factors: the root of `ΣCE²`.

    Only for independent factors; see `jackknife` for those that share counts.
    """
    return math.hypot(*errors)
