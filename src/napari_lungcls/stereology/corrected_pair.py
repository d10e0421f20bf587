"""A part and its reference in every cluster, corrected by audited points, with its errors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from napari_lungcls.stereology.audited_clusters import AuditedClusters, Flags, Floats, class_masks
from napari_lungcls.stereology.estimate import (
    EstimationMethod,
    Interval,
    StereologyEstimate,
    clipped,
    t_interval,
    t_quantile,
    undefined,
)
from napari_lungcls.stereology.proportions import RARE_HITS, is_rare, korn_graubard, mover
from napari_lungcls.stereology.ratios import ratio

Target = Literal["population", "sections"]
"""What the error is about.

`population`: the clusters were drawn from many, the error is how they vary. `sections`: the
maps are all there is, only the points were drawn; they are taken as independent.
"""
Weights = Literal["area", "points"]
"""How much a cluster counts: by its mapped area, or by its audited points."""


@dataclass(frozen=True, eq=False)
class CorrectedPair:
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
    ) -> CorrectedPair:
        """Look up what map and observer say of both; `soft` by probabilities if there are any."""
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
        ends = clipped((low, high), (0, 1))
        return plain.model_copy(update={"ci": ends, "ci_method": "mover"})

    def _one_sided(self, off: Floats, target: Target, level: float) -> tuple[float, Interval]:
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
