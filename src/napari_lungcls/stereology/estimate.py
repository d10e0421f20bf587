"""What every estimator of this package returns: a figure with its error."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict
from scipy import stats

Method = Literal["raw", "manual", "difference", "tuned", "poststratified"]

LEVEL = 0.95
"""Coverage that intervals aim at."""


class MeasuredValue(BaseModel):
    """A figure with its error; None where it is not defined.

    Attributes
    ----------
    estimate
        The figure.
    unit
        Such as `cm⁻¹`; empty for a pure number.
    se
        Standard error.
    ce
        Coefficient of error, `se / |estimate|`.
    df
        Degrees of freedom of the interval.
    ci
        95 % interval.
    ci_method
        How the interval was found, or why there is none.
    n_clusters
        Independent units behind it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    estimate: float | None
    unit: str = ""
    se: float | None = None
    ce: float | None = None
    df: float | None = None
    ci: tuple[float, float] | None = None
    ci_method: str = ""
    n_clusters: int

    def scaled(self, factor: float, unit: str = "") -> MeasuredValue:
        """Multiply by a number that has no error of its own, and change the unit."""

        def times(value: float | None) -> float | None:
            return None if value is None else value * factor

        ends = None if self.ci is None else sorted((self.ci[0] * factor, self.ci[1] * factor))
        return self.model_copy(
            update={
                "estimate": times(self.estimate),
                "se": None if self.se is None else self.se * abs(factor),
                "ci": None if ends is None else (ends[0], ends[1]),
                "unit": unit,
            }
        )


def with_t_interval(
    estimate: float, se: float, df: float, n_clusters: int, ci_method: str
) -> MeasuredValue:
    """Put a figure and its standard error together with Student's interval.

    Without two clusters, or an error that is a number, only the figure stands.
    """
    if not math.isfinite(estimate):
        return MeasuredValue(estimate=None, n_clusters=n_clusters, ci_method="nothing was counted")
    if n_clusters < 2 or not math.isfinite(se) or not df > 0:
        return MeasuredValue(
            estimate=estimate, n_clusters=n_clusters, ci_method="one unit tells no error"
        )
    reach = float(stats.t.ppf((1 + LEVEL) / 2, df)) * se
    return MeasuredValue(
        estimate=estimate,
        se=se,
        ce=se / abs(estimate) if estimate else None,
        df=df,
        ci=(estimate - reach, estimate + reach),
        ci_method=ci_method,
        n_clusters=n_clusters,
    )
