"""Groups of animals, and how many audited points a study needs."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from napari_lungcls.errors import LungclsWarning
from napari_lungcls.stereology.estimate import Interval, t_interval


class GroupSummary(BaseModel):
    """A parameter in a group, one value for each animal.

    Attributes
    ----------
    n
        Animals; sections are never n.
    mean, sd, cv
        Of the animals; `sd` and `cv` are None for one animal, `cv` for a mean of 0.
    ci
        Of the mean, by t with n - 1 degrees of freedom.
    mean_ce2
        Mean of the squared coefficients of error; None if one is not known.
    ratio
        `mean_ce2 / cv²`: what share of the variance comes from sampling within animals. Aim
        at 0.2 to 0.5.
    biological_cv
        `sqrt(cv² - mean_ce2)`; 0 where sampling explains all of the variation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    n: int
    mean: float
    sd: float | None
    cv: float | None
    ci: Interval | None
    mean_ce2: float | None
    ratio: float | None
    biological_cv: float | None


def group_summary(
    values: Sequence[float], ces: Sequence[float | None] = (), level: float = 0.95
) -> GroupSummary:
    """Summarize a group of animals, and tell sampling error from biology.

    Parameters
    ----------
    values
        `(n,)` one for each animal.
    ces
        `(n,)` coefficient of error of each, from sampling *within* the animal; or none.
    level
        Of the interval.

    Raises
    ------
    ValueError
        When there is no value, or another number of errors than of values.

    Warns
    -----
    LungclsWarning
        When CE²/CV² is 1/n: what was given is the error of the group's mean.

    Notes
    -----
    `CV² = biological CV² + mean CE²`. Gundersen and Østerby 1981, J. Microsc. 121, 65 (from
    memory, not verified).
    """
    v = np.asarray(values, dtype=np.float64)
    if v.ndim != 1 or not len(v) or len(ces) not in (0, len(v)):
        raise ValueError("a group has one value, and one coefficient of error, for each animal")
    n, mean = len(v), float(v.mean())
    sd = float(v.std(ddof=1)) if n > 1 else None
    cv = sd / abs(mean) if sd is not None and mean != 0 else None
    known = [ce for ce in ces if ce is not None]
    mean_ce2 = float(np.mean(np.square(known))) if known and len(known) == n else None
    ratio = mean_ce2 / cv**2 if mean_ce2 is not None and cv else None
    if ratio is not None and math.isclose(ratio * n, 1, rel_tol=0.01):
        warnings.warn(
            LungclsWarning(
                f"CE²/CV² is {ratio:.3f}, one over the number of animals, as if the standard "
                "error of the group's mean had been given as the animals' coefficient of error",
                suggestion="give the coefficient of error of sampling within each animal",
            ),
            stacklevel=2,
        )
    both = mean_ce2 is not None and cv is not None
    return GroupSummary(
        n=n,
        mean=mean,
        sd=sd,
        cv=cv,
        ci=None if sd is None else t_interval(mean, sd / math.sqrt(n), n - 1, level),
        mean_ce2=mean_ce2,
        ratio=ratio,
        biological_cv=math.sqrt(max(cv**2 - mean_ce2, 0.0)) if both else None,  # type: ignore[operator]
    )


def audit_points_needed(se: float, residual_sd: float) -> int:
    """Give how many audited points a corrected fraction needs for a standard error.

    Parameters
    ----------
    se
        Wanted.
    residual_sd
        Standard deviation of `y - ŷ` between points: `sqrt(FN + FP - (FN - FP)²)`.

    Raises
    ------
    ValueError
        When one of them is out of range.

    Notes
    -----
    `n = σ² / SE²` of independent points, rounded up.
    """
    if not (se > 0 and residual_sd >= 0):
        raise ValueError("errors must be positive")
    # What is whole but for rounding must not be rounded up.
    return math.ceil((residual_sd / se) ** 2 * (1 - 1e-12))
