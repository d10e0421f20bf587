"""Painting one block of a map: the maps of all zooms, interpolated at its cells and summed."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self

import numpy as np
from cachetools import FIFOCache, LRUCache
from numpy.typing import NDArray

from napari_lungcls.images.geometry import STAGE_STRIDES, to_zoomed
from napari_lungcls.images.pyramid import BlockCache, ZoomedPlane
from napari_lungcls.images.stack import Plane
from napari_lungcls.inference.grid import MapGrid
from napari_lungcls.inference.map_data import Block
from napari_lungcls.inference.tiles import Positions, Span, StageCells, region_cells, tile_places
from napari_lungcls.network.engines import Painting
from napari_lungcls.network.engines.protocol import Term
from napari_lungcls.network.predictor import Predictor
from napari_lungcls.network.spec import NetworkSpec
from napari_lungcls.utils.memory import byte_cache

KEPT_BYTES = 32 * 2**20
"""Bytes of coarse levels, and of their maps, that are kept for the next blocks."""

COARSE = 3.0
"""From this zoom on, maps are made for several blocks at once: halos would cost too much."""

Answers = tuple[NDArray[np.uint8], NDArray[np.float16] | None]
Area = tuple[Span, Span]


class Painter:
    """Paints blocks of maps with one network.

    Parameters
    ----------
    painting
        The network, made for painting.
    spec
        Its shape.
    zooms
        Image pixels per zoomed pixel for each of the network's zooms, see `effective_zooms`.
    temperature
        Logits are divided by it.
    threshold
        Parts two classes, see `predicted_class`.

    Notes
    -----
    What the heads make of cells is linear up to the hidden layer, so projecting cells before
    they are interpolated gives exactly what interpolating them would, with a few dozen numbers
    in place of hundreds of channels. Stem and detail have more cells than most maps: they are
    read where the map needs them and not kept, except for coarse zooms.
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
        self._kept: LRUCache[object, list[StageCells]] = byte_cache(
            KEPT_BYTES, lambda maps: sum(cells.values.nbytes for cells in maps)
        )
        # One thread reads the next block's pixels while this one's are computed.
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="lungcls-read")
        # Prefetched tiles that nobody asked for are dropped, oldest first.
        self._expected: FIFOCache[object, Future[NDArray[Any]]] = FIFOCache(2 * len(zooms))

    @classmethod
    def of(
        cls, predictor: Predictor, zooms: tuple[float, ...], painting: Painting | None = None
    ) -> Self:
        """Paint with a model: in fp32 unless its network is given as made for painting."""
        engine, document = predictor.engine, predictor.document
        return cls(
            painting or engine.painting(),
            engine.spec,
            zooms,
            temperature=document.temperature,
            threshold=document.threshold,
        )

    def logits(
        self,
        plane: Plane,
        y: NDArray[np.float64],
        x: NDArray[np.float64],
        around: Area | None = None,
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
        return self.lattices(plane, [(y, x)], around)[0]

    def lattices(
        self,
        plane: Plane,
        grids: Sequence[Positions],
        around: Area | None = None,
        margin: int = 0,
    ) -> list[Any]:
        """Logits at several grids of image positions; see `logits`.

        Parameters
        ----------
        margin
            ZoomedPlane pixels around the grids, as far as the image goes, that are computed with
            them, for the sake of what the deepest cells see.
        """
        self._turn_to(plane)
        if around is not None:
            self._expect_coarse(plane, around)
        rows, columns = ([grid[axis] for grid in grids] for axis in (0, 1))
        span = (_extent(rows), _extent(columns))
        # Every zoom adds its terms; the heads sum them once at the end.
        terms: list[list[Term]] = [[] for _ in grids]
        for zoom, effective in zip(self.spec.zooms, self.zooms, strict=True):
            levels = [(to_zoomed(y, effective), to_zoomed(x, effective)) for y, x in grids]
            sums: list[Any] = []
            if around is not None and self._is_coarse(zoom, effective):
                cells = self._coarse(plane, zoom, effective, around)
            else:
                area = self._area(plane, span, effective, margin=margin)
                averages = self.spec.pooling == "mean"
                cells, sums = self._region(
                    plane, zoom, effective, area, None if averages else levels
                )
            averaged = self.spec.tile if self.spec.pooling == "mean" else None
            for i, (y, x) in enumerate(levels):
                terms[i] += [each.term(y, x, averaged) for each in cells]
                terms[i] += [Term(each) for each in sums[i : i + 1]]
        return [self.painting.logits(each, self.temperature) for each in terms]

    def terms(
        self, plane: Plane, y: NDArray[np.float64], x: NDArray[np.float64], margin: int
    ) -> dict[tuple[int, int], Term]:
        """Give what each zoom and stage contributes at a grid of positions; see `lattices`."""
        self._turn_to(plane)
        span, found = (_extent([y]), _extent([x])), {}
        averaged = self.spec.tile if self.spec.pooling == "mean" else None
        stages = {stride: stage for stage, stride in STAGE_STRIDES.items()}
        for zoom, effective in zip(self.spec.zooms, self.zooms, strict=True):
            area = self._area(plane, span, effective, margin=margin)
            at = to_zoomed(y, effective), to_zoomed(x, effective)
            for cells in self._region(plane, zoom, effective, area, None)[0]:
                found[zoom, stages[cells.stride]] = cells.term(*at, averaged)
        return found

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
        for zoom, effective in zip(self.spec.zooms, self.zooms, strict=True):
            if not self._is_coarse(zoom, effective):
                area = self._area(plane, (span[0], span[1]), effective)
                self._begin_to_read(ZoomedPlane(plane, effective), area)

    def _is_coarse(self, zoom: int, effective: float) -> bool:
        """Tell whether maps of a zoom are made for several blocks; detail is never kept."""
        return effective >= COARSE and zoom != self.spec.zooms[0]

    def _expect_coarse(self, plane: Plane, span: Area) -> None:
        """Begin to average, while the finest zoom is computed, what the coarse ones will need."""
        for zoom, effective in zip(self.spec.zooms, self.zooms, strict=True):
            is_kept = (plane.index, zoom, span) in self._kept
            if self._is_coarse(zoom, effective) and not is_kept:
                area = self._area(plane, span, effective, keeps=True)
                self._begin_to_read(ZoomedPlane(plane, effective, self._averages), area)

    def _begin_to_read(self, level: ZoomedPlane, area: Area) -> None:
        # Most areas have one tile only.
        place = next(tile_places(self.painting.tile, *area))
        key = (level.plane.index, level.zoom, place)
        if key not in self._expected:
            self._expected[key] = self._reader.submit(level.read, *place)

    def __enter__(self) -> Self:
        """Paint."""
        return self

    def __exit__(self, *error: object) -> None:
        """Stop the thread that reads ahead."""
        self._reader.shutdown(cancel_futures=True)

    def _turn_to(self, plane: Plane) -> None:
        """Drop what was cached for another plane."""
        if self._plane is None or self._plane.index != plane.index:
            self._averages = BlockCache(KEPT_BYTES)
            self._kept.clear()
            self._plane = plane

    def _region(
        self,
        plane: Plane,
        zoom: int,
        effective: float,
        area: Area,
        lattices: Sequence[Positions] | None,
        *,
        shared: bool = False,
    ) -> tuple[list[StageCells], list[Any]]:
        """Compute the maps of one zoom over an area of its level; see `region_cells`.

        With `shared`, averages are made in large squares, and kept for the next areas.
        """
        level = ZoomedPlane(plane, effective, self._averages if shared else None)

        def read(*place: int) -> NDArray[Any]:
            expected = self._expected.pop((plane.index, effective, place), None)
            return level.read(*place) if expected is None else expected.result()

        return region_cells(self.painting, self.spec, read, zoom, area, lattices)

    def _area(
        self,
        plane: Plane,
        span: Area,
        effective: float,
        *,
        margin: int = 0,
        keeps: bool = False,
    ) -> Area:
        """Give the zoomed positions of which cells are needed for image positions.

        A margin ends with the image. Where all cells of the stem are kept, one more must be
        there behind the last position.
        """
        reach = 0.0
        if self.spec.pooling == "mean":
            reach, keeps = (self.spec.tile - 1) / 2, True
        sides = []
        for ends, size in zip(span, plane.shape, strict=True):
            first, last = (float(v) for v in to_zoomed(ends, effective))
            least, most = (float(v) for v in to_zoomed((0, size - 1), effective))
            wide = min(first, max(first - margin, least)), max(last, min(last + margin, most))
            sides.append((wide[0] - reach, wide[1] + reach + STAGE_STRIDES[0] * keeps))
        return sides[0], sides[1]

    def _coarse(self, plane: Plane, zoom: int, effective: float, span: Area) -> list[StageCells]:
        """Give the maps of a span, which were computed before or are kept now."""
        key = (plane.index, zoom, span)
        if (cells := self._kept.get(key)) is None:
            area = self._area(plane, span, effective, keeps=True)
            cells, _ = self._region(plane, zoom, effective, area, None, shared=True)
            self._kept[key] = cells
        return cells


def _extent(sides: Sequence[NDArray[np.float64]]) -> Span:
    """Give the least and the greatest of ascending positions."""
    return min(float(side[0]) for side in sides), max(float(side[-1]) for side in sides)
