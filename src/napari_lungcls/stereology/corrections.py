"""Fractions by class from maps that audited points correct.

`raw`, `manual`, `difference`, `tuned` and `poststratified` take a part and its reference, as masks
of classes: septa of parenchyma, or parenchyma of lung. Numerator and reference are both corrected,
per cluster; then clusters are what varies.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
from numpy.typing import ArrayLike

from napari_lungcls.errors import LungclsWarning
from napari_lungcls.stereology.audited_clusters import AuditedClusters, Floats, class_masks
from napari_lungcls.stereology.corrected_pair import CorrectedPair, Target, Weights
from napari_lungcls.stereology.estimate import StereologyEstimate, t_interval, undefined
from napari_lungcls.stereology.proportions import for_rare
from napari_lungcls.stereology.ratios import bell_mccaffrey, cr2, ratio

_FEWEST = 2
"""Points that a stratum needs: one alone does not show how they vary."""

_NONE = 1e-9
"""Errors below it are those of rounding."""


def raw(
    data: AuditedClusters, part: ArrayLike, whole: ArrayLike, *, level: float = 0.95
) -> StereologyEstimate:
    """Give the map's own fraction, with whatever bias its classifier has.

    The interval says how clusters vary, and knows nothing of that bias.

    Parameters
    ----------
    data
        Maps and audited points; the points are not used.
    part, whole
        `(k,)` bool: classes of the numerator, and of the reference that holds them.
    level
        Of the interval.

    Raises
    ------
    ValueError
        When the masks do not fit.
    """
    x, y = class_masks(part, whole, data.n_classes)
    cells = data.map_cells
    sums = cells[:, x].sum(axis=1), cells[:, y].sum(axis=1)
    return ratio(*sums, level, limits=(0, 1), method="raw")


def manual(
    data: AuditedClusters,
    part: ArrayLike,
    whole: ArrayLike,
    *,
    target: Target = "population",
    weights: Weights = "area",
    level: float = 0.95,
) -> StereologyEstimate:
    """Estimate a fraction from the audited points alone, as by counting without a map.

    Parameters
    ----------
    data, part, whole, target, weights, level
        As for `difference`. By `points` it is the plain ratio of counts.

    Raises
    ------
    ValueError
        When the masks do not fit.
    """
    pair = CorrectedPair.of(data, part, whole, 0.0, weights, soft=False)
    plain = pair.estimate("manual", target, level)
    return for_rare(plain, float(pair.is_whole.sum()), level)


def difference(
    data: AuditedClusters,
    part: ArrayLike,
    whole: ArrayLike,
    *,
    target: Target = "population",
    weights: Weights = "area",
    level: float = 0.95,
) -> StereologyEstimate:
    """Estimate a fraction from maps, less the error that the audited points show.

    Parameters
    ----------
    data
        Maps and audited points.
    part, whole
        `(k,)` bool: classes of the numerator, and of the reference that holds them.
    target
        What the error is about, see `Target`.
    weights
        What clusters count by. `points` where the points are as many as the area asks for,
        but the maps are not of one scale.
    level
        Of the interval.

    Raises
    ------
    ValueError
        When the masks do not fit.

    Notes
    -----
    Per cluster `T = size·(map share + mean(y - ŷ))`, for the part and for the reference;
    `R = ΣT_part / ΣT_whole`. Särndal, Swensson and Wretman 1992, Model Assisted Survey
    Sampling, §6.3 (from memory, not verified). For `sections` the residual of each point is
    `(y_part - ŷ_part) - R·(y_whole - ŷ_whole)`. Where the part is rare, or fewer than ten
    points disagree, both kinds of disagreement get Korn-Graubard intervals of their own, and
    `mover` adds them up: no disagreement does not mean no error.
    """
    pair = CorrectedPair.of(data, part, whole, 1.0, weights, soft=False)
    return pair.with_few(pair.estimate("difference", target, level), target, level)


def tuned(
    data: AuditedClusters,
    part: ArrayLike,
    whole: ArrayLike,
    *,
    strength: float | None = None,
    target: Target = "population",
    weights: Weights = "area",
    level: float = 0.95,
) -> StereologyEstimate:
    """Estimate a fraction like `difference`, trusting the map only as far as it helps.

    Uses the map's probabilities if they are there, else its classes.

    Parameters
    ----------
    data, part, whole, target, weights, level
        As for `difference`.
    strength
        λ: 0 is `manual`, 1 `difference`. Default: `best_strength`.

    Raises
    ------
    ValueError
        When the masks do not fit.

    Notes
    -----
    `T = size·(λ·map share + mean(y - λŷ))`: Angelopoulos et al. 2023,
    doi 10.1126/science.adi6000 (doi not verified), and PPI++, arXiv:2311.01453; it is the
    generalised regression estimator, Breidt and Opsomer 2017, doi 10.1214/16-STS589 (doi not
    verified). Numerator and reference share one λ, chosen for their ratio.
    """
    if strength is None:
        strength = best_strength(data, part, whole, weights=weights)
    pair = CorrectedPair.of(data, part, whole, strength, weights, soft=True)
    return pair.with_few(pair.estimate("tuned", target, level), target, level)


def best_strength(
    data: AuditedClusters, part: ArrayLike, whole: ArrayLike, *, weights: Weights = "area"
) -> float:
    """Choose λ of `tuned`, from the points of all clusters.

    Parameters
    ----------
    data, part, whole, weights
        As for `difference`.

    Returns
    -------
    float
        0 to 1; 1 where the map says the same at all points.

    Raises
    ------
    ValueError
        When the masks do not fit.

    Notes
    -----
    `λ = Cov(y, ŷ) / [(1 + n/N)·Var(ŷ)]`, PPI++, arXiv:2311.01453, cut off at 0 and 1. For a
    ratio, y and ŷ are `y_part - R·y_whole`, with R of the difference estimator. Covariances
    are taken within clusters, because that is what the points of a cluster vary by, and
    pooled as they enter the variance of the estimate; so clusters may be few.
    """
    pair = CorrectedPair.of(data, part, whole, 1.0, weights, soft=True)
    r = pair.value
    if r is None:
        return 1.0
    said = pair.says_part - r * pair.says_whole
    true = pair.is_part - r * pair.is_whole
    n = data.points[data.cluster]
    # What a point adds to the variance of the estimate; one alone in its cluster shows none.
    weight = (pair.size[data.cluster] / n) ** 2 * n / np.maximum(n - 1, 1)
    said, true = (v - data.means(v)[data.cluster] for v in (said, true))
    spread = float(weight @ said**2)
    if spread <= 1e-12 * float(weight.sum()):
        return 1.0
    known = 1 + len(said) / float(data.size.sum())
    return min(max(float(weight @ (true * said)) / (known * spread), 0.0), 1.0)


def corrected_totals(
    data: AuditedClusters,
    part: ArrayLike,
    *,
    strength: float = 1.0,
    weights: Weights = "area",
) -> Floats:
    """Give the corrected total `(G,)` of some classes in every cluster.

    For quantities beyond fractions, such as corrected points beside corrected intersections
    in `mean_linear_intercept`. Divided by `data.size` it is the corrected share of the map.

    Parameters
    ----------
    data, weights
        As for `difference`.
    part
        `(k,)` bool: which classes.
    strength
        λ: 1 corrects the map, 0 takes the points alone.

    Returns
    -------
    ndarray, (G,)
        In cells of the map, or in points; may fall below 0 in a cluster with few points.

    Raises
    ------
    ValueError
        When the mask does not fit.
    """
    return CorrectedPair.of(data, part, part, strength, weights, soft=False).totals()[0]


def poststratified(
    data: AuditedClusters,
    part: ArrayLike,
    whole: ArrayLike,
    *,
    target: Target = "population",
    level: float = 0.95,
) -> StereologyEstimate:
    """Estimate a fraction from what the observer says within each class of the map.

    A check of `difference` and `tuned`, and the estimator where the audit *is* stratified by
    the map's classes, which those two do not allow.

    Parameters
    ----------
    data
        Maps and audited points. The rates of confusion are shared by all clusters: give one
        treatment at a time.
    part, whole
        `(k,)` bool: classes of the numerator, and of the reference that holds them.
    target
        What the error is about, see `Target`.
    level
        Of the interval.

    Returns
    -------
    StereologyEstimate
        Classes of the map with fewer than two audited points are joined, with a warning. For
        rare fractions with the interval of Korn and Graubard.

    Raises
    ------
    ValueError
        When the masks do not fit.

    Notes
    -----
    `p̂_k = ΣWᵢ·nᵢₖ/nᵢ`, and for `sections`
    `SE² = ΣWᵢ²·(nᵢₖ/nᵢ)(1 - nᵢₖ/nᵢ)/(nᵢ - 1)`: Olofsson et al. 2014,
    doi 10.1016/j.rse.2014.02.015. For `population` the CR2 error of the linearised residuals
    of the clusters, in which both the maps' shares and the confusion vary. Where no point
    disagrees there is neither error nor interval.
    """
    x, y = class_masks(part, whole, data.n_classes)
    maps, audit = _joined(data.map_cells, data.confusion)
    share = maps.sum(axis=0) / maps.sum()
    rates = audit.sum(axis=0) / audit.sum(axis=(0, 2))[:, np.newaxis]
    reference = float(share @ rates @ y)
    if not reference > 0:
        return undefined("poststratified", data.n_clusters)
    r = float(share @ rates @ x) / reference
    values = x.astype(np.float64) - r * y
    se: float | None
    df: float | None
    if target == "sections":
        of_row = audit.sum(axis=(0, 2))
        centred = values - (rates @ values)[:, np.newaxis]
        variance = (rates * centred**2).sum(axis=1)
        se, df = None, None
        if (of_row >= _FEWEST).all():
            se = math.sqrt(float((share**2 * variance / (of_row - 1)).sum())) / reference
            df = float(of_row.sum()) - len(of_row)
    else:
        size = maps.sum(axis=1)
        se = cr2(_residuals(maps, audit, share, rates, values) / reference, size)
        df = bell_mccaffrey(size)
    if se is not None and se < _NONE:
        # No disagreement among these points does not mean no error.
        se = df = None
    known = se is not None and df is not None
    plain = StereologyEstimate(
        estimate=r,
        se=se,
        ce=se / r if se is not None and r else None,
        df=df,
        ci=t_interval(r, se, df, level, (0, 1)) if se is not None and df is not None else None,
        ci_method="none" if not known else "t" if target == "sections" else "t-cr2",
        method="poststratified",
        n_clusters=data.n_clusters,
    )
    return for_rare(plain, float(audit.sum(axis=(0, 1)) @ y), level)


def _residuals(maps: Floats, audit: Floats, share: Floats, rates: Floats, values: Floats) -> Floats:
    """Give what each cluster `(G,)` adds to `Σ share·rates·values` beyond its expectation."""
    rows = audit.sum(axis=2)
    of_map = (maps - maps.sum(axis=1, keepdims=True) * share) @ (rates @ values) / maps.sum()
    of_audit = (audit @ values - rows * (rates @ values)) @ (share / rows.sum(axis=0))
    return np.asarray(of_map + of_audit, dtype=np.float64)


def _joined(maps: Floats, audit: Floats) -> tuple[Floats, Floats]:
    """Join strata until each has enough points; those that do not exist are left out."""
    maps, audit = np.asarray(maps, dtype=np.float64), audit
    there = (maps.sum(axis=0) > 0) | (audit.sum(axis=(0, 2)) > 0)
    maps, audit = maps[:, there], audit[:, there]
    poor = int((audit.sum(axis=(0, 2)) < _FEWEST).sum())
    if poor and maps.shape[1] > 1:
        warnings.warn(
            LungclsWarning(
                f"{poor} of the map's classes have fewer than {_FEWEST} audited points and were "
                "joined with others",
                suggestion="audit more points",
            ),
            stacklevel=3,
        )
    while maps.shape[1] > 1 and (audit.sum(axis=(0, 2)) < _FEWEST).any():
        order = np.argsort(audit.sum(axis=(0, 2)), kind="stable")
        maps, audit = maps[:, order], audit[:, order]
        maps = np.concatenate([maps[:, :2].sum(axis=1, keepdims=True), maps[:, 2:]], axis=1)
        audit = np.concatenate([audit[:, :2].sum(axis=1, keepdims=True), audit[:, 2:]], axis=1)
    return maps, audit
