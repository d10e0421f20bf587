"""What corrected fractions are computed from: the sums of maps, and audited points."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class AuditedClusters:
    """Maps of clusters, and points in them that an observer looked at without seeing the map.

    A cluster is the highest unit that was drawn at random: animal, else section, else field.
    The points must be a probability sample of the mapped area, evenly over all of a cluster,
    such as a randomly placed grid; never points of the training, nor suggested or corrected
    ones. Clusters of different treatment belong in different objects: disease shifts the
    classifier's error.

    Parameters
    ----------
    map_cells
        `(G, k)` cells of each class on the map, or their area where cells differ in size
        between clusters. Nothing outside the reference that the points were drawn from.
    cluster
        `(n,)` int: cluster of each point, 0 to G - 1.
    truth
        `(n,)` int: the observer's class codes, 0 to k - 1.
    predicted
        `(n,)` int: the map's class codes at the points.
    map_probabilities
        `(G, k)` sums of the probability of each class over the map, in the unit of
        `map_cells`; `tuned` uses them if they are there.
    probabilities
        `(n, k)` probabilities of the map at the points.
    names
        Of the clusters, for messages.

    Raises
    ------
    ValueError
        When shapes or codes do not fit.
    InputError
        When a cluster has no map or no audited point.
    """

    map_cells: Floats
    cluster: Ints
    truth: Ints
    predicted: Ints
    map_probabilities: Floats | None = None
    probabilities: Floats | None = None
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check what was given."""
        g, k = self.map_cells.shape
        n = len(self.cluster)
        for codes, end in ((self.cluster, g), (self.truth, k), (self.predicted, k)):
            if codes.shape != (n,) or not ((codes >= 0) & (codes < end)).all():
                raise ValueError("a point's cluster or class code does not exist")
        sums, each = self.map_probabilities, self.probabilities
        if (sums is None) != (each is None):
            raise ValueError("probabilities are needed of the map and of the points, or of none")
        if sums is not None and each is not None and (sums.shape, each.shape) != ((g, k), (n, k)):
            raise ValueError("probabilities need a column for each class")
        if sums is not None and not np.allclose(sums.sum(axis=1), self.size, rtol=0.01):
            raise ValueError("probabilities of a map do not add up to its cells")
        if self.names and len(self.names) != g:
            raise ValueError("names need one for each cluster")
        for what, found in (("mapped area", self.size), ("audited point", self.points)):
            if not (found > 0).all():
                lost = int(np.flatnonzero(~(found > 0))[0])
                raise InputError(
                    f"{self.names[lost] if self.names else f'cluster {lost}'} has no {what}",
                    suggestion="audit points in every cluster, or leave the cluster out",
                )

    @property
    def n_clusters(self) -> int:
        """Number of clusters."""
        return int(self.map_cells.shape[0])

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return int(self.map_cells.shape[1])

    @property
    def size(self) -> Floats:
        """`(G,)` cells of each map."""
        return np.asarray(self.map_cells.sum(axis=1), dtype=np.float64)

    @property
    def points(self) -> Floats:
        """`(G,)` audited points of each cluster."""
        return np.bincount(self.cluster, minlength=self.n_clusters).astype(np.float64)

    @property
    def confusion(self) -> Floats:
        """`(G, k, k)` audited points: rows are the map's classes, columns the observer's."""
        g, k = self.map_cells.shape
        cells = (self.cluster * k + self.predicted) * k + self.truth
        return np.bincount(cells, minlength=g * k * k).reshape(g, k, k).astype(np.float64)

    def means(self, values: Floats) -> Floats:
        """Average a value of each point `(n,)` within clusters, `(G,)`."""
        return np.asarray(np.bincount(self.cluster, values, self.n_clusters) / self.points)

    def without(self, g: int) -> AuditedClusters:
        """Leave one cluster out."""
        keep, points = np.arange(self.n_clusters) != g, self.cluster != g
        sums, each = self.map_probabilities, self.probabilities
        return replace(
            self,
            map_cells=self.map_cells[keep],
            cluster=self.cluster[points] - (self.cluster[points] > g),
            truth=self.truth[points],
            predicted=self.predicted[points],
            map_probabilities=None if sums is None else sums[keep],
            probabilities=None if each is None else each[points],
            names=tuple(name for i, name in enumerate(self.names) if i != g),
        )


def class_masks(part: object, whole: object, k: int) -> tuple[Flags, Flags]:
    """Check which classes make the part and the reference, `(k,)` bool each.

    Raises
    ------
    ValueError
        When a mask has another length than there are classes, or the part lies outside.
    """
    masks = np.asarray(part, dtype=np.bool_), np.asarray(whole, dtype=np.bool_)
    if any(mask.shape != (k,) for mask in masks):
        raise ValueError(f"which classes belong needs {k} yes or no")
    if (masks[0] & ~masks[1]).any():
        raise ValueError("a part belongs to its reference")
    return masks
