"""The foam of alveoli: cells around random centres, and the walls between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_lungcls.synthetic.lattice import (
    Floats,
    Lattice,
    derived_key,
    fractions,
    names,
    scrambled,
)

_NEIGHBOURS = 4  # the own cell and those across the three nearest walls
_FAR = 1e3  # µm, the distance to a wall that is not there


@dataclass(frozen=True)
class Walls:
    """The nearest walls of n points.

    Attributes
    ----------
    gap
        Distance to the middle plane of each of three walls in µm, (n, 3).
    stoutness
        Relative thickness of each wall, (n, 3), median 1.
    normal
        Unit normal of the nearest wall, z, y, x, (n, 3); it points out of the cell.
    """

    gap: Floats
    stoutness: Floats
    normal: Floats

    def outside(self, thickness: Floats, corner: float) -> Floats:
        """Give the signed distance to the nearest wall's surface in µm, negative in the wall.

        Parameters
        ----------
        thickness
            Thickness in µm of a wall of stoutness 1 at each point, (n,).
        corner
            Radius in µm of the fillets where walls meet.
        """
        distance = self.gap - self.stoutness * thickness[:, None] / 2
        least = distance.min(axis=1)
        # A smooth minimum (log-sum-exp) fills the edges where two walls are equally near.
        total = np.exp(-(distance - least[:, None]) / corner).sum(axis=1)
        return np.asarray(least - corner * np.log(total))


class Foam:
    """Voronoi cells around the points of a jittered body-centred cubic lattice.

    That lattice's own cells are Kelvin's foam of equal cells; jitter makes them unequal.
    """

    def __init__(
        self,
        seed: int,
        *,
        diameter: float,
        irregularity: float,
        missing: float,
        openings: float,
        spread: float,
    ) -> None:
        """Set up a foam; the parameters are those of `LungParameters`.

        Where no cell is missing, cells have the mean volume of a sphere of this diameter (µm).
        """
        # Two cells per cube: edge³ / 2 = π d³ / 6.
        edge = diameter * (np.pi / 3) ** (1 / 3)
        self._lattice = Lattice(edge, derived_key(seed, "foam"), jitter=irregularity)
        self._keys = (self._lattice.key, derived_key(seed, "foam, body centres"))
        self._edge = edge
        self._missing = missing
        self._openings = openings
        self._spread = spread

    def near(
        self, low: Floats, high: Floats, keep: Callable[[Floats], NDArray[np.bool_]]
    ) -> FoamPart:
        """Give the cells that reach into the box (z, y, x in µm).

        Parameters
        ----------
        keep
            Says of points (n, 3) which may be centres of cells: none lies in a duct.
        """
        margin = 2.5 * self._edge
        cells = self._lattice.cells_near(low - margin, high + margin)
        points = np.concatenate(
            [
                self._lattice.points(cells, offset=0.5 * half, key=key)
                for half, key in enumerate(self._keys)
            ]
        )
        labels = np.concatenate([names(cells, key) for key in self._keys])
        kept = keep(points) & (fractions(scrambled(labels)) >= self._missing)
        return FoamPart(points[kept], labels[kept], self._spread, self._openings)


class FoamPart:
    """The cells near one place, ready to be asked for the walls around points."""

    def __init__(
        self, centres: Floats, labels: NDArray[np.uint64], spread: float, openings: float
    ) -> None:
        self._centres = centres
        self._labels = labels
        self._spread = spread
        self._openings = openings
        self._tree = cKDTree(centres)

    def walls(self, points: Floats) -> Walls:
        """Give the nearest walls of points (n, 3), z, y, x in µm."""
        distance, index = self._tree.query(points, k=_NEIGHBOURS)
        own, others = self._centres[index[:, 0]], self._centres[index[:, 1:]]
        across = others - own[:, None]
        apart = np.linalg.norm(across, axis=2)
        gap = (distance[:, 1:] ** 2 - distance[:, :1] ** 2) / (2 * apart)
        # The name of a wall must not depend on the side it is seen from.
        wall = scrambled(self._labels[index[:, :1]] + self._labels[index[:, 1:]])
        stoutness = np.exp(self._spread * np.sqrt(12.0) * (fractions(wall) - 0.5))
        gap[fractions(scrambled(wall)) < self._openings] = _FAR
        nearest = np.argmin(gap, axis=1)
        rows = np.arange(len(points))
        normal = across[rows, nearest] / apart[rows, nearest, None]
        return Walls(gap, stoutness, normal)
