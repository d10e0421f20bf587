"""Surface density, mean linear intercept and septal thickness from tables of counts.

`I` counts *surfaces*: crossings from air to tissue or back, two for every septum; the mouth of
an alveolus in a duct is none. `length_per_point` is l/p, the length of test line in µm that
belongs to a test point: 2d on a square grid with lines both ways at spacing d, d with lines
one way, d/2 on segments of length d with a point at each end. Where the length of the lines in
the parenchyma is known itself, give it as points with `length_per_point=1`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from napari_lungcls.stereology.estimate import EstimationMethod, StereologyEstimate
from napari_lungcls.stereology.ratios import ratio

CM_PER_UM = 1e-4


def surface_density(
    intersections: ArrayLike,
    parenchyma_points: ArrayLike,
    length_per_point: float,
    *,
    level: float = 0.95,
    method: EstimationMethod = "manual",
) -> StereologyEstimate:
    """Estimate the surface of air spaces in a volume of parenchyma, S_V.

    Parameters
    ----------
    intersections
        `(G,)` I of each cluster.
    parenchyma_points
        `(G,)` test points on parenchyma.
    length_per_point
        µm, l/p.
    level, method
        As for `ratio`.

    Returns
    -------
    StereologyEstimate
        In 1/cm, for isotropic surfaces or directions.

    Raises
    ------
    ValueError
        When l/p is not positive, or the counts do not fit.

    Notes
    -----
    `S_V = 2ΣI / [(l/p)·ΣP(par)]`. Weibel 1979, Stereological Methods I; Knudsen et al. 2010,
    doi 10.1152/japplphysiol.01100.2009 (doi not verified).
    """
    _check(length_per_point)
    found = ratio(intersections, parenchyma_points, level, limits=(0, np.inf), method=method)
    return found.scaled(2 / (length_per_point * CM_PER_UM), "1/cm")


def mean_linear_intercept(
    air_points: ArrayLike,
    intersections: ArrayLike,
    length_per_point: float,
    *,
    level: float = 0.95,
    method: EstimationMethod = "manual",
) -> StereologyEstimate:
    """Estimate the mean linear intercept of air spaces, L_m.

    A ratio of volume to surface, not the size of alveoli. Thurlbeck's `N·L/m`, which counts
    walls once and includes their thickness, is another quantity.

    Parameters
    ----------
    air_points
        `(G,)` test points on air: alveoli and ducts.
    intersections
        `(G,)` I of each cluster.
    length_per_point, level, method
        As for `surface_density`.

    Returns
    -------
    StereologyEstimate
        In µm.

    Raises
    ------
    ValueError
        When l/p is not positive, or the counts do not fit.

    Notes
    -----
    `L_m = 4V(air)/S = 2(l/p)·ΣP(air)/ΣI`. Tomkeieff 1945, Nature 155, 24; Knudsen et al.
    2010, doi 10.1152/japplphysiol.01100.2009 (doi not verified).
    """
    _check(length_per_point)
    found = ratio(air_points, intersections, level, limits=(0, np.inf), method=method)
    return found.scaled(2 * length_per_point, "µm")


def septal_thickness(
    septal_points: ArrayLike,
    intersections: ArrayLike,
    length_per_point: float,
    *,
    level: float = 0.95,
    method: EstimationMethod = "manual",
) -> StereologyEstimate:
    """Estimate the arithmetic mean thickness of septa, τ.

    Parameters
    ----------
    septal_points
        `(G,)` test points on septa.
    intersections
        `(G,)` I of each cluster.
    length_per_point, level, method
        As for `surface_density`.

    Returns
    -------
    StereologyEstimate
        In µm.

    Raises
    ------
    ValueError
        When l/p is not positive, or the counts do not fit.

    Notes
    -----
    `τ = 2V(sep)/S = (l/p)·ΣP(sep)/ΣI`. Weibel 1979, Stereological Methods I.
    """
    _check(length_per_point)
    found = ratio(septal_points, intersections, level, limits=(0, np.inf), method=method)
    return found.scaled(length_per_point, "µm")


def corrected_intersections(
    map_intersections: ArrayLike,
    audit_intersections: ArrayLike,
    predicted_intersections: ArrayLike,
    audited_share: ArrayLike,
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Correct the intersections of maps by test segments on which an observer counted as well.

    Parameters
    ----------
    map_intersections
        `(G,)` I on all test lines of each cluster's map.
    audit_intersections, predicted_intersections
        `(G,)` I that the observer, and the map, have on the audited segments.
    audited_share
        `(G,)` length of the audited segments over that of all test lines, 0 to 1.

    Returns
    -------
    ndarray, (G,)
        For the functions above, in place of counted intersections, with corrected points
        beside them.

    Raises
    ------
    ValueError
        When the columns do not fit, or a share is not above 0 and up to 1.

    Notes
    -----
    The difference estimator on lines: `I + (I_observer - I_map) / share`.
    """
    columns = (map_intersections, audit_intersections, predicted_intersections, audited_share)
    every, seen, said, share = (np.asarray(column, dtype=np.float64) for column in columns)
    if every.ndim != 1 or any(a.shape != every.shape for a in (seen, said, share)):
        raise ValueError("every column needs one value for each cluster")
    if not ((share > 0) & (share <= 1)).all():
        raise ValueError("the audited share of the lines is above 0 and up to 1")
    return every + (seen - said) / share


def _check(length_per_point: float) -> None:
    if not length_per_point > 0:
        raise ValueError("length per point must be positive")
