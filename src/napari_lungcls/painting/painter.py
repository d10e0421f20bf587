"""One block of a map: every zoom's class maps, read off at the block's cells and added."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.imaging.geometry import to_level
from napari_lungcls.imaging.levels import BlockCache, Level
from napari_lungcls.imaging.stack import Plane
from napari_lungcls.network.engines import Painting
from napari_lungcls.network.spec import NetworkSpec
from napari_lungcls.painting.grid import Block, MapGrid
from napari_lungcls.painting.tiles import Cells, region_cells

KEPT_BYTES = 64 * 2**20
"""Bytes of class maps of coarse zooms that are kept for the next blocks."""

COARSE = 2.0
"""From this zoom on, maps are made for several blocks at once: halos would cost too much."""

Answers = tuple[NDArray[np.uint8], NDArray[np.float16] | None]
Span = tuple[tuple[float, float], tuple[float, float]]


class Painter:
    """Paints with one network; windows and layers play no part here.

    Parameters
    ----------
    painting
        The network, made for painting.
    spec
        Its shape.
    zooms
        Image pixels per level pixel for each of the network's zooms, see `effective_zooms`.
    temperature
        Logits are divided by it.

    Notes
    -----
    The heads are linear, so projecting the trunk's cells to the classes before they are
    interpolated gives exactly what interpolating the features would, at the price of `k`
    maps in place of hundreds of channels.
    """

    def __init__(
        self,
        painting: Painting,
        spec: NetworkSpec,
        zooms: tuple[float, ...],
        *,
        temperature: float = 1.0,
    ) -> None:
        self.painting = painting
        self.spec = spec
        self.zooms = zooms
        self.temperature = temperature
        self._averages = BlockCache(KEPT_BYTES)
        self._kept: OrderedDict[object, list[Cells]] = OrderedDict()

    def logits(
        self,
        plane: Plane,
        y: NDArray[np.float64],
        x: NDArray[np.float64],
        around: Span | None = None,
    ) -> Any:
        """Logits at the grid of image positions `y` × `x`, both ascending.

        Parameters
        ----------
        plane
            The image.
        y, x
            Positions of the cells.
        around
            First and last position of all that is painted soon, with this: maps of coarse
            zooms are made for it at once, and kept.

        Returns
        -------
        array on the network's device, (classes, len(y), len(x))
        """
        total = self.painting.bias
        spec = self.spec
        averaged = spec.window if spec.readout == "mean" else None
        for zoom, effective in zip(spec.zooms, self.zooms, strict=True):
            at_y, at_x = to_level(y, effective), to_level(x, effective)
            if around is None or effective < COARSE:
                span = (float(y[0]), float(y[-1])), (float(x[0]), float(x[-1]))
                found = self._region(plane, zoom, effective, span)
            else:
                found = self._coarse(plane, zoom, effective, around)
            for cells in found:
                rows, columns = cells.weights(at_y, at_x, averaged)
                total = total + self.painting.read_off(cells.values, rows, columns)
        return total / self.temperature

    def block(self, grid: MapGrid, block: Block, *, probabilities: bool = True) -> Answers:
        """Paint the cells of one block of a map.

        Returns
        -------
        classes : ndarray, (y, x), uint8
            Code of the likeliest class, plus 1; 0 where the network saw no numbers.
        probabilities : ndarray, (classes, y, x), float16, or None
            0 for all classes where none is painted.
        """
        (y, x), group = grid.positions(block), grid.positions(grid.group(block))
        around = tuple((float(ends[0]), float(ends[-1])) for ends in group)
        plane = grid.stack.plane(grid.image_plane(block.index))
        logits = self.logits(plane, y, x, (around[0], around[1]))
        return self.painting.answer(logits, probabilities=probabilities)

    def _region(self, plane: Plane, zoom: int, effective: float, span: Span) -> list[Cells]:
        """Compute the class maps of one zoom that the positions of a span need."""
        spec = self.spec
        reach = ((spec.window if spec.readout == "mean" else 1) - 1) / 2
        # At full resolution nothing comes back but the halo; averages are asked for again.
        level = Level(plane, effective, self._averages if effective >= COARSE else None)
        y, x = (
            (first - reach, last + reach)
            for first, last in (map(float, to_level(ends, effective)) for ends in span)
        )
        return list(region_cells(self.painting, spec, level, zoom, y, x))

    def _coarse(self, plane: Plane, zoom: int, effective: float, span: Span) -> list[Cells]:
        """Give the class maps of a span, which were computed before or are kept now."""
        key = (plane.index, zoom, span)
        if key in self._kept:
            self._kept.move_to_end(key)
        else:
            self._kept[key] = self._region(plane, zoom, effective, span)
            while len(self._kept) > 1 and self._bytes() > KEPT_BYTES:
                self._kept.popitem(last=False)
        return self._kept[key]

    def _bytes(self) -> int:
        return sum(cells.values.nbytes for maps in self._kept.values() for cells in maps)
