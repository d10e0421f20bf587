"""What fixing, embedding and cutting do to sizes: shrinkage and overprojection."""

from __future__ import annotations

from napari_lungcls.stereology.estimate import StereologyEstimate
from napari_lungcls.stereology.surface import CM_PER_UM


def linear_shrinkage(volume_before: float, volume_after: float) -> float:
    """Give the factor by which lengths shrank.

    Parameters
    ----------
    volume_before, volume_after
        Of the same tissue before and after embedding, in one unit.

    Returns
    -------
    float
        `(after/before)^⅓`, below 1 for shrinkage.

    Raises
    ------
    ValueError
        When a volume is not positive.
    """
    if not (volume_before > 0 and volume_after > 0):
        raise ValueError("volumes must be positive")
    return float((volume_after / volume_before) ** (1 / 3))


def unshrunk(estimate: StereologyEstimate, factor: float, dimension: int) -> StereologyEstimate:
    """Undo an even shrinkage of known factor.

    Fractions (dimension 0) stay as they are, which holds only if all phases shrink alike.

    Parameters
    ----------
    estimate
        What was measured in the shrunken tissue.
    factor
        Of lengths, from `linear_shrinkage`; taken as free of error.
    dimension
        Power of length in the unit: 1 for L_m and τ, -1 for S_V, 2 for surfaces, 3 for volumes.

    Raises
    ------
    ValueError
        When the factor is not positive.
    """
    if not factor > 0:
        raise ValueError("the factor of shrinkage must be positive")
    return estimate.scaled(factor**-dimension)


def overprojection(section_thickness: float, surface_density: float) -> float:
    """Give by how much septa look larger because the section has a thickness.

    Parameters
    ----------
    section_thickness
        µm.
    surface_density
        S_V in 1/cm.

    Returns
    -------
    float
        What must be taken off the fraction V_V(sep): 0.0375 for 3 µm and 500 /cm.

    Raises
    ------
    ValueError
        When one of them is negative.

    Notes
    -----
    `ΔV_V ≈ t·S_V/4` for thin sheets in all directions. A sheet that is tilted by φ against the
    section projects an extra band of `t·|cos φ|` times its area, on average half of that, and
    septa have `S_V/2` of area, for S_V counts both sides. Derived, without a published source.
    """
    if section_thickness < 0 or surface_density < 0:
        raise ValueError("thickness and surface density must not be negative")
    return section_thickness * CM_PER_UM * surface_density / 4
