"""A painted map as air and tissue: which cells count, what they are, and how large."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation.schemes import Phase
from napari_lungcls.errors import InputError
from napari_lungcls.images.pixel_size import micrometres
from napari_lungcls.inference.map_data import MapData, MapHeader

BlockMask = Callable[[tuple[int, ...], slice, slice], NDArray[np.bool_]]
"""Gives the mask of a block: index of the plane, rows and columns to `(h, w)` bool."""

NONE, AIR, TISSUE = 0, 1, 2
"""Phases as cells have them. As bits: two cells differ in phase when their union is 3."""

_CODES = {"none": NONE, "air": AIR, "tissue": TISSUE}

Bytes = NDArray[np.uint8]


def cell_size_um(
    header: MapHeader, given: tuple[float, float] | None = None
) -> tuple[float, float]:
    """Return the height and width of a map's cells in µm.

    Parameters
    ----------
    given
        Takes the place of what the map says.

    Raises
    ------
    InputError
        When the map has no unit of length, as maps of images without pixel size, and nothing is
        given; or when what is given are no two sizes.
    """
    if given is not None:
        if len(given) != 2 or not all(np.isfinite(size) and size > 0 for size in given):
            raise InputError(
                f"should be the height and width of a cell in µm, not {given}", setting="cell_um"
            )
        return float(given[0]), float(given[1])
    factor, pixel = micrometres(header.unit), header.provenance.get("pixel_size")
    if factor is None and isinstance(pixel, int | float) and pixel > 0:
        # The image did not say it, whoever painted it did.
        return float(pixel) * header.stride, float(pixel) * header.stride
    if factor is None:
        raise InputError(
            f"the map is in units of {header.unit}, so that its cells have no size in µm",
            setting="cell_um",
            suggestion=["paint an image with a pixel size, or", {"cell_um": ...}],
        )
    return abs(header.scale[-2]) * factor, abs(header.scale[-1]) * factor


@dataclass(frozen=True, eq=False)
class PhaseMap:
    """A painted map with a phase for each class, and a mask.

    Attributes
    ----------
    painted
        The map.
    phases
        Phase of each class, `k` of them in the order of the codes.
    mask
        Cells that count: bool of the map's shape with numpy slicing, a function that gives the
        mask of a block, or None for all.
    """

    painted: MapData
    phases: Sequence[Phase]
    mask: Any = None

    def __post_init__(self) -> None:
        """Refuse phases and masks that do not belong to the map.

        Raises
        ------
        InputError
            When they do not.
        """
        header = self.painted.header
        if len(self.phases) != len(header.scheme) or not set(self.phases) <= set(_CODES):
            raise InputError(
                f"the map has {len(header.scheme)} classes ({', '.join(header.scheme.names)}), "
                f"the phases are {', '.join(map(str, self.phases)) or 'none at all'}",
                setting="phases",
                suggestion="say air, tissue or none for each class",
            )
        if self.mask is not None and not callable(self.mask):
            shape = tuple(self.mask.shape)
            if shape != header.shape or np.dtype(self.mask.dtype) != np.bool_:
                raise InputError(
                    f"should be bool of shape {header.shape}, not {self.mask.dtype} of {shape}",
                    setting="mask",
                    suggestion="pass a mask of image pixels through mask_of_cells",
                )

    def classes(self, index: tuple[int, ...], rows: slice, columns: slice) -> Bytes:
        """Read a block: `(h, w)` uint8, code + 1, 0 where nothing was painted or counts.

        Raises
        ------
        InputError
            When a cell holds a class that the scheme does not have.
        """
        cells: Bytes = np.asarray(self.painted.classes[(*index, rows, columns)])
        count = len(self.phases)
        if cells.size and (value := int(cells.max())) > count:
            raise InputError(
                f"the map has cells of class {value}, but only {count} classes; "
                "it is damaged, paint it again"
            )
        if self.mask is None:
            return cells
        place = (*index, rows, columns)
        inside = self.mask(index, rows, columns) if callable(self.mask) else self.mask[place]
        kept: Bytes = cells * np.asarray(inside, dtype=np.bool_)
        return kept

    def phase(self, classes: Bytes) -> Bytes:
        """Give the phase, `NONE`, `AIR` or `TISSUE`, of cells that `classes` has read."""
        table = np.array([NONE, *(_CODES[phase] for phase in self.phases)], np.uint8)
        found: Bytes = table[classes]
        return found
