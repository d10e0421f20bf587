"""The half pixel between the two ways to count positions, and the pixel that a position lies on.

This package counts from the centre of the first pixel; polygons, QuPath and ASAP count from its
outer corner.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def from_corner(position: ArrayLike) -> Floats:
    """Count positions from the corner of the first pixel, as polygons are written."""
    return np.asarray(position, dtype=np.float64) + 0.5


def from_centre(position: ArrayLike) -> Floats:
    """Count positions from the centre of the first pixel that are counted from its corner."""
    return np.asarray(position, dtype=np.float64) - 0.5


def nearest(position: ArrayLike) -> Floats:
    """Return the pixel or plane next to a position; of two the former."""
    return np.ceil(np.asarray(position, dtype=np.float64) - 0.5)
