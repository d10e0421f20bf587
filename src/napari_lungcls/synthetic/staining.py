"""How a section looks: stains, light, optics and camera."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_lungcls.synthetic.anatomy import Lung, Tissue
from napari_lungcls.synthetic.cells import CellPictures
from napari_lungcls.synthetic.lattice import Floats, derived_key, scrambled
from napari_lungcls.synthetic.raster import Raster

# Amounts of eosin and haematoxylin in each kind of tissue (optical density along the stain).
_SEPTUM = (0.42, 0.20)
_SHEATH = (0.34, 0.06)
_MUSCLE = (0.72, 0.16)
_EPITHELIUM = (0.62, 0.34)
_VESSEL_WALL = (0.66, 0.14)
_PLASMA = (0.07, 0.0)
_PLEURA = (0.55, 0.18)
_NUCLEUS = 1.0
_NUCLEUS_PINK = 0.12
_RED_CELL = 0.9
_BODY = (0.34, 0.16)


class Stain:
    """Turns tissue into the picture a microscope's camera takes of it."""

    def __init__(self, lung: Lung) -> None:
        """Set up the random fields of the staining of this lung."""
        self.parameters = p = lung.parameters
        self._seed = lung.seed
        self._fine = lung.noise("cytoplasm", 5.0)
        self._coarse = lung.noise("tissue texture", 22.0)
        self._chromatin = lung.noise("chromatin", 2.2)
        self._gradients = [lung.noise(f"gradient {k}", 3000.0) for k in range(2)]
        self._light = lung.noise("illumination", 2500.0)
        vectors = np.array([p.eosin, p.haematoxylin, p.erythrocyte])
        self._vectors: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        self.margin_um = 4 * p.resolution

    def picture(self, raster: Raster, tissue: Tissue, cells: CellPictures) -> Floats:
        """Give the brightness of every pixel before the camera, 0 to 255, (rows, columns, 3)."""
        p = self.parameters
        eosin, haematoxylin, red = self._stains(raster, tissue, cells)
        strength = self._strength(raster)
        density = np.stack([eosin * strength[0], haematoxylin * strength[1], red], axis=-1)
        light = 1 + p.illumination * raster.noise(self._light)
        bright = np.exp(-(density @ self._vectors)) * np.asarray(p.white) * light[..., None]
        sigma = p.resolution / raster.pixel_size
        return np.asarray(gaussian_filter(bright, (sigma, sigma, 0), truncate=4.0))

    def _strength(self, raster: Raster) -> list[Floats]:
        """Give how strongly each stain took: from section to section, and across the section."""
        p = self.parameters
        section = int(np.rint(raster.z * 1000)) & (2**63 - 1)
        rng = np.random.default_rng([int(derived_key(self._seed, "staining")), section])
        drawn = np.exp(p.stain_sd * np.clip(rng.normal(size=2), -2, 2))
        return [
            drawn[k] * np.exp(p.stain_gradient * raster.noise(self._gradients[k])) for k in range(2)
        ]

    def _stains(
        self, raster: Raster, tissue: Tissue, cells: CellPictures
    ) -> tuple[Floats, Floats, Floats]:
        p = self.parameters
        fine, coarse = raster.noise(self._fine), raster.noise(self._coarse)
        pixel = raster.pixel_size

        def within(distance: Floats, slope: Floats | float = 0.3) -> Floats:
            """Give the share of the cut that is inside a surface, over pixel and thickness."""
            return np.asarray(np.clip(0.5 - distance / (pixel + slope * p.section_thickness), 0, 1))

        mottled = np.clip(1 + 0.28 * fine + 0.12 * coarse, 0.25, 1.9)
        loose = np.clip(1 + 0.45 * coarse + 0.3 * fine, 0.15, 2.0)
        layers: list[tuple[Floats, tuple[float, float], Floats | float]] = [
            (
                np.maximum(within(tissue.septum, tissue.slope), 0.8 * cells.cytoplasm),
                _SEPTUM,
                mottled,
            ),
            (within(tissue.depth - p.pleura_thickness), _PLEURA, mottled),
            (within(tissue.bundle), _SHEATH, loose),
            (within(tissue.vessel - tissue.vessel_wall), _VESSEL_WALL, mottled),
            (within(tissue.airway - p.epithelium - p.airway_muscle), _MUSCLE, mottled),
            (within(tissue.airway - p.epithelium), _EPITHELIUM, mottled),
            (within(tissue.vessel), _PLASMA, 1.0),
            (within(tissue.airway), (0.0, 0.0), 1.0),
            (within(tissue.depth), (0.0, 0.0), 1.0),
        ]
        eosin, haematoxylin = np.zeros(raster.shape), np.zeros(raster.shape)
        for cover, (pink, blue), texture in layers:
            eosin += cover * (pink * texture - eosin)
            haematoxylin += cover * (blue * texture - haematoxylin)
        chromatin = np.clip(1 + 0.3 * raster.noise(self._chromatin), 0.4, 1.6)
        nuclei = np.maximum(cells.nuclei, cells.floating_nuclei) * chromatin
        eosin += _BODY[0] * cells.bodies * mottled
        eosin += _NUCLEUS_PINK * nuclei
        haematoxylin += _NUCLEUS * nuclei + _BODY[1] * cells.bodies * mottled
        return eosin, haematoxylin, _RED_CELL * cells.red_cells

    def photographed(self, raster: Raster, bright: Floats) -> NDArray[np.uint8]:
        """Add the camera's noise and give grey levels, (rows, columns, 3) uint8.

        Every pixel of a section has its own noise, the same through every window.
        """
        rows = np.arange(raster.start[0], raster.start[0] + raster.shape[0])
        columns = np.arange(raster.start[1], raster.start[1] + raster.shape[1])
        depth = np.uint64(int(np.rint(raster.z * 1000)) & (2**63 - 1))
        shift = [int(np.rint(value / raster.pixel_size)) for value in raster.origin]
        key = derived_key(self._seed, "camera")
        row = scrambled((rows + shift[0]).astype(np.uint64) ^ scrambled(np.array([key ^ depth])))
        column = (columns + shift[1]).astype(np.uint64)
        image = np.empty(bright.shape, dtype=np.uint8)
        for channel in range(3):
            bits = scrambled(row[:, None] ^ scrambled(column + np.uint64(channel << 60)))
            image[..., channel] = np.clip(
                np.rint(bright[..., channel] + self.parameters.noise * _normal(bits)), 0, 255
            )
        return image


def _normal(bits: NDArray[np.uint64]) -> Floats:
    """Turn random bits into numbers of mean 0 and variance 1, near normal (Irwin-Hall, 4 terms)."""
    total = np.zeros(bits.shape)
    for part in range(4):
        total += ((bits >> np.uint64(16 * part)) & np.uint64(0xFFFF)).astype(np.float64)
    return np.asarray((total / 65536 + 2 / 65536 - 2.0) * np.sqrt(3.0))
