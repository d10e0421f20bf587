"""Fractions of audits that are stratified by the classes of the map."""

from __future__ import annotations

import math
import warnings

import numpy as np
from numpy.typing import ArrayLike

from napari_lungcls.errors import LungclsWarning
from napari_lungcls.stereology.audited_clusters import AuditedClusters, Floats, class_masks
from napari_lungcls.stereology.corrected_pair import Target
from napari_lungcls.stereology.estimate import StereologyEstimate, t_interval, undefined
from napari_lungcls.stereology.proportions import for_rare
from napari_lungcls.stereology.ratios import bell_mccaffrey, cr2

_FEWEST = 2
"""Points that a stratum needs: one alone does not show how they vary."""

_NONE = 1e-9
"""Errors below it are those of rounding."""


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
