"""What a plane of a map says at test points, along test lines, and at points of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation.points import Points
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.images.geometry import map_cell
from napari_lungcls.inference.map_data import MapData, blocks
from napari_lungcls.stereology.lines import BLOCK, count_segments, crossings, segments
from napari_lungcls.stereology.material import Material, TestLines
from napari_lungcls.stereology.phase_map import BlockMask, PhaseMap
from napari_lungcls.stereology.plane_counts import PlaneCounts

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PlaneReader:
    """Reads what a plane of a map says at test points and along test lines."""

    painted: MapData
    counts: PlaneCounts
    scheme: ClassScheme
    mask: BlockMask | None
    has_size: bool

    @property
    def image_plane(self) -> tuple[int, ...]:
        """Index of the plane in the image."""
        if not self.counts.plane:
            return ()
        first = int(self.painted.header.provenance.get("first_plane") or 0)
        return (self.counts.plane[0] + first, *self.counts.plane[1:])

    def points(self, tables: Sequence[Points], found: Material) -> tuple[Codes, Codes, Floats]:
        """Give the observer's classes, the map's classes and its probabilities at points."""
        k = len(self.scheme)
        truths, places = [np.zeros(0, np.int64)], [np.zeros((0, 2), np.int64)]
        for points in tables:
            points = points.select(self._is_here(points))
            if len(points):
                truths.append(points.codes(self.scheme))
                places.append(self._cells(points.coordinates[:, -2:]))
        truth, cells = np.concatenate(truths), np.concatenate(places)
        values, chances = self._read(cells)
        if (passed := int((values == 0).sum())) and len(values):
            found.remarks.append(
                f"{passed} test points of {self.counts.image} lie where nothing was painted or "
                "outside the mask, and do not count"
            )
        kept = values > 0
        classes = values[kept].astype(np.int64) - 1
        predicted = np.eye(k)[classes] if chances is None else chances[kept]
        return truth[kept], classes, predicted

    def lines(self, tables: Sequence[Points]) -> TestLines | None:
        """Give what the observer counted along lines, and what the map says there."""
        parts = []
        for points in tables:
            points = points.select(self._is_here(points))
            if not len(points):
                continue
            start, end = segments(points)
            said = count_segments(
                self.painted,
                self.scheme.phases,
                start,
                end,
                plane=self.counts.plane,
                mask=self.mask,
                cell_um=self.counts.cell_um,
            )
            stairs = np.divide(
                said.length_um, said.path_um, out=np.ones(len(points)), where=said.path_um > 0
            )
            pixel = np.array(self.counts.cell_um) / self.painted.header.stride
            length = np.hypot(*((end - start) * pixel).T)
            parts.append(
                (
                    length,
                    crossings(points),
                    points.codes(self.scheme),
                    said.intersections * stairs,
                )
            )
        if not parts:
            return None
        return TestLines(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def _is_here(self, points: Points) -> NDArray[np.bool_]:
        plane = np.array(self.image_plane, np.int64)
        leading = np.rint(points.coordinates[:, :-2]).astype(np.int64)
        if leading.shape[1] != len(plane):
            raise InputError(
                f"{points.source}: its points have {points.ndim} axes, and the map of "
                f"{self.counts.image} has {len(plane) + 2}"
            )
        here: NDArray[np.bool_] = (leading == plane).all(axis=1)
        return here

    def _cells(self, where: Floats) -> Codes:
        header = self.painted.header
        return np.asarray(map_cell(where - np.array(header.origin), header.stride))

    def _read(self, cells: Codes) -> tuple[NDArray[np.uint8], Floats | None]:
        """Read cells `(n, 2)`, block by block; 0 off the map and outside the mask."""
        header, source = self.painted.header, PhaseMap(self.painted, self.scheme.phases, self.mask)
        values = np.zeros(len(cells), np.uint8)
        chances = None if self.painted.probabilities is None else np.zeros(
            (len(cells), len(self.scheme))
        )  # fmt: skip
        inside = ((cells >= 0) & (cells < np.array(header.shape[-2:]))).all(axis=1)
        for block in np.unique(cells[inside] // BLOCK, axis=0):
            own = np.flatnonzero(inside & (cells // BLOCK == block).all(axis=1))
            low, high = cells[own].min(axis=0), cells[own].max(axis=0) + 1
            rows, columns = slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))
            y, x = (cells[own] - low).T
            values[own] = source.classes(self.counts.plane, rows, columns)[y, x]
            if chances is not None:
                place = (slice(None), *self.counts.plane, rows, columns)
                chances[own] = np.asarray(self.painted.probabilities[place], np.float64)[:, y, x].T
        return values, chances


def count_at_points(
    painted: MapData,
    counts: PlaneCounts,
    mask: BlockMask | None,
    spacing: float,
    rng: np.random.Generator,
) -> PlaneCounts:
    """Count the cells of a plane at the points of a square grid, each for the area around it.

    The distance is rounded to whole cells; the grid begins anywhere in its first square.
    """
    header = painted.header
    apart = max(1, round(spacing / header.stride))
    if apart > min(header.shape[-2:]):
        raise InputError(f"{spacing:g} pixels are more than the map is large", setting="spacing")
    source, k = PhaseMap(painted, counts.phases, mask), len(counts.phases)
    first = rng.integers(0, apart, 2)
    cells, chances = np.zeros(k, np.int64), np.zeros(k)
    for part in blocks(header.shape[-2:], max(BLOCK, apart)):
        rows, columns = part.rows, part.columns
        block = source.classes(counts.plane, rows, columns)
        y, x = (
            int((o - side.start) % apart) for o, side in zip(first, (rows, columns), strict=True)
        )
        own = block[y::apart, x::apart]
        cells += np.bincount(own.ravel(), minlength=k + 1)[1 : k + 1]
        if painted.probabilities is not None:
            place = (slice(None), *counts.plane, rows, columns)
            told = np.asarray(painted.probabilities[place], np.float64)[:, y::apart, x::apart]
            chances += told[:, own > 0].sum(axis=1)
    return replace(
        counts,
        cells=cells * apart**2,
        probabilities=None if counts.probabilities is None else chances * apart**2,
    )
