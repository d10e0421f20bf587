"""Making synthetic sections and stacks of sections, with their exact label maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.synthetic.anatomy import Lung, Tissue
from napari_lungcls.synthetic.cells import CellMaker, CellPictures
from napari_lungcls.synthetic.parameters import LungParameters
from napari_lungcls.synthetic.raster import Raster
from napari_lungcls.synthetic.staining import Stain

Bytes = NDArray[np.uint8]

_TILE = 512  # pixels; bounds the memory beyond the result itself


@dataclass(frozen=True, eq=False)
class LungSection:
    """A synthetic section and its truth.

    Attributes
    ----------
    image
        (y, x, 3) uint8, as a camera would give it.
    truth
        (y, x) uint8: class code of `scheme` plus 1; 0 where there is no class, on cells and
        debris that float in the air.
    pixel_size
        µm per pixel.

    Examples
    --------
    >>> section = make_section((64, 64), seed=3)
    >>> septa = section.truth == section.scheme.code("septa") + 1
    >>> section.image[septa].shape == (septa.sum(), 3)
    True
    """

    image: Bytes
    truth: Bytes
    pixel_size: float
    scheme: ClassScheme
    seed: int


class Slicer:
    """Cuts one lung; keeps what all tiles and planes share."""

    def __init__(self, seed: int, parameters: LungParameters, scheme: ClassScheme) -> None:
        """Set up a lung; nothing is computed yet."""
        self.lung = Lung(seed, parameters)
        self.cells = CellMaker(self.lung)
        self.stain = Stain(self.lung)
        names = ("alveoli", "septa", "duct", "non-parenchyma", "outside")
        self.codes = [scheme.code(name) + 1 for name in names]

    def section(self, raster: Raster) -> tuple[Bytes, Bytes]:
        """Give image and truth of a raster, made tile by tile."""
        image = np.empty((*raster.shape, 3), dtype=np.uint8)
        truth = np.empty(raster.shape, dtype=np.uint8)
        for y in range(0, raster.shape[0], _TILE):
            for x in range(0, raster.shape[1], _TILE):
                shape = (min(_TILE, raster.shape[0] - y), min(_TILE, raster.shape[1] - x))
                start = (raster.start[0] + y, raster.start[1] + x)
                tile = Raster(raster.z, raster.origin, start, shape, raster.pixel_size)
                part = np.s_[y : y + shape[0], x : x + shape[1]]
                image[part], truth[part] = self._tile(tile)
        return image, truth

    def _tile(self, tile: Raster) -> tuple[Bytes, Bytes]:
        margin = int(np.ceil(self.stain.margin_um / tile.pixel_size))
        wide = tile.grown(margin)
        scene = self.lung.scene(wide)
        tissue = scene.tissue(wide)
        cells = self.cells.pictures(scene, wide, tissue)
        inner = np.s_[margin : margin + tile.shape[0], margin : margin + tile.shape[1]]
        truth = self._labels(tissue, cells)[inner]
        bright = self.stain.picture(wide, tissue, cells)[inner]
        return self.stain.photographed(tile, bright), truth

    def _labels(self, tissue: Tissue, cells: CellPictures) -> Bytes:
        alveoli, septa, duct, other, outside = self.codes
        truth = np.full(tissue.duct.shape, alveoli, dtype=np.uint8)
        truth[tissue.duct < 0] = duct
        truth[(cells.bodies > 0.1) | (cells.floating_nuclei > 0.1)] = 0
        truth[(tissue.septum < 0) | (cells.cytoplasm > 0.5)] = septa
        truth[tissue.bundle < 0] = other
        truth[tissue.depth < self.lung.parameters.pleura_thickness] = other
        truth[tissue.depth < 0] = outside
        return truth


def make_section(
    shape: tuple[int, int] = (1024, 1024),
    *,
    pixel_size: float = 1.8,
    seed: int = 0,
    z: float = 0.0,
    origin: tuple[float, float] = (0.0, 0.0),
    parameters: LungParameters | None = None,
) -> LungSection:
    """Make one section of the lung that belongs to a seed.

    Parameters
    ----------
    shape
        Rows and columns.
    pixel_size
        µm per pixel; the lung stays the same, the magnification changes.
    seed
        0 or larger. The same seed gives the same bytes.
    z
        Depth of the section in µm; sections near each other look alike.
    origin
        µm (y, x) of the section's corner in the endless plane of the lung, so that a section
        can be made in parts.
    parameters
        What the lung is made of; default `LungParameters()`.

    Raises
    ------
    InputError
        When a size is not positive or the seed is negative.

    Examples
    --------
    >>> section = make_section((64, 96), pixel_size=2.0, seed=3)
    >>> section.image.shape, section.truth.shape
    ((64, 96, 3), (64, 96))
    """
    check_section(shape, seed, pixel_size)
    scheme = ClassScheme.preset("lung-full")
    slicer = Slicer(seed, parameters or LungParameters(), scheme)
    image, truth = slicer.section(Raster(z, origin, (0, 0), shape, pixel_size))
    return LungSection(image, truth, pixel_size, scheme, seed)


def check_section(shape: tuple[int, ...], seed: int, *lengths: float) -> None:
    """Raise InputError when a section of this shape, seed, pixel size or spacing cannot be."""
    if min(shape) < 1:
        raise InputError(f"shape {shape}: every axis needs at least one pixel")
    if seed < 0:
        raise InputError(f"seed {seed}: give an integer of 0 or more")
    for length in lengths:
        if not (np.isfinite(length) and length > 0):
            raise InputError(f"a length of {length} µm: pixel size and spacing must be positive")
