"""Features of a frozen backbone at points and over regions, kept for the next fit of its heads."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.images.geometry import (
    STAGE_STRIDES,
    align_down,
    align_up,
    cell_count,
    map_positions,
    to_zoomed,
)
from napari_lungcls.images.pixel_size import check_zooms, effective_zooms
from napari_lungcls.images.pyramid import BlockCache, ZoomedPlane
from napari_lungcls.images.stack import ImageStack, check_inside, plane_indices
from napari_lungcls.learning.frozen_backbone import FrozenBackbone, Region
from napari_lungcls.network.engines.interpolation import Taps
from napari_lungcls.network.engines.protocol import FINE, HALO
from napari_lungcls.network.parameters import stage_channels
from napari_lungcls.network.state import Heads
from napari_lungcls.utils.memory import byte_cache

REGION_BYTES = 384 * 2**20
"""Bytes of feature maps of regions that are kept; a view of 1024² takes about 75 MB."""

POINT_BYTES = 64 * 2**20
"""Bytes of features of points that are kept, some ten thousand points."""

IMAGE_BYTES = 64 * 2**20
"""Bytes of averaged image that are kept for the next points and regions."""

SQUARE = 256
"""Edge in zoomed pixels of the squares whose points are read together."""

GRID = 32
"""Zoomed pixels to which regions are widened, so that cells fall on those of painted maps."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """What the heads read of one zoom and stage over a region.

    Attributes
    ----------
    zoom, stage
        Of the network.
    cells
        `(rows, columns, channels)`.
    rows, columns
        Where between the cells the region's positions lie; None where the cells are read
        there already, as for stem and detail, of which there are too many to keep.
    """

    zoom: int
    stage: int
    cells: Floats
    rows: Taps | None = None
    columns: Taps | None = None

    def project(self, weight: Floats) -> Floats:
        """Give `(y, x, k)`: what a head `(k, channels)` makes of it at the positions."""
        found: Floats = self.cells @ weight.T
        if self.rows is None or self.columns is None:
            return found
        return _between(found, self.rows, self.columns)


@dataclass(frozen=True, eq=False)
class RegionFeatures:
    """The features of a region of one plane, at the cells of a map.

    Attributes
    ----------
    plane
        Index of the plane.
    rows, columns, stride
        Image pixels that are covered, and how many lie between cells.
    maps
        One per zoom and stage.
    """

    plane: tuple[int, ...]
    rows: slice
    columns: slice
    stride: int
    maps: tuple[FeatureMap, ...]

    @property
    def nbytes(self) -> int:
        """Bytes that are kept."""
        return sum(each.cells.nbytes for each in self.maps)

    @property
    def shape(self) -> tuple[int, int]:
        """Cells along y and x."""
        height, width = (side.stop - side.start for side in (self.rows, self.columns))
        return cell_count(height, self.stride), cell_count(width, self.stride)

    def logits(self, heads: Heads) -> Floats:
        """Give the logits `(classes, y, x)` of linear heads."""
        total = np.tile(heads.bias, (*self.shape, 1))
        for each in self.maps:
            total += each.project(heads.weights[each.zoom, each.stage])
        return np.moveaxis(total, -1, 0)


class LiveFeatures:
    """Features of one image by one backbone, read where they are not known yet.

    Parameters
    ----------
    backbone
        The backbone.
    stack
        The image; make another object for another image, or when its pixels have changed.
    limit
        Bytes of feature maps that are kept.

    Raises
    ------
    InputError
        When the image does not suit the backbone.
    """

    def __init__(
        self, backbone: FrozenBackbone, stack: ImageStack, *, limit: int = REGION_BYTES
    ) -> None:
        self.backbone, self.stack = backbone, stack
        spec = backbone.spec
        spec.normalisation.check(str(stack.dtype), stack.source)
        self.zooms = effective_zooms(spec.zooms, backbone.pixel_size, stack)
        check_zooms(spec.zooms, self.zooms, stack)
        self._pixels = BlockCache(IMAGE_BYTES)
        self._regions: LRUCache[object, RegionFeatures] = byte_cache(limit, lambda r: r.nbytes)
        self._points: LRUCache[object, Floats] = byte_cache(POINT_BYTES, lambda v: v.nbytes)
        self._lock = Lock()
        self.passes = 0
        """How often the network has looked at something, for those who count."""

    @property
    def nbytes(self) -> int:
        """Bytes of feature maps that are kept now."""
        with self._lock:
            return int(self._regions.currsize)

    def points(
        self, coordinates: NDArray[np.float64], cancelled: Callable[[], bool] = lambda: False
    ) -> Generator[tuple[int, int], None, Floats | None]:
        """Read points.

        Parameters
        ----------
        coordinates
            `(n, ndim)` positions `(…, y, x)` in pixels.
        cancelled
            Asked before every square.

        Yields
        ------
        tuple of int
            Squares read, and squares in all.

        Returns
        -------
        ndarray, (n, features), or None
            In the order of `spec.reads`; None when cancelled.

        Raises
        ------
        InputError
            When points lie outside, or see intensities that are no numbers.
        """
        check_inside(self.stack, coordinates, "the points")
        planes = plane_indices(self.stack, coordinates)
        keys = [
            (*map(int, p), *map(float, at))
            for p, at in zip(planes, coordinates[:, -2:], strict=True)
        ]
        known = {key: self._points[key] for key in keys if key in self._points}
        new = [i for i, key in enumerate(keys) if key not in known]
        if new:
            where = coordinates[new, -2:]
            found = np.empty((len(new), self.backbone.features), np.float32)
            jobs = list(self._squares(planes[new], where))
            for number, (column, zoom, plane, square, rows) in enumerate(jobs):
                if cancelled():
                    return None
                yield number, len(jobs)
                self._read_square(found, column, zoom, plane, square, rows, where)
            if not np.isfinite(found).all():
                bad = new[int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])]
                raise InputError(
                    f"point {bad + 1} sees NaN or infinite values of {self.stack.source}; fill "
                    "them, or remove the point"
                )
            for i, vector in zip(new, found, strict=True):
                known[keys[i]] = self._points[keys[i]] = vector
        return (
            np.stack([known[key] for key in keys])
            if keys
            else np.empty((0, self.backbone.features), np.float32)
        )

    def region(
        self,
        plane: tuple[int, ...],
        region: Region,
        stride: int,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Generator[tuple[int, int], None, RegionFeatures | None]:
        """Read the cells of a map over a region of a plane.

        Yields
        ------
        tuple of int
            Zooms read, and zooms in all.

        Returns
        -------
        RegionFeatures or None
            None when cancelled.
        """
        rows, columns = region
        key = (plane, rows.start, rows.stop, columns.start, columns.stop, stride)
        with self._lock:
            if (kept := self._regions.get(key)) is not None:
                return kept
        found = RegionFeatures(plane, rows, columns, stride, ())
        y, x = (
            side.start + map_positions(0, n, stride)
            for side, n in zip(region, found.shape, strict=True)
        )
        maps: list[FeatureMap] = []
        for number, (zoom, effective) in enumerate(
            zip(self.backbone.spec.zooms, self.zooms, strict=True)
        ):
            if cancelled():
                return None
            yield number, len(self.zooms)
            maps += self._maps(
                plane, zoom, effective, to_zoomed(y, effective), to_zoomed(x, effective)
            )
        found = replace(found, maps=tuple(maps))
        with self._lock:
            self._regions[key] = found
        return found

    def _maps(
        self, plane: tuple[int, ...], zoom: int, effective: float, y: Any, x: Any
    ) -> Iterator[FeatureMap]:
        """Read one zoom at the grid of zoomed positions `y` × `x`."""
        (top, height), (left, width) = (
            (first := align_down(int(np.floor(side[0])), GRID),
             align_up(int(np.floor(side[-1])) + 1, GRID) - first)
            for side in (y, x)
        )  # fmt: skip
        cells = self._look(plane, zoom, effective, (top, left), (height, width))
        for stage, values in cells.items():
            s, halo = STAGE_STRIDES[stage], HALO // STAGE_STRIDES[stage]
            # Their own cells and one more behind them, which the halo also surrounds.
            own = values[halo : 1 - halo, halo : 1 - halo]
            down, across = (
                Taps.of((side - first) / s, count)
                for side, first, count in ((y, top, own.shape[0]), (x, left, own.shape[1]))
            )
            if stage in FINE:
                yield FeatureMap(zoom, stage, _between(own, down, across))
            else:
                yield FeatureMap(zoom, stage, np.ascontiguousarray(own), down, across)

    def _squares(
        self, planes: NDArray[np.int64], where: NDArray[np.float64]
    ) -> Iterator[tuple[int, int, tuple[int, ...], tuple[int, int], NDArray[np.intp]]]:
        """Sort points by the squares they lie in: number of the zoom, zoom, plane, square, rows."""
        for number, effective in enumerate(self.zooms):
            squares = np.floor(to_zoomed(where, effective) / SQUARE).astype(np.int64)
            places, owner = np.unique(
                np.column_stack([planes, squares]), axis=0, return_inverse=True
            )
            for i, place in enumerate(places):
                plane = tuple(int(k) for k in place[:-2])
                square = (int(place[-2]), int(place[-1]))
                rows = np.flatnonzero(owner.ravel() == i)
                yield number, self.backbone.spec.zooms[number], plane, square, rows

    def _read_square(
        self,
        found: Floats,
        number: int,
        zoom: int,
        plane: tuple[int, ...],
        square: tuple[int, int],
        rows: NDArray[np.intp],
        where: NDArray[np.float64],
    ) -> None:
        """Put the features of some points at one zoom into their rows."""
        effective = self.zooms[number]
        first = np.array(square) * SQUARE
        cells = self._look(plane, zoom, effective, (int(first[0]), int(first[1])), (SQUARE, SQUARE))
        at = to_zoomed(where[rows], effective) - first + HALO
        column = 0
        for each, stage in self.backbone.spec.reads:
            channels = stage_channels(stage)
            if each == zoom:
                found[rows, column : column + channels] = _picked(
                    cells[stage], at / STAGE_STRIDES[stage]
                )
            column += channels

    def _look(
        self,
        plane: tuple[int, ...],
        zoom: int,
        effective: float,
        first: tuple[int, int],
        size: tuple[int, int],
    ) -> dict[int, Floats]:
        """Run the network over a rectangle of zoomed pixels and a halo around it."""
        level = ZoomedPlane(self.stack.plane(plane), effective, self._pixels)
        top, left = (start - HALO for start in first)
        height, width = (edge + 2 * HALO for edge in size)
        self.passes += 1
        return self.backbone.engine.feature_maps(level.read(top, left, height, width), zoom)


def _between(cells: Floats, rows: Taps, columns: Taps) -> Floats:
    """Read `(rows, columns, channels)` between cells."""
    share = rows.share[:, np.newaxis, np.newaxis]
    upper = cells[rows.first]
    found = upper + (cells[rows.second] - upper) * share if share.any() else upper
    share = columns.share[:, np.newaxis]
    left = found[:, columns.first]
    between: Floats = left + (found[:, columns.second] - left) * share if share.any() else left
    return between


def _picked(cells: Floats, at: NDArray[np.float64]) -> Floats:
    """Read `(n, channels)` at places `(n, 2)` in units of cells."""
    rows, columns = (Taps.of(at[:, axis], cells.shape[axis]) for axis in (0, 1))
    down, across = rows.share[:, np.newaxis], columns.share[:, np.newaxis]
    upper, lower = (
        cells[side, columns.first] * (1 - across) + cells[side, columns.second] * across
        for side in (rows.first, rows.second)
    )
    return np.asarray(upper * (1 - down) + lower * down, np.float32)
