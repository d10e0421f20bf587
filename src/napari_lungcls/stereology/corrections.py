"""Fractions by class from maps that audited points correct: raw, manual, difference, tuned.

All take a part and its reference, as masks of classes: septa of parenchyma, or parenchyma of
lung. Numerator and reference are both corrected, per cluster; then clusters are what varies.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from napari_lungcls.stereology.audited_clusters import AuditedClusters, Floats, class_masks
from napari_lungcls.stereology.corrected_pair import CorrectedPair, Target, Weights
from napari_lungcls.stereology.estimate import StereologyEstimate
from napari_lungcls.stereology.proportions import for_rare
from napari_lungcls.stereology.ratios import ratio


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
