"""Choosing a few of many places: those a model is unsure of, apart and over all planes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

SHARPNESS = 2.0
"""Power of the worth in the odds; chosen on other seeds than docs/suggestions.md shows."""

FAIR_SHARE = 2
"""Times its share of the places that one plane may have at most."""


def uncertainty(probabilities: ArrayLike) -> Floats:
    """Tell how unsure a model is, from 0 to 1: one minus the margin of its two likeliest classes.

    Parameters
    ----------
    probabilities
        `(n, classes)`, calibrated; rows add up to 1.

    Returns
    -------
    ndarray, (n,)

    Notes
    -----
    Margin sampling: Scheffer, Decomain and Wrobel 2001, doi 10.1007/3-540-44816-0_31.
    """
    ordered = np.sort(np.asarray(probabilities, np.float64), axis=1)
    return np.asarray(1 - (ordered[:, -1] - ordered[:, -2]))


def disagreement(first: ArrayLike, second: ArrayLike) -> Floats:
    """Tell how far two models are apart, from 0 to 1: half the sum of all differences.

    Parameters
    ----------
    first, second
        `(n, classes)` probabilities of the same classes in the same order.

    Returns
    -------
    ndarray, (n,)
        The total variation distance of each pair of rows.
    """
    found = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    return np.asarray(np.abs(found).sum(axis=1) / 2)


@dataclass(frozen=True, eq=False)
class LabelPlaces:
    """Where one might label next, and where labels are.

    Attributes
    ----------
    positions
        `(n, 2)`: `(y, x)` in pixels.
    planes
        `(n,)` numbers of their planes.
    labelled, labelled_planes
        `(k, 2)` and `(k,)`: the same of what has a label.
    """

    positions: Floats
    planes: NDArray[np.int64]
    labelled: Floats
    labelled_planes: NDArray[np.int64]

    def near(self, row: int, distance: float) -> NDArray[np.bool_]:
        """Tell which places lie within a distance in pixels of one of them, `(n,)`."""
        return self._within(self.positions[row], self.planes[row], distance)

    def free(self, distance: float) -> NDArray[np.bool_]:
        """Tell which places have no label within a distance in pixels, `(n,)`."""
        free = np.ones(len(self.positions), np.bool_)
        for where, plane in zip(self.labelled, self.labelled_planes, strict=True):
            free &= ~self._within(where, plane, distance)
        return free

    def _within(self, where: Floats, plane: int, distance: float) -> NDArray[np.bool_]:
        apart = ((self.positions - where) ** 2).sum(axis=1)
        return np.asarray((apart < distance**2) & (self.planes == plane))


def choose_places(
    places: LabelPlaces, worth: ArrayLike, n: int, *, apart: float, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Choose places that are worth a label, far from labels and from each other.

    Parameters
    ----------
    places
        All of them.
    worth
        `(n,)` from 0 to 1: uncertainty, or disagreement.
    n
        How many, if there are as many.
    apart
        Pixels that lie between any two, and between them and all labels.
    rng
        Draws.

    Returns
    -------
    ndarray of int
        Rows, in the order in which they were drawn: any first few are a good choice of few. Fewer
        than `n` where no more are far enough apart.

    Notes
    -----
    Places are drawn one after the other, with odds that are the square of their worth: where a
    model is unsure they are drawn often, but not all at one kind of border, as the least certain
    of all would be. `benchmarks/suggestions.py` compares that with those. No plane gets more
    than `FAIR_SHARE` times its part, as long as others have places left.
    """
    weight = np.maximum(np.asarray(worth, np.float64), 1e-6) ** SHARPNESS
    free = places.free(apart)
    chosen: list[int] = []
    _, plane = np.unique(places.planes, return_inverse=True)
    most = -(-FAIR_SHARE * n // max(1, len(np.unique(plane[free]))))
    taken = np.zeros(plane.max(initial=0) + 1, np.int64)
    while len(chosen) < n and free.any():
        allowed = free & (taken[plane] < most)
        if not allowed.any():
            allowed = free
        odds = weight * allowed
        row = int(rng.choice(len(odds), p=odds / odds.sum()))
        chosen.append(row)
        taken[plane[row]] += 1
        free &= ~places.near(row, apart)
        free[row] = False
    return np.array(chosen, np.intp)
