"""Labelled points with the tissue around them, ready for training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.images.geometry import is_in_square, middle, reflect, to_image, to_zoomed
from napari_lungcls.images.pairs import Pair
from napari_lungcls.images.pyramid import BlockCache, ZoomedPlane
from napari_lungcls.images.stack import ImageStack, stack_dtype
from napari_lungcls.learning.examples import Crops, Side
from napari_lungcls.learning.point_index import PointIndex
from napari_lungcls.learning.regions import Region
from napari_lungcls.learning.splits import Rows
from napari_lungcls.network.tiles import Tiles
from napari_lungcls.utils.memory import scratch

BLOCK = 256
"""Edge of the blocks of zoomed pixels that are kept, those near points."""

MARGIN = 8
"""Zoomed pixels that lie at least between a point and the edge of the tile drawn for it."""

ANSWERED = 256
"""Least edge of the tiles through which points are answered, in zoomed pixels."""

Rectangle = tuple[int, int, int, int]
"""First row and column of a part of a level, and those behind its last."""


@dataclass(frozen=True, eq=False)
class PointSet:
    """Points of one or several images with the tissue around them; see `Examples`.

    Attributes
    ----------
    layout
        Where they lie, and their classes.
    blocks
        `(blocks, BLOCK, BLOCK, 3)` zoomed pixels.
    index
        For each plane and zoom `(rows, columns)` the block that is there, −1 where no point
        is near.
    zooms
        Which of the zooms of `index` are seen.
    """

    layout: PointIndex
    blocks: NDArray[Any]
    index: dict[tuple[int, int], NDArray[np.intp]]
    zooms: tuple[int, ...]
    run_length: int = 1

    def __len__(self) -> int:
        """Count the points."""
        return len(self.layout)

    @property
    def codes(self) -> NDArray[np.int64]:
        """`(n,)` classes."""
        return self.layout.codes

    def at(self, zooms: Sequence[int]) -> PointSet:
        """See some of the zooms only, given as their numbers."""
        return replace(self, zooms=tuple(self.zooms[k] for k in zooms))

    def crops(
        self, rows: Rows, side: Side, tile: int, edge: int, rng: np.random.Generator
    ) -> Crops:
        """Cut a piece of tissue around each of some points; see `Examples`."""
        draw, inside = rng.random((len(rows), 2)), (edge - tile) / 2
        margin = min(MARGIN, tile // 8) + inside
        zoom, origins = self.zooms[0], np.empty((len(rows), 2), np.int64)
        regions = [self._region(row, side, edge, rng) for row in rows]
        for i, (row, region) in enumerate(zip(rows, regions, strict=True)):
            at = self._every_level[row, zoom]
            low, high = at - (edge - margin), at - margin
            if edge == tile:  # what is not turned stays inside, where there is room
                first, last = np.reshape(self._rectangle(region, zoom), (2, 2))
                room = last - first >= edge
                low = np.where(room, np.clip(low, first, last - edge), (first + last - edge) / 2)
                high = np.where(room, np.clip(high, first, last - edge), low)
            origins[i] = np.rint(low + draw[i] * (high - low))
        return self._cut(origins, regions, edge, side)

    def answering(self, side: Side, tile: int, batch: int) -> Iterator[tuple[Rows, Tiles]]:
        """Give tiles through which all points of a side are answered, from its own pixels.

        Tiles overlap by a quarter, so that a point has an eighth of a tile around it at least,
        unless its region ends.
        """
        edge = max(tile, ANSWERED)
        groups: dict[tuple[Region, int, int], list[int]] = {}
        zoom, step = self.zooms[0], 3 * edge // 4
        for row in side.rows:
            region = self._region(row, side, edge, None)
            at = self._every_level[row, zoom]
            first, last = np.reshape(self._rectangle(region, zoom), (2, 2))
            origin = first + np.rint((at - first - middle(edge)) / step).astype(int) * step
            room = last - first >= edge
            origin = np.where(
                room, np.clip(origin, first, last - edge), np.floor((first + last - edge) / 2)
            ).astype(int)
            groups.setdefault((region, int(origin[0]), int(origin[1])), []).append(int(row))
        places = list(groups)
        for start in range(0, len(places), batch):
            part = places[start : start + batch]
            origins = np.array([place[1:] for place in part], np.int64)
            owners = np.repeat(np.arange(len(part)), [len(groups[place]) for place in part])
            chosen = np.concatenate([groups[place] for place in part]).astype(np.intp)
            pixels, corners = self._pixels(origins, [place[0] for place in part], edge)
            yield chosen, Tiles(pixels, owners, self._levels(chosen) - corners[owners])

    def sample(self, side: Side, count: int) -> NDArray[np.float32]:
        """Give about `count` pixels near points of a side."""
        edge = 64
        chosen = side.rows[np.linspace(0, len(side) - 1, min(256, len(side))).astype(int)]
        zoom, parts = self.zooms[0], []
        step = max(1, round((len(chosen) * edge**2 / max(1, count)) ** 0.5))
        for row in chosen:
            region = self._region(row, side, edge, None)
            at = self._every_level[row, zoom]
            top, left = np.rint(at - middle(edge)).astype(int)
            piece = self._read(region, zoom, int(top), int(left), edge)
            parts.append(piece[::step, ::step].reshape(-1, 3))
        return np.concatenate(parts).astype(np.float32)

    def _cut(
        self, origins: NDArray[np.int64], regions: list[Region], edge: int, side: Side
    ) -> Crops:
        """Read crops, and find all points of the side that lie in them."""
        pixels, corners = self._pixels(origins, regions, edge)
        rows, owners = [], []
        planes, coordinates = self.layout.planes[side.rows], self._levels(side.rows)[:, 0]
        for i, region in enumerate(regions):
            at = coordinates - corners[i, 0]
            here = (planes == region.plane) & is_in_square(at, edge)
            found = side.rows[here]
            # Where tissue is reflected, a point of another region may seem to lie inside.
            found = found[region.contains(self.layout.coordinates[found])]
            rows.append(found)
            owners.append(np.full(len(found), i, np.intp))
        chosen, owner = np.concatenate(rows), np.concatenate(owners)
        return Crops(pixels, chosen, owner, self._levels(chosen) - corners[owner])

    def _pixels(
        self, origins: NDArray[np.int64], regions: list[Region], edge: int
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Read squares of every zoom around the same middles.

        Returns
        -------
        pixels : ndarray, (n, zooms, edge, edge, 3)
        corners : ndarray, (n, zooms, 2)
            The first zoomed pixel of each.
        """
        n, zooms = len(origins), len(self.zooms)
        pixels = np.empty((n, zooms, edge, edge, 3), self.blocks.dtype)
        corners = np.empty((n, zooms, 2))
        for i, region in enumerate(regions):
            finest = self._plane_zoom(region.plane, self.zooms[0])
            centre = to_image(origins[i] + middle(edge), finest)
            for k, zoom in enumerate(self.zooms):
                at = origins[i]
                if k:
                    effective = self._plane_zoom(region.plane, zoom)
                    at = np.rint(to_zoomed(centre, effective) - middle(edge)).astype(int)
                    first, last = np.reshape(self._rectangle(region, zoom), (2, 2))
                    room = last - first >= edge
                    at = np.where(room, np.clip(at, first, np.maximum(first, last - edge)), at)
                pixels[i, k] = self._read(region, zoom, int(at[0]), int(at[1]), edge)
                corners[i, k] = at
        return pixels, corners

    def _read(self, region: Region, zoom: int, top: int, left: int, edge: int) -> NDArray[Any]:
        """Read a square; past the edges of its region the region is reflected."""
        top0, left0, bottom, right = self._rectangle(region, zoom)
        rows = top0 + reflect(np.arange(top, top + edge) - top0, bottom - top0)
        columns = left0 + reflect(np.arange(left, left + edge) - left0, right - left0)
        r0, r1 = int(rows.min()), int(rows.max()) + 1
        c0, c1 = int(columns.min()), int(columns.max()) + 1
        out = np.empty((r1 - r0, c1 - c0, 3), self.blocks.dtype)
        index = self.index[region.plane, zoom]
        for i in range(r0 // BLOCK, (r1 - 1) // BLOCK + 1):
            for j in range(c0 // BLOCK, (c1 - 1) // BLOCK + 1):
                y0, y1 = max(r0, i * BLOCK), min(r1, (i + 1) * BLOCK)
                x0, x1 = max(c0, j * BLOCK), min(c1, (j + 1) * BLOCK)
                assert index[i, j] >= 0
                block = self.blocks[index[i, j]]
                out[y0 - r0 : y1 - r0, x0 - c0 : x1 - c0] = block[
                    y0 - i * BLOCK : y1 - i * BLOCK, x0 - j * BLOCK : x1 - j * BLOCK
                ]
        if out.shape[:2] == (edge, edge):
            return out
        return out[(rows - r0)[:, np.newaxis], columns - c0]

    def _region(self, row: int, side: Side, edge: int, rng: np.random.Generator | None) -> Region:
        """Choose a region of a side around a point: one with room for a crop, where there is."""
        plane, at = int(self.layout.planes[row]), self.layout.coordinates[row]
        if not side.regions:
            return Region.whole(plane, self.layout.plane_shapes[plane])
        found = [r for r in side.regions if r.plane == plane and bool(r.contains(at[None])[0])]
        if not found:
            raise InputError(f"point {row + 1} lies in no region of its side; make the split anew")
        sizes = [min(edge * self._plane_zoom(plane, self.zooms[0]), *r.shape) for r in found]
        largest = [r for r, size in zip(found, sizes, strict=True) if size == max(sizes)]
        return largest[0 if rng is None else int(rng.integers(len(largest)))]

    def _rectangle(self, region: Region, zoom: int) -> Rectangle:
        """Give the zoomed pixels that read no pixel outside of a region."""
        shape = self.layout.plane_shapes[region.plane]
        found = region.level(self._plane_zoom(region.plane, zoom), shape)
        return found.top, found.left, found.bottom, found.right

    def _levels(self, rows: Rows) -> NDArray[np.float64]:
        """Give zoomed positions `(m, zooms, 2)`."""
        return self._every_level[rows][:, list(self.zooms)]

    @cached_property
    def _every_level(self) -> NDArray[np.float64]:
        """Zoomed positions of all points at all zooms, `(n, zooms, 2)`."""
        pairs = [pair for pair, _ in self.layout.plane_places]
        effective = np.array([self.layout.effective[pair] for pair in pairs])[self.layout.planes]
        return to_zoomed(self.layout.coordinates[:, np.newaxis], effective[..., np.newaxis])

    def _plane_zoom(self, plane: int, zoom: int) -> float:
        """Image pixels per zoomed pixel of a plane; `zoom` numbers the zooms of the layout."""
        return self.layout.effective[self.layout.plane_places[plane][0]][zoom]


def read_point_set(
    pairs: Sequence[Pair], layout: PointIndex, reach: int
) -> Iterator[tuple[int, int] | PointSet]:
    """Read the tissue around all points, into a scratch file.

    Parameters
    ----------
    pairs
        Images with their points.
    layout
        Where these lie.
    reach
        How far from its point a crop can end, in zoomed pixels.

    Yields
    ------
    tuple of int, then PointSet
        Blocks read and blocks in all, after every block; the set itself last.

    Raises
    ------
    InputError
        When intensities are not finite, or there is no room.
    """
    reach = max(reach, ANSWERED)
    wanted: list[tuple[int, int, int, int]] = []
    index: dict[tuple[int, int], NDArray[np.intp]] = {}
    for plane, (pair, where) in enumerate(layout.plane_places):
        points = layout.coordinates[layout.planes == plane]
        for k, zoom in enumerate(layout.effective[pair]):
            level = ZoomedPlane(pairs[pair][0].plane(where), zoom)
            near = _near(to_zoomed(points, zoom), level.shape, reach)
            numbers = np.full(near.shape, -1, np.intp)
            numbers[near] = np.arange(len(wanted), len(wanted) + int(near.sum()))
            index[plane, k] = numbers
            wanted += [(plane, k, int(i), int(j)) for i, j in np.argwhere(near)]
    dtype = stack_dtype(pairs[0][0].dtype)
    room = "free space there, or use fewer points"
    blocks = scratch((len(wanted), BLOCK, BLOCK, 3), dtype, room)
    cache, last = BlockCache(), (-1, -1)
    for number, (plane, k, i, j) in enumerate(wanted):
        pair, where = layout.plane_places[plane]
        stack = pairs[pair][0]
        if (plane, k) != last:
            level = ZoomedPlane(stack.plane(where), layout.effective[pair][k], cache)
            last = (plane, k)
        blocks[number] = level.read(i * BLOCK, j * BLOCK, BLOCK, BLOCK)
        _check_finite(blocks[number], stack)
        yield number + 1, len(wanted)
    yield PointSet(layout, blocks, index, tuple(range(len(layout.effective[0]))))


def _near(points: NDArray[np.float64], shape: tuple[int, int], reach: int) -> NDArray[np.bool_]:
    """Tell which blocks of a level lie within reach of a point."""
    counts = [-(-size // BLOCK) for size in shape]
    near = np.zeros(counts, np.bool_)
    first = np.floor((points - reach) / BLOCK).astype(int)
    last = np.floor((points + reach) / BLOCK).astype(int)
    for (i0, j0), (i1, j1) in zip(first.clip(min=0), last, strict=True):
        near[i0 : i1 + 1, j0 : j1 + 1] = True
    return near


def _check_finite(pixels: NDArray[Any], stack: ImageStack) -> None:
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise InputError(
            f"{stack.source} holds NaN or infinite values near the points; fill them first, "
            "for example with the background's intensity"
        )
