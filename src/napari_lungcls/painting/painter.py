"""One block of a map: every zoom's class maps, read off at the block's cells and added."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.imaging.geometry import to_level
from napari_lungcls.imaging.levels import BlockCache, Level
from napari_lungcls.imaging.stack import Plane
from napari_lungcls.network.engines import Painting
from napari_lungcls.network.spec import NetworkSpec
from napari_lungcls.painting.grid import Block, MapGrid
from napari_lungcls.painting.tiles import Cells, region_cells, tile_places

KEPT_BYTES = 32 * 2**20
"""Bytes of coarse levels, and of their class maps, that are kept for the next blocks."""

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
    threshold
        Parts two classes, see `decide`.

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
        threshold: float | None = None,
    ) -> None:
        self.painting = painting
        self.spec = spec
        self.zooms = zooms
        self.temperature = temperature
        self.threshold = threshold
        self._plane: Plane | None = None
        self._averages = BlockCache(KEPT_BYTES)
        self._kept: OrderedDict[object, list[Cells]] = OrderedDict()
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="lungcls-read")
        self._expected: OrderedDict[object, Future[NDArray[Any]]] = OrderedDict()

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
        self._turn_to(plane)
        if around is not None:
            self._expect_coarse(plane, around)
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

    def block(
        self, grid: MapGrid, block: Block, *, probabilities: bool = True, alone: bool = False
    ) -> Answers:
        """Paint the cells of one block of a map.

        Parameters
        ----------
        grid, block
            The map, and which of its cells.
        probabilities
            Whether they are wanted.
        alone
            Read nothing but what this block needs, though the next ones need it again: for
            blocks, or parts of them, whose neighbours cannot be read.

        Returns
        -------
        classes : ndarray, (y, x), uint8
            Code of the likeliest class, or as the threshold says, plus 1; 0 where the network
            saw no numbers.
        probabilities : ndarray, (classes, y, x), float16, or None
            0 for all classes where none is painted.
        """
        (y, x), group = grid.positions(block), grid.positions(grid.group(block))
        around = tuple((float(ends[0]), float(ends[-1])) for ends in group)
        plane = grid.stack.plane(grid.image_plane(block.index))
        logits = self.logits(plane, y, x, None if alone else (around[0], around[1]))
        return self.painting.answer(logits, probabilities=probabilities, threshold=self.threshold)

    def expect(self, grid: MapGrid, block: Block) -> None:
        """Begin to read what the next block needs, while another one is computed."""
        plane = grid.stack.plane(grid.image_plane(block.index))
        if isinstance(plane.stack.levels[0], np.ndarray):
            return
        span = tuple((float(ends[0]), float(ends[-1])) for ends in grid.positions(block))
        for effective in self.zooms:
            if effective < COARSE:
                self._begin_to_read(Level(plane, effective), (span[0], span[1]))

    def _expect_coarse(self, plane: Plane, span: Span) -> None:
        """Begin to average, while the finest zoom is computed, what the coarse ones will need."""
        for zoom, effective in zip(self.spec.zooms, self.zooms, strict=True):
            if effective >= COARSE and (plane.index, zoom, span) not in self._kept:
                self._begin_to_read(Level(plane, effective, self._averages), span)

    def _begin_to_read(self, level: Level, span: Span) -> None:
        # Mostly the first tile is all there is.
        place = next(tile_places(self.painting.tile, *self._sides(span, level.zoom)))
        key = (level.plane.index, level.zoom, place)
        if key not in self._expected:
            self._expected[key] = self._reader.submit(level.read, *place)
        # What nobody came for is forgotten.
        while len(self._expected) > 2 * len(self.zooms):
            self._expected.popitem(last=False)

    def __enter__(self) -> Self:
        """Paint."""
        return self

    def __exit__(self, *error: object) -> None:
        """Let go of the thread that reads ahead."""
        self._reader.shutdown(cancel_futures=True)

    def _turn_to(self, plane: Plane) -> None:
        """Forget what belongs to another plane."""
        if self._plane is None or self._plane.index != plane.index:
            self._averages = BlockCache(KEPT_BYTES)
            self._kept.clear()
            self._plane = plane

    def _region(
        self, plane: Plane, zoom: int, effective: float, span: Span, *, shared: bool = False
    ) -> list[Cells]:
        """Compute the class maps of one zoom that the positions of a span need.

        With `shared`, averages are made in large squares, and kept for the next spans.
        """
        level = Level(plane, effective, self._averages if shared else None)

        def read(*place: int) -> NDArray[Any]:
            expected = self._expected.pop((plane.index, effective, place), None)
            return level.read(*place) if expected is None else expected.result()

        sides = self._sides(span, effective)
        return list(region_cells(self.painting, self.spec, read, zoom, *sides))

    def _sides(self, span: Span, effective: float) -> Span:
        """Give the level positions of which cells are needed for image positions."""
        reach = ((self.spec.window if self.spec.readout == "mean" else 1) - 1) / 2
        (top, bottom), (left, right) = (map(float, to_level(ends, effective)) for ends in span)
        return (top - reach, bottom + reach), (left - reach, right + reach)

    def _coarse(self, plane: Plane, zoom: int, effective: float, span: Span) -> list[Cells]:
        """Give the class maps of a span, which were computed before or are kept now."""
        key = (plane.index, zoom, span)
        if key in self._kept:
            self._kept.move_to_end(key)
        else:
            self._kept[key] = self._region(plane, zoom, effective, span, shared=True)
            while len(self._kept) > 1 and self._bytes() > KEPT_BYTES:
                self._kept.popitem(last=False)
        return self._kept[key]

    def _bytes(self) -> int:
        return sum(cells.values.nbytes for maps in self._kept.values() for cells in maps)
