"""Which points of several observers are the same place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from napari_lungcls.errors import InputError

LARGEST_CLUSTER = 4000
"""Points that may hang together by the tolerance; their distances are held at once."""

Rows = NDArray[np.intp]
Places = NDArray[np.float64]


def match(
    a: Places, b: Places, tolerance: float, planes: tuple[Rows, Rows] | None = None
) -> tuple[Rows, Rows]:
    """Pair points one to one: as many as the tolerance allows, and of these ways the nearest.

    Parameters
    ----------
    a, b
        `(n, 2)` and `(m, 2)`: `(y, x)` in pixels.
    tolerance
        Largest distance of a pair, in pixels.
    planes
        `(n,)` and `(m,)` numbers of images and planes; only equal ones are paired.

    Returns
    -------
    rows of a, rows of b : ndarray, (pairs,)

    Raises
    ------
    InputError
        When so many points hang together that the tolerance cannot be meant.
    """
    near = cKDTree(a).sparse_distance_matrix(cKDTree(b), tolerance, output_type="ndarray")
    i, j, distance = near["i"], near["j"], near["v"]
    if planes is not None:
        same = planes[0][i] == planes[1][j]
        i, j, distance = i[same], j[same], distance[same]
    n, m = len(a), len(b)
    linked = coo_array((np.ones(len(i)), (i, n + j)), shape=(n + m, n + m))
    _, cluster = connected_components(linked, directed=False)
    chosen: list[tuple[int, int]] = []
    order = np.argsort(cluster[i], kind="stable")
    for edges in np.split(order, np.flatnonzero(np.diff(cluster[i][order])) + 1):
        if len(edges):
            chosen += _assign(i[edges], j[edges], distance[edges], tolerance)
    chosen.sort()
    pairs = np.array(chosen, np.intp).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def same_places(matches: Sequence[tuple[int, int, Rows, Rows]], counts: Sequence[int]) -> Rows:
    """Find the places that every observer has a point at.

    Parameters
    ----------
    matches
        For each two observers: their numbers, and the rows of each that `match` paired.
    counts
        Points of each observer.

    Returns
    -------
    ndarray, (places, observers)
        Rows of each observer. Points that are linked to two of one observer, as in a chain of
        neighbours, are no such place.
    """
    first = np.concatenate([[0], np.cumsum(counts)])
    ends = [(first[p] + rows, first[q] + others) for p, q, rows, others in matches]
    left, right = (np.concatenate(side) for side in zip(*ends, strict=True))
    total = int(first[-1])
    linked = coo_array((np.ones(len(left)), (left, right)), shape=(total, total))
    number, cluster = connected_components(linked, directed=False)
    held = np.zeros((number, len(counts)), np.int64)
    rows = np.full((number, len(counts)), -1, np.intp)
    for k, count in enumerate(counts):
        mine = cluster[first[k] : first[k + 1]]
        np.add.at(held[:, k], mine, 1)
        rows[mine, k] = np.arange(count)
    places: Rows = rows[(held == 1).all(axis=1)]
    return places


def _assign(i: Rows, j: Rows, distance: Places, tolerance: float) -> list[tuple[int, int]]:
    """Pair the points of one cluster."""
    if len(i) == 1:
        return [(int(i[0]), int(j[0]))]
    (rows, at), (columns, beside) = (np.unique(x, return_inverse=True) for x in (i, j))
    if max(len(rows), len(columns)) > LARGEST_CLUSTER:
        raise InputError(
            f"{tolerance:g} pixels join {len(rows) + len(columns)} points to one cluster",
            setting="tolerance",
            suggestion="give less than the distance of neighbouring points",
        )
    # Leaving a pair out costs more than any distances could save.
    cost = np.full((len(rows), len(columns)), (tolerance + 1) * (min(len(rows), len(columns)) + 1))
    cost[at, beside] = distance
    chosen = zip(*linear_sum_assignment(cost), strict=True)
    return [(int(rows[r]), int(columns[c])) for r, c in chosen if cost[r, c] <= tolerance]
