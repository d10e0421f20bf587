"""Volumes from parallel sections by Cavalieri's principle, with their expected error."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from napari_lungcls.stereology.estimate import EstimationMethod, StereologyEstimate

Smoothness = Literal[0, 1]

CM3_PER_UM3 = 1e-12
_ALPHA = {0: 1 / 12, 1: 1 / 240}


def cavalieri(
    points: ArrayLike,
    spacing: float,
    area_per_point: float,
    *,
    shape: float = 5.0,
    smoothness: Smoothness = 1,
    method: EstimationMethod = "manual",
) -> StereologyEstimate:
    """Estimate a volume from points counted on a systematic series of sections.

    Only for volumes that are large against the grid, such as the lung or its parenchyma; not
    for septa or air, since the noise term takes the grid to be finer than the structure.

    Parameters
    ----------
    points
        `(n,)` points on the structure, section by section in their order, the first section
        at a random depth. Sections without points, before and after, change the noise.
    spacing
        µm from section to section: not the thickness of the cut.
    area_per_point
        µm² of the section for each point, a/p.
    shape, smoothness
        See `cavalieri_ce`.
    method
        Handed on to the result.

    Returns
    -------
    StereologyEstimate
        In cm³. `ce` and `se` are what the series lets expect; there is no interval, because
        neither degrees of freedom nor a distribution are known. None with fewer than three
        sections.

    Raises
    ------
    ValueError
        When the points are not one row of finite numbers of 0 or more, or spacing or area are
        not positive.

    Notes
    -----
    `V = T·(a/p)·ΣP`. Gundersen and Jensen 1987, J. Microsc. 147, 229.
    """
    if not (spacing > 0 and area_per_point > 0):
        raise ValueError("spacing and area per point must be positive")
    counts = _series(points)
    volume = spacing * area_per_point * float(counts.sum()) * CM3_PER_UM3
    ce = cavalieri_ce(counts, shape=shape, smoothness=smoothness)
    return StereologyEstimate(
        estimate=volume,
        se=None if ce is None else ce * volume,
        ce=ce,
        df=None,
        ci=None,
        ci_method="none",
        method=method,
        n_clusters=len(counts),
        unit="cm³",
    )


def cavalieri_ce(
    points: ArrayLike, *, shape: float = 5.0, smoothness: Smoothness = 1
) -> float | None:
    """Predict the coefficient of error of a Cavalieri volume from the series itself.

    Parameters
    ----------
    points
        `(n,)` points, or areas in units of a/p, section by section in their order.
    shape
        Boundary length over the root of the area of the profiles, b/√a: 3.5 for circles, 5
        for lobes of a lung, more for ragged ones. 0 for exact areas, that have no noise.
    smoothness
        1 for bodies whose area runs smoothly down to 0 at both ends, 0 for those that begin
        or end abruptly.

    Returns
    -------
    float or None
        None with fewer than three sections or without a point.

    Raises
    ------
    ValueError
        When the points are not one row of finite numbers of 0 or more.

    Notes
    -----
    `CE = √[ν + α·max(0, 3(A - ν) - 4B + C)] / ΣP` with `A = ΣPᵢ²`, `B = ΣPᵢPᵢ₊₁`,
    `C = ΣPᵢPᵢ₊₂`, α = 1/12 or 1/240, and ν of `counting_noise`. Gundersen et al. 1999,
    J. Microsc. 193, 199; García-Fiñana et al. 2003, NeuroImage 18, 505.
    """
    p = _series(points)
    total = float(p.sum())
    if len(p) < 3 or not total > 0:
        return None
    noise = counting_noise(total, len(p), shape)
    a, b, c = float(p @ p), float(p[:-1] @ p[1:]), float(p[:-2] @ p[2:])
    between = _ALPHA[smoothness] * max(0.0, 3 * (a - noise) - 4 * b + c)
    return math.sqrt(noise + between) / total


def counting_noise(total: float, n: int, shape: float) -> float:
    """Give the variance of the number of points that comes from counting instead of measuring.

    Parameters
    ----------
    total
        Points on all sections.
    n
        Sections.
    shape
        b/√a, see `cavalieri_ce`.

    Notes
    -----
    `ν = 0.0724·(b/√a)·√(n·ΣP)`. Gundersen and Jensen 1987, J. Microsc. 147, 229.
    """
    return 0.0724 * shape * math.sqrt(n * total)


def _series(points: ArrayLike) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    p = np.asarray(points, dtype=np.float64)
    if p.ndim != 1 or not np.isfinite(p).all() or (p < 0).any():
        raise ValueError("points are one row of numbers of 0 or more, one for each section")
    return p
