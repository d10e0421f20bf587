"""What every stereological estimator returns: the figure, its errors and its interval."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict
from scipy import stats

EstimationMethod = Literal["raw", "manual", "difference", "tuned", "poststratified"]
IntervalMethod = Literal["t-cr2", "t", "korn-graubard", "mover", "none"]
Interval = tuple[float, float]


class StereologyEstimate(BaseModel):
    """An estimate with its errors; None where something is not defined.

    Attributes
    ----------
    estimate
        In `unit`; None where the denominator is 0. A corrected fraction may leave 0 to 1 by
        chance, and stays there so that fractions add up; its interval does not.
    se
        Standard error, in `unit`; None with fewer than two clusters.
    ce
        Coefficient of error, the field's relative standard error. For ratios it is that of
        Cruz-Orive and Weibel, which differs slightly from `se / estimate`, because `se`
        carries the correction for few clusters.
    df
        Degrees of freedom of the t quantile in the interval; rarely an integer.
    ci
        Both ends of the confidence interval, in `unit`.
    ci_method
        `t-cr2`: t with the CR2 standard error and Bell-McCaffrey degrees of freedom; `t`:
        t with another standard error; `korn-graubard`: Clopper-Pearson on the effective number
        of points; `mover`: a correction of few disagreements, each side by Korn-Graubard;
        `none`: no interval.
    method
        How the map and the observer were combined.
    n_clusters
        Independent units that the estimate rests on.
    unit
        Empty for a fraction.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    estimate: float | None
    se: float | None
    ce: float | None
    df: float | None
    ci: Interval | None
    ci_method: IntervalMethod
    method: EstimationMethod
    n_clusters: int
    unit: str = ""

    def scaled(self, factor: float, unit: str | None = None) -> StereologyEstimate:
        """Multiply by a positive constant that has no error of its own.

        Parameters
        ----------
        factor
            Larger than 0.
        unit
            The new unit; the old one if not given.

        Raises
        ------
        ValueError
            When the factor is not positive.
        """
        if not factor > 0:
            raise ValueError(f"a factor of {factor} is not positive")
        changes: dict[str, object] = {
            "estimate": None if self.estimate is None else self.estimate * factor,
            "se": None if self.se is None else self.se * factor,
            "ci": None if self.ci is None else (self.ci[0] * factor, self.ci[1] * factor),
        }
        return self.model_copy(update=changes if unit is None else {**changes, "unit": unit})


def undefined(method: EstimationMethod, n_clusters: int, unit: str = "") -> StereologyEstimate:
    """Give the estimate of something whose reference is empty."""
    return StereologyEstimate(
        estimate=None,
        se=None,
        ce=None,
        df=None,
        ci=None,
        ci_method="none",
        method=method,
        n_clusters=n_clusters,
        unit=unit,
    )


def t_interval(
    estimate: float,
    se: float,
    df: float,
    level: float = 0.95,
    limits: Interval = (-math.inf, math.inf),
) -> Interval:
    """Give `estimate ± t(df)·se`, cut off at the limits of what is possible.

    Raises
    ------
    ValueError
        When the level is not between 0 and 1.
    """
    half = t_quantile(df, level) * se
    return clipped((estimate - half, estimate + half), limits)


def clipped(ends: Interval, limits: Interval) -> Interval:
    """Cut an interval off at what is possible; one that lies outside shrinks to the limit."""
    low, high = (min(max(end, limits[0]), limits[1]) for end in ends)
    return low, high


def t_quantile(df: float, level: float) -> float:
    """Give the two-sided quantile of Student's t.

    Raises
    ------
    ValueError
        When the level is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"a level of {level} is not between 0 and 1")
    return float(stats.t.ppf((1 + level) / 2, df))
