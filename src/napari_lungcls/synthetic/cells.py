"""Nuclei, red cells and what floats in the airspaces, as ellipsoids cut by the section."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.synthetic.anatomy import Lung, Scene, Tissue
from napari_lungcls.synthetic.lattice import Floats, Lattice, derived_key, uniforms
from napari_lungcls.synthetic.raster import Cloud, Raster


@dataclass(frozen=True)
class Ellipses:
    """Ellipses in the plane of a section; lengths in µm, all arrays (n,).

    Attributes
    ----------
    y, x
        Centres.
    along, across
        Half axes.
    angle
        Direction of `across`, from the x axis towards the y axis, in radians.
    strength
        Optical density relative to the mean.
    """

    y: Floats
    x: Floats
    along: Floats
    across: Floats
    angle: Floats
    strength: Floats

    def drawn(self, raster: Raster) -> Floats:
        """Draw with soft edges; where ellipses overlap, the strongest counts.

        Returns
        -------
        Strength times coverage, (rows, columns).
        """
        image = np.zeros(raster.shape)
        if not len(self.y):
            return image
        pixel = raster.pixel_size
        reach = int(np.ceil(float(self.along.max()) / pixel + 0.5))
        offsets = np.arange(-reach, reach + 1)
        place = [
            (centre - raster.origin[axis]) / pixel - 0.5 - raster.start[axis]
            for axis, centre in enumerate((self.y, self.x))
        ]
        rows = np.rint(place[0]).astype(np.int64)[:, None] + offsets
        columns = np.rint(place[1]).astype(np.int64)[:, None] + offsets
        dy = ((rows - place[0][:, None]) * pixel)[:, :, None]
        dx = ((columns - place[1][:, None]) * pixel)[:, None, :]
        cosine, sine = (f(self.angle)[:, None, None] for f in (np.cos, np.sin))
        across = (dx * cosine + dy * sine) / self.across[:, None, None]
        along = (dy * cosine - dx * sine) / self.along[:, None, None]
        radius = np.sqrt(across**2 + along**2)
        edge = np.sqrt(self.across * self.along)[:, None, None] / pixel
        value = np.clip(0.5 + (1 - radius) * edge, 0, 1) * self.strength[:, None, None]
        inside = (rows >= 0) & (rows < raster.shape[0])
        valid = inside[:, :, None] & ((columns >= 0) & (columns < raster.shape[1]))[:, None, :]
        flat = rows[:, :, None] * raster.shape[1] + columns[:, None, :]
        hit = valid & (value > 0)
        np.maximum.at(image.reshape(-1), flat[hit], value[hit])
        return image


@dataclass(frozen=True)
class CellPictures:
    """What the cells add to a section, each (rows, columns).

    Attributes
    ----------
    nuclei
        Density of nuclei in tissue.
    red_cells
        Density of red cells in vessels.
    bodies
        Density of the bodies of floating cells, their nuclei being in `floating_nuclei`.
    """

    nuclei: Floats
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
        return CellPictures(
            nuclei=self._in_tissue(scene, raster, tissue).drawn(raster),
            red_cells=self._in_vessels(scene, raster, tissue).drawn(raster),
            bodies=bodies.drawn(raster),
            floating_nuclei=floating_nuclei.drawn(raster),
        )

    @staticmethod
    def _candidates(
        lattice: Lattice, raster: Raster, radius: float, distance: Floats
    ) -> tuple[Floats, Floats]:
        """List places that may hold a cell cut by the section, and five random numbers for each.

        Left out are places where `distance`, known on the raster, is so large that it cannot be
        negative a cell's radius above or below.
        """
        low, high = raster.box(margin=2 * radius, depth=radius)
        cells, points = lattice.points_within(low, high)
        near = raster.nearest(distance, points) < 1.6 * (radius + raster.pixel_size)
        cells, points = cells[near], points[near]
        return points, uniforms(cells, lattice.key + np.uint64(1), 5)

    def _in_tissue(self, scene: Scene, raster: Raster, seen: Tissue) -> Ellipses:
        p = self.parameters
        half = p.nucleus_diameter / 2
        solid = np.minimum(np.minimum(seen.septum, seen.bundle), seen.depth - p.pleura_thickness)
        points, chance = self._candidates(self._nuclei, raster, half, solid)
        tissue = scene.tissue(Cloud(points))
        share, radial = self._shares(tissue)
        chosen = chance[:, 0] < share
        points, chance, radial = points[chosen], chance[chosen], radial[chosen]
        outward = scene.away_from_tubes(points)
        normal = np.where(np.isnan(radial)[:, None], tissue.normal[chosen], outward)
        long = half * (0.8 + 0.4 * chance[:, 1])
        flat = long * (0.5 + 0.35 * chance[:, 2])
        upright = radial == 1
        return _cut(
            raster.z, points, normal,
            along=np.where(upright, flat, long),
            across=np.where(upright, long, flat),
            strength=0.7 + 0.6 * chance[:, 3],
        )  # fmt: skip

    def _shares(self, tissue: Tissue) -> tuple[Floats, Floats]:
        """Give the share of candidates that are nuclei, and how they lie.

        Nuclei lie along the wall of the foam (nan), around a tube (0) or radially (1).
        """
        p = self.parameters
        share = np.where(tissue.septum < -0.12 * p.septal_thickness, 0.75, 0.0)
        lying = np.full(share.shape, np.nan)
        layers: list[tuple[NDArray[np.bool_], float, float]] = [
            (tissue.bundle < 0, 0.3, 0.0),
            (tissue.vessel < tissue.vessel_wall, 0.25, 0.0),
            (tissue.vessel < 0, 0.0, 0.0),
            (tissue.airway < p.epithelium + p.airway_muscle, 0.3, 0.0),
            (tissue.airway < 0.85 * p.epithelium, 1.0, 1.0),
            (tissue.airway < 0.3 * p.epithelium, 0.0, 0.0),
            (tissue.depth < p.pleura_thickness, 0.5, np.nan),
            (tissue.depth < 0.2 * p.pleura_thickness, 0.0, np.nan),
        ]
        for where, value, way in layers:
            share = np.where(where, value, share)
            lying = np.where(where, way, lying)
        return share, lying

    def _in_vessels(self, scene: Scene, raster: Raster, seen: Tissue) -> Ellipses:
        radius = 0.42 * self.parameters.nucleus_diameter
        points, chance = self._candidates(self._red, raster, radius, seen.vessel)
        vessel = scene.tissue(Cloud(points)).vessel
        full = np.clip(0.55 + 0.5 * self._clots.at(points), 0, 0.95)
        chosen = (vessel < -radius) & (chance[:, 0] < full)
        points, chance = points[chosen], chance[chosen]
        turned = chance[:, 1:4] - 0.5
        normal = turned / np.maximum(np.linalg.norm(turned, axis=1, keepdims=True), 1e-9)
        size = np.full(len(points), radius)
        return _cut(
            raster.z,
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
        points, chance = self._candidates(self._floating, raster, body, -seen.septum)
        tissue = scene.tissue(Cloud(points))
        clear = (tissue.septum > 1.3 * body) & (tissue.bundle > body)
        clear &= tissue.depth > p.pleura_thickness + body
        # Cells per mm² of section: cells per µm³ times the height within which they are cut.
        share = 1e-6 * p.debris * self._floating.spacing**3 / (1.5 * body)
        chosen = clear & (chance[:, 0] < share)
        points, chance = points[chosen], chance[chosen]
        normal = np.stack(
            [0 * chance[:, 1], np.cos(7 * chance[:, 1]), np.sin(7 * chance[:, 1])], axis=1
        )
        size = body * (0.7 + 0.3 * chance[:, 2])
        bodies = _cut(
            raster.z, points, normal, along=size, across=size * (0.7 + 0.3 * chance[:, 3]),
            strength=0.6 + 0.5 * chance[:, 4],
        )  # fmt: skip
        inner = points + 0.25 * size[:, None] * normal
        nuclei = _cut(
            raster.z, inner, normal, along=0.5 * size, across=0.4 * size,
            strength=0.7 + 0.4 * chance[:, 4],
        )  # fmt: skip
        return bodies, nuclei


def _cut(
    z: float, points: Floats, normal: Floats, *, along: Floats, across: Floats, strength: Floats
) -> Ellipses:
    """Cut ellipsoids of revolution about their normals, at depth `z`.

    The cut's axes are those of the ellipsoid's outline, shrunk by the distance of its centre
    from the plane: exact for upright and flat ones, near enough between.
    """
    steep = np.clip(normal[:, 0] ** 2, 0, 1)
    height = np.sqrt(across**2 * steep + along**2 * (1 - steep))
    width = np.sqrt(across**2 * (1 - steep) + along**2 * steep)
    left = 1 - ((points[:, 0] - z) / height) ** 2
    met = left > 0.05
    shrink = np.sqrt(left[met])
    angle = np.arctan2(normal[met, 1], normal[met, 2])
    return Ellipses(
        y=points[met, 1],
        x=points[met, 2],
        along=along[met] * shrink,
        across=width[met] * shrink,
        angle=angle,
        strength=strength[met],
    )
