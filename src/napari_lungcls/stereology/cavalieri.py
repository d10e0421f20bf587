"""Volume from the areas of systematic sections, and how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from napari_lungcls.errors import InputError
from napari_lungcls.stereology.estimate import MeasuredValue

Smoothness = Literal[0, 1]

_ALPHA = {0: 1 / 12, 1: 1 / 240}


def noise(shape_factor: float, sections: int, points: float) -> float:
    """Give the variance that counting points in place of areas adds.

    Parameters
    ----------
    shape_factor
        Boundary length of a profile over the root of its area, `b/√a`; 5 where unknown.
    sections
        How many.
    points
        ΣP, those that hit.

    Notes
    -----
    `ν = 0.0724 · b/√a · √(n·ΣP)`: Gundersen and Jensen 1987, J Microsc 147:229. It takes the grid
    to be finer than the structure, so that it holds for V(lung) and V(par) and never for septa or
    alveolar air.
    """
    return float(0.0724 * shape_factor * np.sqrt(sections * points))


def cavalieri_ce(
    points: Sequence[float], smoothness: Smoothness = 1, shape_factor: float | None = 5.0
) -> float:
    """Give the coefficient of error of `ΣP` over systematic sections with a random start.

    Parameters
    ----------
    points
        Points, or areas, of the sections in their order; three at least.
    smoothness
        1 for bodies whose area changes smoothly from section to section, such as a lung; 0 else.
    shape_factor
        See `noise`; None where areas are measured and not counted.

    Raises
    ------
    InputError
        When there are fewer than three sections, or nothing was hit.

    Notes
    -----
    `CE = √(ν + α·max(0, 3(A−ν) − 4B + C)) / ΣP` with `A = ΣPᵢ²`, `B = ΣPᵢPᵢ₊₁`, `C = ΣPᵢPᵢ₊₂`,
    `α` 1/12 or 1/240: Gundersen et al. 1999, J Microsc 193:199; García-Fiñana et al. 2003,
    NeuroImage 18:505.

    Examples
    --------
    >>> from napari_lungcls.stereology.cavalieri import cavalieri_ce
    >>> round(cavalieri_ce([6, 17, 25, 28, 22, 12, 3]), 5)
    0.02874
    """
    p = np.asarray(points, np.float64)
    if len(p) < 3:
        raise InputError(
            f"{len(p)} sections tell no error of a volume; three at least, of one animal, at equal "
            "distances"
        )
    if p.sum() <= 0:
        raise InputError("no section holds any of it, so that there is no volume")
    nu = 0.0 if shape_factor is None else noise(shape_factor, len(p), float(p.sum()))
    a, b, c = p @ p, p[1:] @ p[:-1], p[2:] @ p[:-2]
    variance = nu + _ALPHA[smoothness] * max(0.0, float(3 * (a - nu) - 4 * b + c))
    return float(np.sqrt(variance) / p.sum())


def cavalieri_volume(
    areas: Sequence[float], spacing: float, smoothness: Smoothness = 1
) -> MeasuredValue:
    """Estimate a volume, `V = T·Σa`, from areas of systematic sections.

    Parameters
    ----------
    areas
        Of the sections in their order, in mm²; the area of a point times the points that hit, or
        areas of a map.
    spacing
        T in mm, from section to section: not the thickness of the cut.
    smoothness
        See `cavalieri_ce`.

    Returns
    -------
    MeasuredValue
        In cm³; without an error where there are fewer than three sections.
    """
    volume = float(np.sum(areas) * spacing / 1000)
    n = len(areas)
    if n < 3 or volume <= 0:
        return MeasuredValue(
            estimate=volume, unit="cm³", n_clusters=n, ci_method="three sections tell an error"
        )
    ce = cavalieri_ce(areas, smoothness, shape_factor=None)
    how = f"Gundersen–Jensen CE, smoothness {smoothness}"
    return MeasuredValue(
        estimate=volume, unit="cm³", se=volume * ce, ce=ce, ci_method=how, n_clusters=n
    )
