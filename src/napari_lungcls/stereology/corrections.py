"""A map corrected by test points that an observer answered: what both say together.

The map knows every cell and errs; the observer is right and sees few points. Each estimator takes
what the map says of everything and adds what the observer says of the map's errors, cluster by
cluster, because classifiers err in other ways in other animals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_lungcls.stereology.estimate import MeasuredValue, with_t_interval
from napari_lungcls.stereology.proportions import is_rare, rare_ratio
from napari_lungcls.stereology.ratios import CR2, cr2, ratio

ALONE = "points taken as independent"
"""How an interval was found where there is one cluster only."""

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class AuditedMaps:
    """Maps and answered test points of one target.

    Attributes
    ----------
    areas
        `(clusters, k)`, what each class covers on the maps; any unit, the same for all.
    cluster
        `(n,)`, the cluster of each test point.
    truth
        `(n,)`, the class that the observer gave.
    predicted
        `(n, k)`, what the map says there: probabilities, or 1 for its class.
    classes
        `(n,)`, the class of the map there.
    """

    areas: Floats
    cluster: Codes
    truth: Codes
    predicted: Floats
    classes: Codes

    @property
    def weights(self) -> Floats:
        """Painted area of each cluster, `(clusters,)`."""
        return np.asarray(self.areas.sum(axis=1))

    def counts(self, chosen: NDArray[np.bool_]) -> Floats:
        """Count the answers among some classes `(k,)`, cluster by cluster."""
        return self.sums(chosen[self.truth].astype(np.float64))

    def sums(self, values: Floats) -> Floats:
        """Add up values of the test points `(n,)` by cluster."""
        return np.bincount(self.cluster, values, len(self.areas)).astype(np.float64)

    def audited(self) -> AuditedMaps:
        """Leave out clusters without test points."""
        kept = np.bincount(self.cluster, minlength=len(self.areas)) > 0
        place = np.cumsum(kept) - 1
        return AuditedMaps(
            self.areas[kept], place[self.cluster], self.truth, self.predicted, self.classes
        )


def raw_share(maps: AuditedMaps, wanted: ArrayLike, reference: ArrayLike) -> MeasuredValue:
    """Give what the maps say alone: a share that lacks the error of the classifier."""
    inside, below = _chosen(wanted), _chosen(reference)
    total = float(maps.areas[:, below].sum())
    share = float(maps.areas[:, inside].sum()) / total if total else None
    return MeasuredValue(
        estimate=share,
        n_clusters=len(maps.areas),
        ci_method="no interval: the map's own errors are not known without test points",
    )


def manual_share(maps: AuditedMaps, wanted: ArrayLike, reference: ArrayLike) -> MeasuredValue:
    """Estimate a share from the observer's answers alone: points over points.

    Rare classes have the interval of `rare_ratio`. With one cluster points stand for themselves.
    """
    x, y = (maps.counts(_chosen(chosen)) for chosen in (wanted, reference))
    if is_rare(float(x.sum()), float(y.sum())):
        return rare_ratio(x, y)
    if (y > 0).sum() > 1:
        return ratio(x, y)
    found = ratio(*(_chosen(chosen)[maps.truth].astype(float) for chosen in (wanted, reference)))
    return found.model_copy(update={"ci_method": ALONE, "n_clusters": 1})


def difference_share(maps: AuditedMaps, wanted: ArrayLike, reference: ArrayLike) -> MeasuredValue:
    """Estimate a share as the map's, plus the mean error of the map at the test points.

    Both the class and the reference are corrected: `R = ΣwT(x) / ΣwT(ref)` with
    `T = share on the map + mean(y − ŷ)` of each cluster, `w` its painted area.

    Notes
    -----
    Breidt and Opsomer 2017, doi 10.1214/16-STS589 (model-assisted estimation); the error is that
    between clusters, CR2 of `w·(T(x) − R·T(ref))`.
    """
    return _assisted(maps, _chosen(wanted), _chosen(reference), 1.0)


def tuned_share(maps: AuditedMaps, wanted: ArrayLike, reference: ArrayLike) -> MeasuredValue:
    """Estimate a share as `difference_share` does, trusting the map as far as it deserves.

    The map counts for λ of what it says, `λ = Cov(z, ẑ)/Var(ẑ)`, within 0 and 1, of all test points
    together, where `z = y(x) − R·y(ref)`. At λ = 1 it is the difference, at 0 the observer alone.

    Notes
    -----
    PPI++: Angelopoulos et al. 2023, arXiv:2311.01453; the generalised regression estimator of
    survey sampling. The map has so many more cells than there are points that their ratio is left
    out of λ.
    """
    inside, below = _chosen(wanted), _chosen(reference)
    return _assisted(maps, inside, below, tuning(maps, inside, below))


def tuning(maps: AuditedMaps, wanted: ArrayLike, reference: ArrayLike) -> float:
    """Give λ of `tuned_share`."""
    inside, below = _chosen(wanted), _chosen(reference)
    of = below[maps.truth].sum()
    share = inside[maps.truth].sum() / of if of else 0.0
    z = inside[maps.truth] - share * below[maps.truth]
    told = maps.predicted[:, inside].sum(axis=1) - share * maps.predicted[:, below].sum(axis=1)
    spread = told.var()
    if spread == 0:
        return 1.0
    return float(np.clip(((z - z.mean()) * (told - told.mean())).mean() / spread, 0.0, 1.0))


def _assisted(
    maps: AuditedMaps, wanted: NDArray[np.bool_], reference: NDArray[np.bool_], trust: float
) -> MeasuredValue:
    maps = maps.audited()
    weights, answered = maps.weights, maps.sums(np.ones(len(maps.truth)))
    if not len(weights) or not weights.all():
        return with_t_interval(np.nan, np.nan, np.nan, 0, CR2)

    def left(chosen: NDArray[np.bool_]) -> Floats:
        """Take the map, as far as it is trusted, from what the observer says at each point."""
        seen: Floats = chosen[maps.truth] - trust * maps.predicted[:, chosen].sum(axis=1)
        return seen

    def totals(chosen: NDArray[np.bool_]) -> Floats:
        told = maps.areas[:, chosen].sum(axis=1) / weights
        found: Floats = trust * told + maps.sums(left(chosen)) / answered
        return found

    above, below = weights * totals(wanted), weights * totals(reference)
    if below.sum() <= 0:
        return with_t_interval(np.nan, np.nan, np.nan, 0, CR2)
    share = float(above.sum() / below.sum())
    if len(weights) > 1:
        se, df = cr2(above - share * below, np.maximum(below, 0))
        return with_t_interval(share, se, df, len(weights), CR2)
    # One cluster: the error is that of the test points within it.
    z = left(wanted) - share * left(reference)
    n = len(z)
    se = float(np.std(z, ddof=1) / np.sqrt(n) / (below[0] / weights[0])) if n > 1 else np.nan
    found = with_t_interval(share, se, n - 1, 2, ALONE)
    return found.model_copy(update={"n_clusters": 1})


def poststratified_share(
    maps: AuditedMaps, wanted: ArrayLike, reference: ArrayLike
) -> MeasuredValue:
    """Estimate a share from the answers within each class of the map: the check of the others.

    It is the estimator of choice where test points were drawn within predicted classes. Points
    are taken as independent; a class of the map with fewer than two test points has no answer.

    Notes
    -----
    Olofsson et al. 2014, doi 10.1016/j.rse.2014.02.015, equations 2 and 10:
    `p = ΣWᵢ·nᵢₖ/nᵢ`, `SE² = ΣWᵢ²·s²/nᵢ`; here of `y(x) − R·y(ref)`. Where test points were
    stratified by something else: Stehman 2014, doi 10.1080/01431161.2014.930207.
    """
    inside, below = _chosen(wanted), _chosen(reference)
    strata = np.flatnonzero(maps.areas.sum(axis=0) > 0)
    shares = maps.areas.sum(axis=0)[strata] / maps.areas.sum()
    rows = [np.flatnonzero(maps.classes == k) for k in strata]
    if min((len(own) for own in rows), default=0) < 2:
        return MeasuredValue(
            estimate=None,
            n_clusters=len(maps.areas),
            ci_method="a class of the map has fewer than two test points",
        )
    x, y = inside[maps.truth].astype(float), below[maps.truth].astype(float)
    above = float(sum(w * x[own].mean() for w, own in zip(shares, rows, strict=True)))
    under = float(sum(w * y[own].mean() for w, own in zip(shares, rows, strict=True)))
    if under <= 0:
        return with_t_interval(np.nan, np.nan, np.nan, 0, ALONE)
    z = x - above / under * y
    variance = sum(
        w**2 * z[own].var(ddof=1) / len(own) for w, own in zip(shares, rows, strict=True)
    )
    df = len(maps.truth) - len(strata)
    found = with_t_interval(above / under, float(np.sqrt(variance)) / under, df, 2, ALONE)
    return found.model_copy(update={"n_clusters": len(maps.areas)})


def rogan_gladen(share: float, sensitivity: float, specificity: float) -> float:
    """Correct a share by errors that were measured on other sections: `(p + sp − 1)/(se + sp − 1)`.

    It can leave 0 to 1, and holds only where the errors are the same. Rogan and Gladen 1978,
    doi 10.1093/oxfordjournals.aje.a112510 [M].
    """
    return (share + specificity - 1) / (sensitivity + specificity - 1)


def unmixed_shares(shares: ArrayLike, confusion: ArrayLike) -> Floats:
    """Correct the shares of all classes: `C⁻¹q`, the Rogan–Gladen estimator of several classes.

    Parameters
    ----------
    shares
        `(k,)` of the map.
    confusion
        `(k, k)` counts, rows are the map's classes, columns the observer's.
    """
    counts = np.asarray(confusion, np.float64)
    found: Floats = np.linalg.solve(counts / counts.sum(axis=0), np.asarray(shares, np.float64))
    return found


def gain(share: float, missed: float, added: float) -> float:
    """Tell how many times fewer test points a map saves: `p(1−p)/(FN + FP − (FN − FP)²)`.

    Parameters
    ----------
    share
        Of the class.
    missed, added
        Parts of everything that the map takes from the class and gives to it wrongly.
    """
    spread = missed + added - (missed - added) ** 2
    return float("inf") if spread <= 0 else share * (1 - share) / spread


def _chosen(classes: ArrayLike) -> NDArray[np.bool_]:
    return np.asarray(classes, bool)
