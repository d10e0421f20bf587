"""Elastic shifts: smooth fields by which tiles are bent, and that never fold tissue over."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline

Floats = NDArray[np.float64]

SPANS = 4
"""Spans of the coarse grid across a tile: bends are as wide as a quarter of it, or wider."""

FOLDS = 2.05
"""A span must be wider than this times the largest shift of a grid point along an axis.

Else tissue could fold over itself; Choi and Lee 2000, doi 10.1006/gmod.2000.0531.
"""


def random_bend(most: float, places: Floats, size: int, rng: np.random.Generator) -> Floats:
    """Draw smooth fields of shifts that leave a place of each where it is.

    Each point of a coarse grid is shifted by `most` in a random direction; cubic B-splines lie
    between them (Rueckert et al. 1999, doi 10.1109/42.796284). What the point itself is shifted
    by is taken away, and a field that then moves anything farther than `most` is weakened.

    Parameters
    ----------
    most
        Largest shift against the point, in zoomed pixels.
    places
        `(n, zooms, 2)` where in its tile the bend leaves alone.
    size
        Edge of the tiles in zoomed pixels.
    rng
        Source of the draws.

    Returns
    -------
    ndarray, (n, zooms, 2, size, size)
        Zoomed pixels along y and x, for every pixel of the tiles.
    """
    n, zooms = places.shape[:2]
    spans = min(SPANS, max(1, math.floor((size - 1) / (FOLDS * most))))
    angle = rng.uniform(0, 2 * np.pi, (n, zooms, spans + 3, spans + 3))
    nodes = most * np.stack([np.sin(angle), np.cos(angle)], 2)
    grid = _weights(np.arange(size), size, spans)
    bend: Floats = grid @ nodes @ grid.T
    at = _weights(places.reshape(-1), size, spans).reshape(n, zooms, 2, 1, -1)
    own = at[:, :, :1] @ nodes @ at[:, :, 1:].swapaxes(-1, -2)
    bend -= own
    length = np.hypot(bend[:, :, :1], bend[:, :, 1:])
    bend *= most / np.maximum(length.max((3, 4), keepdims=True), most)
    return bend


def _weights(position: NDArray[Any], size: int, spans: int) -> Floats:
    """Weights `(n, spans + 3)` of the grid points at positions from 0 to `size − 1`."""
    knots = np.arange(-3, spans + 4) * ((size - 1) / spans)
    # The last knot inside must not end before the last pixel by rounding.
    where = np.clip(np.asarray(position, np.float64), knots[3], knots[-4])
    weights: Floats = BSpline.design_matrix(where, knots, 3).toarray()
    return weights
