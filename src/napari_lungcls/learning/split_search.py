"""The search for the best split: many ways to cut planes into regions are tried and scored."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from napari_lungcls.images.geometry import pixels_of
from napari_lungcls.learning.point_index import PointIndex
from napari_lungcls.learning.regions import Region, free_regions, region_of
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.split_groups import By, Cutter, choose_units

Mask = NDArray[np.bool_]

LEAST_SIDE = 32
"""Zoomed pixels at the coarsest zoom that the side of a region has at least, if it is cut."""

GOOD_SIDE = 64
"""Zoomed pixels that it should have."""

TRIES = 40
"""How often planes, images or groups are drawn by lot."""

CUTS = 10
"""How often planes are cut anew into folds, or all into blocks at once."""

MOST_LOST = 0.5
"""Share of the points that no split loses: those that lie in no region of it."""

MOST_PLANES = 6
"""Planes, with the most points, of which one alone is cut into blocks."""


@dataclass(frozen=True)
class CutSide:
    """A part of the points that is held out, and what is left to train on.

    Attributes
    ----------
    train, held
        Masks of the points.
    train_regions, held_regions
        Regions that they lie in; largest first.
    """

    train: Mask
    held: Mask
    train_regions: list[Region]
    held_regions: list[Region]


class SplitSearch:
    """Looks for splits of one kind of settings.

    Parameters
    ----------
    layout, settings
        The points, and how they are to be split.
    classes
        Number of classes.
    coarsest
        `(n_planes,)` image pixels per zoomed pixel at the coarsest zoom.
    rng
        Draws proposals.
    """

    def __init__(
        self,
        layout: PointIndex,
        settings: TrainingSettings,
        classes: int,
        coarsest: NDArray[np.float64],
        rng: np.random.Generator,
    ) -> None:
        self._layout, self._settings, self._classes, self._rng = layout, settings, classes, rng
        self._pixels = pixels_of(layout.coordinates)
        shapes = layout.plane_shapes.tolist()
        self._whole = [Region.whole(i, shape) for i, shape in enumerate(shapes)]
        # A side that is not cut may be shorter: a narrow image is read as it is.
        self._least = [
            (min(side, region.shape[0]), min(side, region.shape[1]))
            for region, side in zip(
                self._whole, (math.ceil(LEAST_SIDE * zoom) for zoom in coarsest), strict=True
            )
        ]
        self._good = GOOD_SIDE * coarsest
        self._extents = {
            plane: (pixels.min(axis=0), pixels.max(axis=0))
            for plane in np.unique(layout.planes).tolist()
            for pixels in [self._pixels[layout.planes == plane]]
        }
        self._steps = layout.cut_steps or (1,) * len(shapes)
        self._gaps = layout.cut_gaps or (0,) * len(shapes)

    def find(self) -> tuple[By, CutSide, list[CutSide]] | None:
        """Return what was kept together, the test part, and a side for each fold.

        None when each way lacks a class on one side.
        """
        everyone = np.ones(len(self._layout), bool)
        for by in choose_units(self._layout, self._settings.split_by):
            test = self._nothing_held(everyone, [])
            if self._settings.test_fraction:
                found = self._hold_out(everyone, [], by, self._settings.test_fraction, first=True)
                if found is None:
                    continue
                test = found
            sides = self._sides(test, by)
            if sides is not None:
                return by, test, sides
        return None

    def _sides(self, test: CutSide, by: By) -> list[CutSide] | None:
        if self._settings.folds > 1:
            return self._folds(test.train, test.held_regions, by)
        if not self._settings.val_fraction:
            return [self._nothing_held(test.train, test.held_regions)]
        held = self._hold_out(test.train, test.held_regions, by, self._settings.val_fraction)
        return None if held is None else [held]

    def _nothing_held(self, among: Mask, taken: list[Region]) -> CutSide:
        return self._side(among, taken, [], None)

    def _hold_out(
        self, among: Mask, taken: list[Region], by: By, share: float, *, first: bool = False
    ) -> CutSide | None:
        """Choose a part to hold out; None when each way lacks a class on one side.

        What is cut off first shall leave one region, because that is cut again.
        """
        best: tuple[float, CutSide] | None = None
        for held, units in self._candidates(among, taken, by, share):
            side = self._side(among, taken, held, units)
            if not (self._complete(side.held) and self._usable(side, among)):
                continue
            off_target = abs(side.held.sum() / among.sum() - share)
            score = 2 * off_target + self._score([side], among)
            score += 0.3 * self._raggedness(side) if first else 0
            if best is None or score < best[0]:
                best = (score, side)
        return None if best is None else best[1]

    def _folds(self, among: Mask, taken: list[Region], by: By) -> list[CutSide] | None:
        """Choose folds; every point validates once, if it is not lost to the test part."""
        best: tuple[float, list[CutSide]] | None = None
        for folds in self._fold_candidates(among, taken, by):
            sides = [self._side(among, taken, held, units) for held, units in folds]
            if not all(side.held.any() and self._usable(side, among) for side in sides):
                continue
            score = self._score(sides, among)
            if best is None or score < best[0]:
                best = (score, sides)
        return None if best is None else best[1]

    def _candidates(
        self, among: Mask, taken: list[Region], by: By, share: float
    ) -> Iterator[tuple[list[Region], Mask | None]]:
        """Propose regions to hold out, and which points alone may be held, where that matters.

        Units are taken in random order until they hold the wanted share of the points.
        """
        numbers = self._numbers(by)
        counts = np.bincount(numbers[among])
        present = np.flatnonzero(counts)
        for _ in range(TRIES if len(present) > 1 else 0):
            order = self._rng.permutation(present)
            enough = int(np.searchsorted(np.cumsum(counts[order]), share * among.sum())) + 1
            chosen = np.isin(numbers, order[:enough])
            yield self._regions_of(numbers, chosen, among, taken), chosen
        if by == "blocks":
            yield from ((held, None) for held in self._blocks(among, taken, share))

    def _blocks(self, among: Mask, taken: list[Region], share: float) -> Iterator[list[Region]]:
        """Propose a block of one plane, and blocks of all planes at once."""
        planes = self._layout.planes
        counts = np.bincount(planes[among], minlength=len(self._whole))
        target = round(share * among.sum())
        most = [int(p) for p in np.argsort(-counts, kind="stable") if counts[p] > target]
        for plane in most[:MOST_PLANES]:
            for region in self._free(plane, taken):
                pixels = self._pixels[among & self._inside([region])]
                if len(pixels) > max(1, target):
                    yield from ([block] for block in self._cutter(plane).blocks(
                        region, pixels, target))  # fmt: skip
        several = np.flatnonzero(counts > 1).tolist()
        if len(several) < 2:
            return
        pools = []
        for plane in several:
            free = self._free(plane, taken)[:1]
            pixels = self._pixels[among & self._inside(free)]
            if len(pixels) > 1:
                count = round(share * len(pixels))
                pools.append(list(self._cutter(plane).blocks(free[0], pixels, count)))
        for _ in range(TRIES):
            drawn = [pool[self._rng.integers(len(pool))] for pool in pools if pool]
            if drawn:
                yield drawn

    def _fold_candidates(
        self, among: Mask, taken: list[Region], by: By
    ) -> Iterator[list[tuple[list[Region], Mask | None]]]:
        """Propose folds: whole units, or parts of each plane."""
        count, numbers = self._settings.folds, self._numbers(by)
        rows = np.flatnonzero(among)
        codes, units = self._layout.codes[rows], numbers[rows]
        if len(np.unique(units)) >= count and np.bincount(codes).max() >= count:
            for _ in range(CUTS):
                seed = int(self._rng.integers(2**31))
                folds = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
                chosen = [
                    np.isin(numbers, units[held]) for _, held in folds.split(rows, codes, units)
                ]
                yield [(self._regions_of(numbers, m, among, taken), m) for m in chosen]
        if by == "blocks":
            for _ in range(CUTS):
                yield [(held, None) for held in self._fold_blocks(among, taken, count)]

    def _fold_blocks(self, among: Mask, taken: list[Region], count: int) -> list[list[Region]]:
        """Cut each plane into as many parts as there are folds, and deal them out."""
        planes, folds = self._layout.planes, [list[Region]() for _ in range(count)]
        dealt = np.zeros(count, np.int64)
        for plane in np.unique(planes[among]).tolist():
            here = among & (planes == plane)
            pixels = self._pixels[here]
            largest = self._free(plane, taken)[0]
            bounds = largest if largest.contains(pixels).all() else self._whole[plane]
            parts = self._cutter(plane).parts(bounds, pixels, count)
            if parts is None:
                # Too few points or too small a plane for all folds: one of them gets it.
                to, parts = [int(dealt.argmin())], [self._whole[plane]]
            else:
                to = self._rng.permutation(count).tolist()
            for fold, part in zip(to, parts, strict=True):
                # What the test part has taken is left out.
                free = free_regions(part, self._blocked(taken), self._least[plane])
                folds[fold] += free
                dealt[fold] += int((here & self._inside(free)).sum())
        return folds

    def _numbers(self, by: By) -> NDArray[np.int64]:
        """Return the numbers of what is kept together; of blocks, whole planes are tried too."""
        if by == "blocks":
            return self._layout.planes
        numbers = self._layout.groups if by == "group" else self._layout.images
        assert numbers is not None
        return numbers

    def _regions_of(
        self, numbers: NDArray[np.int64], chosen: Mask, among: Mask, taken: list[Region]
    ) -> list[Region]:
        """Return regions of the chosen units: whole planes, or boxes where planes are shared."""
        planes, found = self._layout.planes, list[Region]()
        for plane in np.unique(planes[chosen & among]).tolist():
            here = among & (planes == plane)
            free = self._free(plane, taken)
            if chosen[here].all():
                found += free
                continue
            for unit in np.unique(numbers[here & chosen]).tolist():
                own = self._pixels[here & (numbers == unit)]
                box = self._cutter(plane).box(
                    self._whole[plane], own, self._pixels[here & (numbers != unit)]
                )
                found += free_regions(box, self._blocked(taken), self._least[plane])
        return found

    def _side(
        self, among: Mask, taken: list[Region], held: list[Region], units: Mask | None
    ) -> CutSide:
        """Hold regions out, and train in what they leave."""
        inside = among & self._inside(held)
        rest = among & ~inside
        if units is not None:
            inside, rest = inside & units, rest & ~units
        train = [
            region
            for plane in np.unique(self._layout.planes[rest]).tolist()
            for region in self._free(plane, [*taken, *held])
        ]
        return CutSide(rest & self._inside(train), inside, _used(train), _used(held))

    def _free(self, plane: int, blocked: Sequence[Region]) -> list[Region]:
        """Return the regions that are left of a plane."""
        return free_regions(self._whole[plane], self._blocked(blocked), self._least[plane])

    def _blocked(self, regions: Sequence[Region]) -> list[Region]:
        return [r.grown(2 * self._gaps[r.plane]) if self._gaps[r.plane] else r for r in regions]

    def _inside(self, regions: Sequence[Region]) -> Mask:
        found: Mask = region_of(regions, self._layout.planes, self._layout.coordinates) >= 0
        return found

    def _cutter(self, plane: int) -> Cutter:
        return Cutter(self._least[plane], self._steps[plane], self._rng)

    def _usable(self, side: CutSide, among: Mask) -> bool:
        """Tell whether every class can be trained, on enough of the points."""
        kept = side.train.sum() + side.held.sum()
        return bool(kept > (1 - MOST_LOST) * among.sum()) and self._complete(side.train)

    def _complete(self, part: Mask) -> bool:
        return len(np.unique(self._layout.codes[part])) == self._classes

    def _score(self, sides: list[CutSide], among: Mask) -> float:
        """Judge sides; less is better."""
        scores = [
            1 - (side.train.sum() + side.held.sum()) / among.sum()
            + self._imbalance(side.held, among) / 4
            + self._narrowness(side)
            for side in sides
        ]  # fmt: skip
        return float(np.mean(scores))

    def _imbalance(self, part: Mask, whole: Mask) -> float:
        """Sum the differences of the classes' shares; 0 when they are the same."""
        shares = [
            np.bincount(self._layout.codes[mask], minlength=self._classes) / mask.sum()
            for mask in (part, whole)
        ]
        return float(np.abs(shares[0] - shares[1]).sum())

    def _narrowness(self, side: CutSide) -> float:
        """Judge how far regions are from wide ones: tissue near their ends is seen in part."""
        thin, long = [], []
        for region in side.held_regions:
            short, whole = min(region.shape), self._whole[region.plane].shape
            thin.append(max(0.0, 1 - short / min(self._good[region.plane], *whole)))
            # Glass around the tissue makes no region compact.
            sides = [
                min(stop, last + 1) - max(start, first)
                for start, stop, first, last in zip(
                    (region.top, region.left),
                    (region.bottom, region.right),
                    *self._extents[region.plane],
                    strict=True,
                )
            ]
            is_whole = region.shape == whole
            long.append(0.0 if is_whole else min(max(sides) / max(1, min(sides)) - 1, 3.0))
        return float(0.2 * np.mean(thin) + 0.03 * np.mean(long) + 0.1 * self._raggedness(side))

    def _raggedness(self, side: CutSide) -> float:
        """Tell which share of the training points of its plane a point has not in its region."""
        planes, coordinates = self._layout.planes[side.train], self._layout.coordinates[side.train]
        counts = np.array([r.contains(coordinates[planes == r.plane]).sum()
                           for r in side.train_regions])  # fmt: skip
        index = region_of(side.train_regions, planes, coordinates)
        shares = counts[index] / np.bincount(planes)[planes]
        return float(1 - shares.mean())


def _used(regions: list[Region]) -> list[Region]:
    """Order regions by size, each once."""
    return sorted(dict.fromkeys(regions), key=lambda r: -r.area)
