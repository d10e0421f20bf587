"""Nuclei, red cells and what floats in the airspaces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.synthetic.anatomy import Lung, Scene, Tissue
from napari_lungcls.synthetic.ellipses import Ellipses, Slice
from napari_lungcls.synthetic.lattice import Floats, Lattice, derived_key, uniforms
from napari_lungcls.synthetic.raster import Cloud, Raster

# Share of the places inside of septa that are nuclei; other tissues are in `_shares`.
_IN_SEPTUM = 0.32


@dataclass(frozen=True)
class CellPictures:
    """What the cells add to a section, each (rows, columns).

    Attributes
    ----------
    nuclei
        Density of nuclei in tissue.
    cytoplasm
        Density of what surrounds these nuclei.
    red_cells
        Density of red cells in vessels.
    bodies
        Density of the bodies of floating cells, their nuclei being in `floating_nuclei`.
    """

    nuclei: Floats
    cytoplasm: Floats
    red_cells: Floats
    bodies: Floats
    floating_nuclei: Floats


class CellMaker:
    """Places cells in a lung."""

    def __init__(self, lung: Lung) -> None:
        p = lung.parameters
        self.parameters = p
        self._nuclei = self._lattice(lung, "nuclei", p.nucleus_spacing)
        self._red = self._lattice(lung, "red cells", 0.8 * p.nucleus_diameter)
        self._floating = self._lattice(lung, "floating cells", 5 * p.nucleus_diameter)
        self._clots = lung.noise("filling of vessels", 4 * p.vessel_diameter)

    @staticmethod
    def _lattice(lung: Lung, name: str, spacing: float) -> Lattice:
        return Lattice(spacing, derived_key(lung.seed, name), turned=False)

    def pictures(self, scene: Scene, raster: Raster, tissue: Tissue) -> CellPictures:
        """Draw all cells of a raster, of which `tissue` is known already."""
        bodies, floating_nuclei = self._floaters(scene, raster, tissue)
        nuclei = self._in_tissue(scene, raster, tissue)
        return CellPictures(
            nuclei=nuclei.drawn(raster),
            cytoplasm=nuclei.wider(0.16 * self.parameters.nucleus_diameter).drawn(raster),
            red_cells=self._in_vessels(scene, raster, tissue).drawn(raster),
            bodies=bodies.drawn(raster),
            floating_nuclei=floating_nuclei.drawn(raster),
        )

    def _candidates(
        self, lattice: Lattice, raster: Raster, radius: float, likely: list[tuple[Floats, float]]
    ) -> tuple[Floats, Floats]:
        """List places that may hold a cell cut by the section, and five random numbers for each.

        Parameters
        ----------
        likely
            Pairs of a distance, known on the raster, and the largest share of places that hold
            a cell where it is negative. Left out are places whose first random number is above
            the shares of all distances that can be negative a cell's radius above or below.
        """
        depth = radius + self.parameters.section_thickness / 2
        low, high = raster.box(margin=2 * radius, depth=depth)
        cells, points = lattice.points_within(low, high)
        chance = uniforms(cells, lattice.key + np.uint64(1), 5)
        possible = np.zeros(len(points), dtype=bool)
        for distance, share in likely:
            near = raster.nearest(distance, points) < 1.6 * (depth + raster.pixel_size)
            possible |= near & (chance[:, 0] < share)
        return points[possible], chance[possible]

    def _in_tissue(self, scene: Scene, raster: Raster, seen: Tissue) -> Ellipses:
        p = self.parameters
        half = p.nucleus_diameter / 2
        likely = [
            (seen.septum, _IN_SEPTUM),
            (seen.bundle, 1.0),
            (seen.depth - p.pleura_thickness, 1.0),
        ]
        points, chance = self._candidates(self._nuclei, raster, half, likely)
        tissue = scene.tissue(Cloud(points))
        share, radial = self._shares(tissue)
        chosen = chance[:, 0] < share
        points, chance, radial = points[chosen], chance[chosen], radial[chosen]
        outward = scene.away_from_tubes(points)
        normal = np.where(np.isnan(radial)[:, None], tissue.normal[chosen], outward)
        long = half * (0.8 + 0.4 * chance[:, 1])
        flat = long * (0.5 + 0.35 * chance[:, 2])
        upright = radial == 1
        return Slice(raster.z, p.section_thickness).through(
            points,
            normal,
            along=np.where(upright, flat, long),
            across=np.where(upright, long, flat),
            strength=0.7 + 0.6 * chance[:, 3],
        )

    def _shares(self, tissue: Tissue) -> tuple[Floats, Floats]:
        """Give the share of candidates that are nuclei, and how they lie.

        Nuclei lie along the wall of the foam (nan), around a tube (0) or radially (1).
        """
        p = self.parameters
        share = np.where(tissue.septum < -0.15 * p.septal_thickness, _IN_SEPTUM, 0.0)
        lying = np.full(share.shape, np.nan)
        layers: list[tuple[NDArray[np.bool_], float, float]] = [
            (tissue.bundle < 0, 0.14, 0.0),
            (tissue.vessel < tissue.vessel_wall, 0.14, 0.0),
            (tissue.vessel < 0, 0.0, 0.0),
            (tissue.airway < p.epithelium + p.airway_muscle, 0.16, 0.0),
            (tissue.airway < 0.85 * p.epithelium, 0.85, 1.0),
            (tissue.airway < 0.3 * p.epithelium, 0.0, 0.0),
            (tissue.depth < p.pleura_thickness, 0.3, np.nan),
            (tissue.depth < 0.2 * p.pleura_thickness, 0.0, np.nan),
        ]
        for where, value, way in layers:
            share = np.where(where, value, share)
            lying = np.where(where, way, lying)
        return share, lying

    def _in_vessels(self, scene: Scene, raster: Raster, seen: Tissue) -> Ellipses:
        radius = 0.42 * self.parameters.nucleus_diameter
        points, chance = self._candidates(self._red, raster, radius, [(seen.vessel, 1.0)])
        vessel = scene.tissue(Cloud(points)).vessel
        full = np.clip(0.7 + 0.5 * self._clots.at(points), 0, 0.95)
        chosen = (vessel < -radius) & (chance[:, 0] < full)
        points, chance = points[chosen], chance[chosen]
        turned = chance[:, 1:4] - 0.5
        normal = turned / np.maximum(np.linalg.norm(turned, axis=1, keepdims=True), 1e-9)
        size = np.full(len(points), radius)
        return Slice(raster.z, self.parameters.section_thickness).through(
            points,
            normal,
            along=size,
            across=0.75 * size,
            strength=0.8 + 0.4 * chance[:, 4],
        )

    def _floaters(self, scene: Scene, raster: Raster, seen: Tissue) -> tuple[Ellipses, Ellipses]:
        """Scatter cells over all air alike: they must not tell which airspace they are in."""
        p = self.parameters
        body = 0.9 * p.nucleus_diameter
        # Cells per mm² of section: cells per µm³ times the height within which they are cut.
        share = 1e-6 * p.debris * self._floating.spacing**3 / (1.5 * body)
        points, chance = self._candidates(self._floating, raster, body, [(-seen.septum, share)])
        tissue = scene.tissue(Cloud(points))
        clear = (tissue.septum > 1.3 * body) & (tissue.bundle > body)
        clear &= tissue.depth > p.pleura_thickness + body
        points, chance = points[clear], chance[clear]
        normal = np.stack(
            [0 * chance[:, 1], np.cos(7 * chance[:, 1]), np.sin(7 * chance[:, 1])], axis=1
        )
        size = body * (0.7 + 0.3 * chance[:, 2])
        cut = Slice(raster.z, p.section_thickness)
        bodies = cut.through(
            points,
            normal,
            along=size,
            across=size * (0.7 + 0.3 * chance[:, 3]),
            strength=0.6 + 0.5 * chance[:, 4],
        )
        nuclei = cut.through(
            points + 0.25 * size[:, None] * normal,
            normal,
            along=0.5 * size,
            across=0.4 * size,
            strength=0.7 + 0.4 * chance[:, 4],
        )
        return bodies, nuclei
