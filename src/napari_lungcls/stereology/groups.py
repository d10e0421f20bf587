"""Groups of animals: how they vary, how much of it is measuring, and how many points it takes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy import stats

from napari_lungcls.errors import InputError
from napari_lungcls.stereology.estimate import LEVEL


class GroupSummary(BaseModel):
    """One value per animal, summed up.

    Attributes
    ----------
    n
        Animals.
    mean, sd
        Of their values.
    ci
        95 % interval of the mean, Student's; None for one animal.
    cv
        Observed coefficient of variation, `sd / mean`.
    mean_ce2
        Mean squared coefficient of error of the animals' values; None where one has none.
    ce_share
        CE²/CV²: how much of the observed variance is measuring. 0.2 to 0.5 is what to aim at
        (Gundersen and Østerby 1981, J Microsc 121:65 [M]): below, counting less costs nothing;
        above, count more.
    biological_cv
        `√(CV² − CE²)`, 0 where measuring explains all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int
    mean: float
    sd: float | None
    ci: tuple[float, float] | None
    cv: float | None
    mean_ce2: float | None
    ce_share: float | None
    biological_cv: float | None


def summarize_group(values: Sequence[float], ces: Sequence[float | None] = ()) -> GroupSummary:
    """Sum up one value per animal, and the coefficient of error of each.

    Parameters
    ----------
    values
        One for each animal: sections are never the number of a group.
    ces
        Coefficients of error from sampling within the animals; left out where unknown. That of
        the group's mean, SD/√n/mean, is none of these: it makes `ce_share` 1/n.

    Raises
    ------
    InputError
        When there is no value.

    Examples
    --------
    >>> from napari_lungcls.stereology.groups import summarize_group
    >>> group = summarize_group([0.182, 0.205, 0.214], [0.046, 0.051, 0.044])
    >>> f"{group.mean:.3f}, CV {group.cv:.3f}, of it measuring {group.ce_share:.0%}"
    '0.200, CV 0.083, of it measuring 32%'
    """
    found = np.asarray(values, np.float64)
    n = len(found)
    if n == 0:
        raise InputError("a group without animals has no mean")
    mean = float(found.mean())
    if n == 1:
        return GroupSummary(
            n=1, mean=mean, sd=None, ci=None, cv=None, mean_ce2=None, ce_share=None,
            biological_cv=None,
        )  # fmt: skip
    sd = float(found.std(ddof=1))
    reach = float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * sd / math.sqrt(n)
    cv = sd / abs(mean) if mean else None
    known = [ce for ce in ces if ce is not None]
    mean_ce2 = float(np.mean(np.square(known))) if known and len(known) == n else None
    share = None if mean_ce2 is None or not cv else mean_ce2 / cv**2
    biological = None if mean_ce2 is None or cv is None else math.sqrt(max(0.0, cv**2 - mean_ce2))
    return GroupSummary(
        n=n,
        mean=mean,
        sd=sd,
        ci=(mean - reach, mean + reach),
        cv=cv,
        mean_ce2=mean_ce2,
        ce_share=share,
        biological_cv=biological,
    )


def independent_points(share: float, ce: float) -> float:
    """Give the points it takes if they are independent: `n = (1 − V_V)/(V_V·CE²)`."""
    return (1 - share) / (share * ce**2)


def compact_points(ce: float, sections: int, shape_factor: float = 5.0) -> float:
    """Give the points it takes on compact profiles: `(0.0724·b/√a·√n/CE²)^⅔`.

    For V(lung) and V(par), as `cavalieri.noise`, which it inverts.
    """
    return float((0.0724 * shape_factor * math.sqrt(sections) / ce**2) ** (2 / 3))


def audit_points(sd: float, se: float, per_cluster: float = 1, correlation: float = 0.0) -> float:
    """Give the test points that bring a corrected share to a standard error.

    Parameters
    ----------
    sd
        Standard deviation of `y − ŷ` at single points; `√(FN + FP)` at most.
    se
        Asked.
    per_cluster, correlation
        Test points of a cluster, and how alike their errors are: the design effect is
        `1 + (m − 1)·ρ`.
    """
    return (1 + (per_cluster - 1) * correlation) * (sd / se) ** 2


def combined_ce(ces: Sequence[float]) -> float:
    """Give the coefficient of error of a product or quotient of independent factors."""
    return math.sqrt(sum(ce**2 for ce in ces))


def shrinkage_factor(volume_before: float, volume_after: float) -> float:
    """Give the factor of lengths, `(V after / V before)^⅓`.

    Lengths (L_m, τ) are divided by it, S_V is multiplied by it. V_V needs none, if all phases
    shrink alike. Compression by the knife is another thing: it acts in one direction of the
    section.
    """
    return math.cbrt(volume_after / volume_before)


def overprojection(section_thickness_um: float, surface_density_per_cm: float) -> float:
    """Give the share that sheets seem to have too much in thick sections: about `t·S_V/4` [D]."""
    return section_thickness_um * 1e-4 * surface_density_per_cm / 4
