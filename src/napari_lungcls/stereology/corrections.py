"""Fractions by class from maps that audited points correct: raw, manual, difference, tuned.

All take a part and its reference, as masks of classes: septa of parenchyma, or parenchyma of
lung. Numerator and reference are both corrected, per cluster; then clusters are what varies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from napari_lungcls.stereology.audit import AuditedClusters, Flags, Floats, class_masks
from napari_lungcls.stereology.estimate import (
    EstimationMethod,
    StereologyEstimate,
    t_interval,
    t_quantile,
    undefined,
)
from napari_lungcls.stereology.proportions import (
    RARE_HITS,
    for_rare,
    is_rare,
    korn_graubard,
    mover,
)
from napari_lungcls.stereology.ratios import ratio

Target = Literal["population", "sections"]
"""What the error is about.

`population`: the clusters were drawn from many, the error is how they vary. `sections`: the
maps are all there is, only the points were drawn; they are taken as independent.
"""
Weights = Literal["area", "points"]
"""How much a cluster counts: by its mapped area, or by its audited points."""


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
    pair = _Corrected.of(data, part, whole, 0.0, weights, soft=False)
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
    pair = _Corrected.of(data, part, whole, 1.0, weights, soft=False)
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
    pair = _Corrected.of(data, part, whole, strength, weights, soft=True)
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
    pair = _Corrected.of(data, part, whole, 1.0, weights, soft=True)
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


@dataclass(frozen=True, eq=False)
class _Corrected:
    """Corrected totals of a part and its reference in every cluster.

    `is_…` and `says_…` are `(n,)`: what observer and map say at the points; `share_…` `(G,)`
    are the map's shares, `size` `(G,)` the weights of the clusters.
    """

    data: AuditedClusters
    strength: float
    size: Floats
    is_part: Floats
    is_whole: Floats
    says_part: Floats
    says_whole: Floats
    share_part: Floats
    share_whole: Floats

    @classmethod
    def of(
        cls,
        data: AuditedClusters,
        part: ArrayLike,
        whole: ArrayLike,
        strength: float,
        weights: Weights,
        *,
        soft: bool,
    ) -> _Corrected:
        masks = class_masks(part, whole, data.n_classes)
        sums = data.map_probabilities if soft and data.map_probabilities is not None else None
        each = data.probabilities if sums is not None else None
        cells = data.map_cells if sums is None else sums

        def says(mask: Flags) -> Floats:
            if each is None:
                return mask[data.predicted].astype(np.float64)
            return np.asarray(each[:, mask].sum(axis=1), dtype=np.float64)

        return cls(
            data,
            strength,
            data.size if weights == "area" else data.points,
            *(mask[data.truth].astype(np.float64) for mask in masks),
            *(says(mask) for mask in masks),
            *(cells[:, mask].sum(axis=1) / data.size for mask in masks),
        )

    def totals(self) -> tuple[Floats, Floats]:
        """Give the corrected totals `(G,)` of part and reference."""
        x = self._total(self.is_part, self.says_part, self.share_part)
        return x, self._total(self.is_whole, self.says_whole, self.share_whole)

    def _total(self, true: Floats, said: Floats, share: Floats) -> Floats:
        correction = self.data.means(true - self.strength * said)
        return self.size * (self.strength * share + correction)

    @property
    def value(self) -> float | None:
        """The corrected ratio; None where the reference is empty."""
        x, y = self.totals()
        return float(x.sum() / y.sum()) if y.sum() > 0 else None

    def residuals(self, r: float) -> Floats:
        """Give what each point `(n,)` contributes to the correction of the ratio r."""
        part = self.is_part - self.strength * self.says_part
        return part - r * (self.is_whole - self.strength * self.says_whole)

    def estimate(
        self, method: EstimationMethod, target: Target, level: float
    ) -> StereologyEstimate:
        """Estimate the ratio, with the error that belongs to the target."""
        x, y = self.totals()
        if target == "population":
            return ratio(x, y, level, limits=(0, 1), method=method)
        r = self.value
        plain = undefined(method, self.data.n_clusters)
        if r is None:
            return plain
        spread = self._points_spread(self.residuals(r), float(y.sum()))
        if spread is None:
            return plain.model_copy(update={"estimate": r})
        se, df = spread
        return StereologyEstimate(
            estimate=r,
            se=se,
            ce=se / abs(r) if r else None,
            df=df,
            ci=t_interval(r, se, df, level, (0, 1)),
            ci_method="t",
            method=method,
            n_clusters=self.data.n_clusters,
        )

    def _points_spread(self, values: Floats, total: float) -> tuple[float, float] | None:
        """Give SE and Satterthwaite's degrees of freedom of independent points in clusters."""
        n = self.data.points
        if (n < 2).any():
            return None
        centred = values - self.data.means(values)[self.data.cluster]
        variance = self.data.means(centred**2) * n / (n - 1)
        terms = (self.size / total) ** 2 * variance / n
        squares = float((terms**2 / (n - 1)).sum())
        df = float(terms.sum()) ** 2 / squares if squares > 0 else float((n - 1).sum())
        return math.sqrt(float(terms.sum())), df

    def with_few(
        self, plain: StereologyEstimate, target: Target, level: float
    ) -> StereologyEstimate:
        """Widen the interval where the part is rare or hardly a point disagrees."""
        r = plain.estimate
        if r is None or plain.se is None:
            return plain
        points = float(self.is_whole.sum())
        few = (self.data.truth != self.data.predicted).sum() < RARE_HITS
        if not points or not (is_rare(r, points) or few or plain.ci is None):
            return plain
        off = self.residuals(r)
        parts = [
            (*self._one_sided(np.maximum(sign * off, 0), target, level), sign) for sign in (1, -1)
        ]
        half = self._map_half_width(level) if target == "population" else 0.0
        low, high = mover(r, [*parts, (r, (r - half, r + half), 1)])
        ends = max(low, 0.0), min(high, 1.0)
        return plain.model_copy(update={"ci": ends, "ci_method": "mover"})

    def _one_sided(
        self, off: Floats, target: Target, level: float
    ) -> tuple[float, tuple[float, float]]:
        """Give the weighted mean of values of 0 to 1, and its Korn-Graubard interval."""
        x, y = self.size * self.data.means(off), self.totals()[1]
        p, n = min(float(x.sum() / y.sum()), 1.0), float(len(off))
        if target == "population":
            found = ratio(x, y, level)
            variance, df = (found.se or 0.0) ** 2, found.df or 1.0
        else:
            se, df = self._points_spread(off, float(y.sum())) or (0.0, n - 1)
            variance = se**2
        return p, korn_graubard(p, n, variance, df, level)

    def _map_half_width(self, level: float) -> float:
        """Give how far the maps' own share is uncertain, because clusters vary."""
        shares = self.size * self.share_part, self.size * self.share_whole
        found = ratio(*shares, level)
        if found.se is None or found.df is None:
            return 0.0
        scale = self.strength * float(shares[1].sum() / self.totals()[1].sum())
        return scale * t_quantile(found.df, level) * found.se
