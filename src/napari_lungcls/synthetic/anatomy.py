"""What tissue lies where: ducts, airways, vessels, pleura and foam put together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.synthetic.foam import Foam
from napari_lungcls.synthetic.lattice import Floats, derived_key
from napari_lungcls.synthetic.parameters import LungParameters
from napari_lungcls.synthetic.raster import Cloud, Raster, SmoothNoise, Where
from napari_lungcls.synthetic.tubes import Balls, TubeNetwork


@dataclass(frozen=True)
class Tissue:
    """Signed distances in µm to every surface, negative inside; all of one shape.

    Attributes
    ----------
    septum
        To the surface of the septa, wherever foam is.
    slope
        How steeply that distance changes with depth, 0 (wall upright) to 1 (wall lies flat).
    normal
        Unit normal of the nearest wall of the foam, z, y, x along the last axis.
    duct
        To the surface of the ducts: the mouths of the alveoli.
    airway, vessel
        To the lumen of airways and vessels.
    vessel_wall
        Thickness of the wall of the nearest vessel.
    bundle
        To the outer surface of everything around airways and vessels.
    depth
        Depth below the outer surface of the pleura, negative outside of the lung.
    """

    septum: Floats
    slope: Floats
    normal: Floats
    duct: Floats
    airway: Floats
    vessel: Floats
    vessel_wall: Floats
    bundle: Floats
    depth: Floats


class Lung:
    """An endless lung with one seed: asked for any place, it always gives the same answer."""

    def __init__(self, seed: int, parameters: LungParameters) -> None:
        """Set up the ingredients; nothing is computed yet."""
        self.seed = seed
        self.parameters = p = parameters
        self.foam = Foam(
            seed,
            diameter=p.alveolar_diameter,
            irregularity=p.irregularity,
            missing=p.missing_cells,
            openings=p.openings,
            spread=p.septal_spread,
        )
        # Foam keeps 0.3 diameters off ducts, and whole ducts keep off airways and vessels.
        near = 0.6 * p.alveolar_diameter
        self.ducts = self._network("ducts", p.duct_spacing, p.duct_diameter, 0.12, near)
        far = self.ducts.widest + near + 2 * (p.epithelium + p.airway_muscle)
        self.airways = self._network("airways", p.airway_spacing, p.airway_diameter, 0.25, far)
        self.veins = self._network("veins", p.vessel_spacing, p.vessel_diameter, 0.4, far)

    def _network(
        self, name: str, spacing: float | None, diameter: float, spread: float, reach: float
    ) -> TubeNetwork:
        key = derived_key(self.seed, name)
        return TubeNetwork(key, spacing=spacing, diameter=diameter, spread=spread, reach=reach)

    def noise(self, name: str, wavelength: float) -> SmoothNoise:
        """Give the random field of this name."""
        return SmoothNoise(derived_key(self.seed, name), wavelength)

    def scene(self, raster: Raster) -> Scene:
        """Gather what lies in and around a raster, and a few µm above and below it."""
        return Scene(self, raster)

    @cached_property
    def warp(self) -> tuple[SmoothNoise, ...]:
        """Fields that bend the walls of the foam, one per axis."""
        diameter = self.parameters.alveolar_diameter
        return tuple(self.noise(f"bend {axis}", 0.9 * diameter) for axis in "zyx")

    @cached_property
    def ripple(self) -> tuple[SmoothNoise, ...]:
        """Fields that make the walls of the foam wavy: shift in y and x, and thickness."""
        wavelength = 5 * self.parameters.septal_thickness
        return tuple(self.noise(f"ripple {axis}", wavelength) for axis in "yxt")

    @cached_property
    def wobble(self) -> SmoothNoise:
        """Give the field that makes ducts uneven."""
        return self.noise("duct wobble", 0.9 * self.parameters.duct_diameter)

    @cached_property
    def folds(self) -> SmoothNoise:
        """Give the field that folds the epithelium of airways."""
        return self.noise("folds", 3.0 * self.parameters.epithelium)

    @cached_property
    def patches(self) -> SmoothNoise:
        """Give the field of regions with thicker and thinner septa."""
        return self.noise("septal patches", 8 * self.parameters.alveolar_diameter)

    @cached_property
    def shore(self) -> SmoothNoise:
        """Give the field that makes the pleura undulate."""
        return self.noise("pleura", 12 * self.parameters.alveolar_diameter)


class Scene:
    """The part of a lung around one raster."""

    def __init__(self, lung: Lung, raster: Raster) -> None:
        p = lung.parameters
        self.lung = lung
        self.parameters = p
        low, high = raster.box(margin=4 * p.nucleus_diameter, depth=2 * p.nucleus_diameter)
        # Centres of the foam's cells must know the tubes around them, so tubes reach further.
        wide = 4.5 * p.alveolar_diameter
        ducts = lung.ducts.near(low - wide, high + wide)
        wide += lung.ducts.reach + lung.ducts.widest
        gap = p.epithelium + p.airway_muscle + 2 * p.vessel_wall
        aside = 2 * lung.airways.widest + gap  # arteries lie within this of their airway
        airways = lung.airways.near(low - wide - aside, high + wide + aside)
        self._airways = airways
        vessels = airways.beside(0.55, gap) + lung.veins.near(low - wide, high + wide)
        off_airways, _, _ = airways.nearest(vessels.centres)
        self._vessels = vessels.chosen(off_airways > vessels.radii + 0.7 * gap)
        self._ducts: Balls = ducts.chosen(self._have_room(ducts))
        self._foam = lung.foam.near(low, high, self._holds_alveolus)

    def _have_room(self, ducts: Balls) -> NDArray[np.bool_]:
        """Say which balls of ducts have at least half an alveolus between them and the rest."""
        airway, vessel, wall, depth = self._large(Cloud(ducts.centres))
        room = np.minimum(self._bundle(airway, vessel, wall), depth)
        return np.asarray(room > ducts.radii + 0.5 * self.parameters.alveolar_diameter)

    def _holds_alveolus(self, centres: Floats) -> NDArray[np.bool_]:
        """Keep centres of foam cells off the ducts, so that alveoli sit around them like cups."""
        where = Cloud(centres)
        airway, vessel, wall, depth = self._large(where)
        bundle = self._bundle(airway, vessel, wall)
        duct = self._duct(where)
        size = self.parameters.alveolar_diameter
        # Centres deep inside of a bundle or outside of the lung show nowhere, but without them
        # every search from there would wander far.
        clear = (np.abs(bundle) > 0.2 * size) & (np.abs(depth) > 0.25 * size)
        return np.asarray((duct > 0.3 * size) & clear)

    def _large(self, where: Where) -> tuple[Floats, Floats, Floats, Floats]:
        """Give distances to airway and vessel lumen, the vessel's wall, and the depth."""
        p = self.parameters
        airway = where.smooth(self._airways.distance)
        vessel = where.smooth(self._vessels.distance)
        folds = where.noise(self.lung.folds)
        fold_height = 0.35 * p.epithelium
        wall = p.vessel_wall * (0.5 + vessel[..., 1] / p.vessel_diameter)
        depth = np.full(folds.shape, np.inf)
        if p.pleura is not None:
            x = where.shaped(where.points()[:, 2])
            depth = p.pleura - x + 0.4 * p.alveolar_diameter * where.noise(self.lung.shore)
        lumen = airway[..., 0] - fold_height * (folds - 1.0)
        return lumen, vessel[..., 0] - 0.15 * wall * folds, wall, depth

    def _bundle(self, airway: Floats, vessel: Floats, wall: Floats) -> Floats:
        """Give the distance to the sheath around airways and vessels, fused where they are near."""
        p = self.parameters
        outside = airway - (p.epithelium + 2.2 * p.airway_muscle)
        return _smooth_minimum(outside, vessel - 1.6 * wall, 4.0 * p.vessel_wall)

    def _duct(self, where: Where) -> Floats:
        """Give the distance to the ducts."""
        distance = where.smooth(self._ducts.distance)[..., 0]
        wobble = 0.04 * self.parameters.duct_diameter * where.noise(self.lung.wobble)
        return np.asarray(distance - wobble)

    def tissue(self, where: Where) -> Tissue:
        """Give the distances to every surface at places near the raster."""
        airway, vessel, wall, depth = self._large(where)
        bundle = self._bundle(airway, vessel, wall)
        duct = self._duct(where)
        septum, normal = self._septum(where, duct)
        return Tissue(
            septum=septum,
            slope=np.abs(normal[..., 0]),
            normal=normal,
            duct=duct,
            airway=airway,
            vessel=vessel,
            vessel_wall=wall,
            bundle=bundle,
            depth=depth,
        )

    def away_from_tubes(self, points: Floats) -> Floats:
        """Give unit vectors (n, 3) that point away from the nearest airway or vessel."""
        airway, _, first = self._airways.nearest(points)
        vessel, _, second = self._vessels.nearest(points)
        away = points - np.where((airway < vessel)[:, None], first, second)
        return np.asarray(away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9))

    def _septum(self, where: Where, duct: Floats) -> tuple[Floats, Floats]:
        p = self.parameters
        bend = 0.05 * p.alveolar_diameter
        shift = np.stack([bend * where.noise(field) for field in self.lung.warp], axis=-1)
        *sideways, stout = (where.noise(field) for field in self.lung.ripple)
        shift[..., 1:] += 0.2 * p.septal_thickness * np.stack(sideways, axis=-1)
        walls = self._foam.walls(where.points() + shift.reshape(-1, 3))
        patch = np.exp(
            p.septal_patchiness * where.noise(self.lung.patches) + p.septal_waviness * stout
        )
        rim = np.exp(-((duct / (1.5 * p.septal_thickness)) ** 2))
        thickness = p.septal_thickness * patch * (1 + p.rim_thickening * rim)
        septum = where.shaped(walls.outside(thickness.reshape(-1), p.corner_radius))
        # Septa end in the duct, rounded: the smooth maximum of both distances.
        ended = -_smooth_minimum(-septum, duct + p.rim_protrusion, p.septal_thickness / 2)
        return ended, where.shaped(walls.normal)


def _smooth_minimum(a: Floats, b: Floats, radius: float) -> Floats:
    """Give the minimum with fillets (polynomial smooth minimum, Quílez 2013)."""
    overlap = np.maximum(radius - np.abs(a - b), 0.0) / radius
    return np.asarray(np.minimum(a, b) - overlap**2 * radius / 4)
