"""What a split keeps together: groups, images, or blocks of tissue; and how blocks are cut."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.images.geometry import align_down, align_up
from napari_lungcls.learning.point_index import PointIndex
from napari_lungcls.learning.regions import Region

By = Literal["group", "image", "blocks"]
Pixels = NDArray[np.int64]
"""`(n, 2)` pixels `(y, x)` that points lie on."""

INNER_BLOCKS = 40
"""How many blocks around points are proposed, beside those at the ends of a region."""

CORNERS = (0.3, 0.5, 0.7)
"""Shapes of proposed corners: the share of the points is raised to this power along y."""


def choose_units(
    layout: PointIndex, wanted: Literal["auto", "group", "image", "blocks"]
) -> list[By]:
    """Say by what to split, in the order in which it is tried.

    Raises
    ------
    InputError
        When the points do not have what is asked for.
    """
    grouped = layout.groups is not None and len(np.unique(layout.groups)) > 1
    several = len(np.unique(layout.images)) > 1
    if wanted == "group" and not grouped:
        raise InputError(
            "a split by group needs a column 'group' that names at least two animals or slides",
            suggestion=("add it to the points, or", {"split_by": "blocks"}),
        )
    if wanted == "image" and not several:
        problem = "a split by image needs points in at least two images"
        raise InputError(problem, suggestion={"split_by": "blocks"})
    if wanted != "auto":
        return [wanted]
    # Whoever names animals wants figures for another animal, and nothing less.
    return ["group"] if grouped else ["image", "blocks"] if several else ["blocks"]


class Cutter:
    """Cuts regions of one plane into blocks.

    Parameters
    ----------
    least
        Least height and width of what is cut, in pixels.
    step
        Lines lie on multiples of so many pixels.
    rng
        Draws shapes and places.
    """

    def __init__(self, least: tuple[int, int], step: int, rng: np.random.Generator) -> None:
        self._least, self._step, self._rng = least, step, rng

    def blocks(self, region: Region, pixels: Pixels, count: int) -> Iterator[Region]:
        """Propose blocks that hold about `count` of the points.

        Parameters
        ----------
        region
            Where the points lie.
        pixels
            The points, at least two.
        count
            How many of them a block shall hold.
        """
        n = len(pixels)
        count = min(max(count, 1), n - 1)
        for axis in (0, 1):
            for far in (False, True):
                if strip := self._end(region, pixels, axis, count, far=far):
                    yield strip
        for power in CORNERS:
            wide = min(n - 1, max(count + 1, round(n * (count / n) ** power)))
            for low, left in np.ndindex(2, 2):
                strip = self._end(region, pixels, 0, wide, far=bool(low))
                if strip is None:
                    continue
                here = pixels[_within(strip, pixels)]
                if len(here) > count and (
                    corner := self._end(strip, here, 1, count, far=bool(left))
                ):
                    yield corner
        for _ in range(INNER_BLOCKS):
            yield self._around(region, pixels, count)

    def parts(self, region: Region, pixels: Pixels, count: int) -> list[Region] | None:
        """Cut a region into `count` parts with about equally many points, as a k-d tree does.

        Returns
        -------
        list of Region or None
            None where the parts would be too small, or have no points.
        """
        if count == 1:
            return [region] if len(pixels) else None
        if len(pixels) < count:
            return None
        first = count // 2 + (count % 2 and int(self._rng.integers(2)))
        sides = np.ptp(pixels, axis=0) + 1
        order = [0, 1] if sides[0] * self._rng.uniform(0.7, 1.4) > sides[1] else [1, 0]
        for axis in order:
            below = round(len(pixels) * first / count)
            strip = self._end(region, pixels, axis, below, far=False)
            if strip is None:
                continue
            rest = _rest(region, strip, axis)
            found = [
                self.parts(part, pixels[_within(part, pixels)], number)
                for part, number in ((strip, first), (rest, count - first))
            ]
            if found[0] is not None and found[1] is not None:
                return found[0] + found[1]
        return None

    def box(self, region: Region, own: Pixels, others: Pixels) -> Region:
        """Return a block around some points that reaches half way to others, or to the end."""
        ends = np.array([own.min(axis=0), own.max(axis=0) + 1])
        limits = ((region.top, region.bottom), (region.left, region.right))
        for axis in (0, 1):
            across = 1 - axis
            beside = others[
                (others[:, across] >= ends[0, across]) & (others[:, across] < ends[1, across])
            ][:, axis]
            before, after = beside[beside < ends[0, axis]], beside[beside >= ends[1, axis]]
            low, high = limits[axis]
            if len(before):
                low = self._nearest((before.max() + 1 + ends[0, axis]) / 2, axis, region)
            if len(after):
                high = self._nearest((after.min() + ends[1, axis]) / 2, axis, region)
            ends[:, axis] = self._wide(region, axis, low, high)
        return Region(region.plane, *ends.ravel().tolist())

    def _end(
        self, region: Region, pixels: Pixels, axis: int, count: int, *, far: bool
    ) -> Region | None:
        """Cut off the end of a region that holds `count` points; None where it is too small."""
        low, high = ((region.top, region.bottom), (region.left, region.right))[axis]
        first = align_up(low + self._least[axis], self._step)
        last = align_down(high - self._least[axis], self._step)
        if first > last or len(pixels) < 2:
            return None
        count = min(max(count, 1), len(pixels) - 1)
        ordered = np.sort(pixels[:, axis])
        below = len(ordered) - count if far else count
        wanted = (ordered[below - 1] + ordered[below] + 1) / 2
        line = min(max(round(wanted / self._step) * self._step, first), last)
        ends = [region.top, region.left, region.bottom, region.right]
        ends[axis if far else axis + 2] = line
        return Region(region.plane, *ends)

    def _around(self, region: Region, pixels: Pixels, count: int) -> Region:
        """Grow a block around a point until it holds `count`; no thin rest is left beside it."""
        middle = pixels[self._rng.integers(len(pixels))]
        stretch = np.exp(self._rng.uniform(-0.7, 0.7))
        half = np.array([stretch, 1 / stretch])
        distance = np.sort((np.abs(pixels - middle) / half).max(axis=1))[count - 1]
        ends = []
        for axis in (0, 1):
            reach = distance * half[axis]
            ends.append(self._wide(region, axis, middle[axis] - reach, middle[axis] + reach + 1))
        (top, bottom), (left, right) = ends
        return Region(region.plane, top, left, bottom, right)

    def _wide(self, region: Region, axis: int, first: float, stop: float) -> tuple[int, int]:
        """Put ends on lines: not too near to each other, nor to the ends of the region."""
        low, high = ((region.top, region.bottom), (region.left, region.right))[axis]
        least = self._least[axis]
        start = align_down(int(min(first, high - least)), self._step)
        start = low if start - low < least else start
        end = align_up(math.ceil(max(stop, start + least)), self._step)
        return start, high if high - end < least else end

    def _nearest(self, position: float, axis: int, region: Region) -> int:
        """Return the line next to a position that lies in the region."""
        low, high = ((region.top, region.bottom), (region.left, region.right))[axis]
        return int(min(max(round(position / self._step) * self._step, low), high))


def _within(region: Region, pixels: Pixels) -> NDArray[np.bool_]:
    inside = (pixels >= (region.top, region.left)) & (pixels < (region.bottom, region.right))
    return np.asarray(inside.all(axis=1))


def _rest(region: Region, strip: Region, axis: int) -> Region:
    """Return what is left of a region when the strip at its top or left is cut off."""
    if axis == 0:
        return Region(region.plane, strip.bottom, region.left, region.bottom, region.right)
    return Region(region.plane, region.top, strip.right, region.bottom, region.right)
