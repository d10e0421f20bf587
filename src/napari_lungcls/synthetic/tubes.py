"""Branching tubes: alveolar ducts, airways and vessels as trees without end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_lungcls.synthetic.lattice import Cells, Floats, Lattice, uniforms


class Balls:
    """Balls strung along tubes; the tubes are what the balls cover."""

    def __init__(self, centres: Floats, radii: Floats, along: Floats, reach: float) -> None:
        """Set up a search among balls.

        Parameters
        ----------
        centres, radii
            (n, 3) as z, y, x and (n,), in µm.
        along
            Direction of the tube at every ball, (n, 3), of any length.
        reach
            Distances are right up to here, and cut off beyond.
        """
        self.radii = radii
        self.along = along
        self.reach = reach
        # The ball with the least d² − r² is the nearest point in one dimension more, with
        # √(R² − r²) as its fourth coordinate (Aurenhammer 1987, power diagrams).
        self._top = float(radii.max(initial=0.0))
        height = np.sqrt(np.maximum(self._top**2 - radii**2, 0))
        self._tree = cKDTree(np.concatenate([centres, height[:, None]], axis=1))
        self.centres = centres

    def nearest(self, points: Floats) -> tuple[Floats, Floats, Floats]:
        """Find the ball whose surface is nearest.

        Parameters
        ----------
        points
            (n, 3), z, y, x in µm.

        Returns
        -------
        Distances (n,), negative inside; radii (n,); centres (n, 3).
        """
        lifted = np.concatenate([points, np.zeros((len(points), 1))], axis=1)
        _, index = self._tree.query(lifted, distance_upper_bound=self.reach + self._top)
        found = np.nonzero(index < len(self.centres))[0]
        distance, radii = np.full(len(points), self.reach), np.ones(len(points))
        centres = points.copy()
        centres[found], radii[found] = self.centres[index[found]], self.radii[index[found]]
        away = np.linalg.norm(points[found] - centres[found], axis=1) - radii[found]
        distance[found] = np.minimum(away, self.reach)
        return distance, radii, centres

    def distance(self, points: Floats) -> Floats:
        """Give signed distance and radius as columns, (n, 2)."""
        distance, radii, _ = self.nearest(points)
        return np.stack([distance, radii], axis=1)

    def chosen(self, which: NDArray[np.bool_]) -> Balls:
        """Give some of the balls."""
        return Balls(self.centres[which], self.radii[which], self.along[which], self.reach)

    def __add__(self, other: Balls) -> Balls:
        """Join two sets of tubes."""
        centres = np.concatenate([self.centres, other.centres])
        radii = np.concatenate([self.radii, other.radii])
        along = np.concatenate([self.along, other.along])
        return Balls(centres, radii, along, min(self.reach, other.reach))

    def beside(self, scale: float, gap: float) -> Balls:
        """Give tubes that run along these, `scale` times as wide and `gap` µm away."""
        side = np.cross(self.along, [0.36, 0.48, 0.8])
        side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-9)
        shift = self.radii * (1 + scale) + gap
        centres = self.centres + side * shift[:, None]
        return Balls(centres, self.radii * scale, self.along, self.reach)


class TubeNetwork:
    """Trees of tubes that fill space evenly.

    Every cell of a jittered lattice drains into one of its three neighbours ahead, which makes
    trees (Scheidegger's 1967 model of rivers, in space). Tubes run from the middle of a link,
    bending at the node, to the middle of the next, so that they and their radii are continuous.
    """

    def __init__(
        self,
        key: np.uint64,
        *,
        spacing: float | None,
        diameter: float,
        spread: float,
        reach: float,
    ) -> None:
        """Set up trees with nodes `spacing` µm apart, or none at all.

        Parameters
        ----------
        diameter, spread
            Median diameter in µm and standard deviation of its logarithm over the nodes.
        reach
            Distances to the tubes are wanted up to here (µm).
        """
        self._empty = spacing is None
        self._lattice = Lattice(spacing or 1.0, key, jitter=0.8)
        self._median = diameter / 2
        self._spread = spread
        self.reach = reach
        self._step = diameter / 12

    @property
    def widest(self) -> float:
        """Give the largest radius that occurs."""
        return float(self._median * np.exp(2 * self._spread))

    def _radius(self, cells: Cells) -> Floats:
        u = uniforms(cells, self._lattice.key + np.uint64(1), 4).sum(axis=1) - 2.0
        return np.asarray(
            self._median * np.exp(self._spread * np.clip(u * np.sqrt(3.0), -2, 2)), dtype=np.float64
        )

    def _next(self, cells: Cells) -> Cells:
        axis = np.floor(3 * uniforms(cells, self._lattice.key + np.uint64(2), 1)[:, 0])
        return cells + np.eye(3, dtype=np.int64)[axis.astype(np.int64)]

    def _is_leaf(self, cells: Cells) -> NDArray[np.bool_]:
        fed = np.zeros(len(cells), dtype=bool)
        for step in np.eye(3, dtype=np.int64):
            fed |= np.all(self._next(cells - step) == cells, axis=1)
        return ~fed

    def near(self, low: Floats, high: Floats) -> Balls:
        """Give the tubes within reach of the box from `low` to `high` (z, y, x in µm)."""
        if self._empty:
            return Balls(np.empty((0, 3)), np.empty(0), np.empty((0, 3)), self.reach)
        margin = self.reach + self.widest
        # A curve ends at most 1.5 links from its cell, and a link is at most 2.1 spacings long.
        far_off = margin + 3.2 * self._lattice.spacing
        cells = self._lattice.cells_near(low - far_off, high + far_off)
        parents = self._next(cells)
        at = self._lattice.points
        here, bend, far = at(cells), at(parents), at(self._next(parents))
        begin = np.where(self._is_leaf(cells)[:, None], here, (here + bend) / 2)
        control = np.stack([begin, bend, (bend + far) / 2])
        touches = np.all(
            (control.max(axis=0) > low - margin) & (control.min(axis=0) < high + margin), axis=1
        )
        radii = np.stack([self._radius(cells), self._radius(parents)])
        return self._strung(control[:, touches], radii[:, touches])

    def _strung(self, control: Floats, radii: Floats) -> Balls:
        """Place balls along Bézier curves: control points (3, n, 3), radii at the ends (2, n)."""
        count = int(np.ceil(2.2 * self._lattice.spacing / self._step))
        t = np.linspace(0, 1, count)[:, None, None]
        begin, bend, end = control
        centres = (1 - t) ** 2 * begin + 2 * t * (1 - t) * bend + t**2 * end
        along = (1 - t) * (bend - begin) + t * (end - bend)
        width = radii[0] + t[..., 0] * (radii[1] - radii[0])
        return Balls(centres.reshape(-1, 3), width.reshape(-1), along.reshape(-1, 3), self.reach)
