"""Regions: which zoomed pixels they hold, and what is left beside others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_lungcls.images.geometry import pixels_of
from napari_lungcls.images.pyramid import ZoomedPlane
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.learning.regions import Region, free_regions, region_of

SHAPE = (96, 130)


def outside(region: Region, shape: tuple[int, int] = SHAPE) -> NDArray[np.float32]:
    """Make an image that is NaN wherever the region is not."""
    image = np.full(shape, np.nan, np.float32)
    image[region.top : region.bottom, region.left : region.right] = 1
    return image


def read(level: ZoomedPlane, part: Region) -> NDArray[Any]:
    return level.read(part.top, part.left, *part.shape)


@st.composite
def boxes(draw: Any, step: int = 1) -> Region:
    ends = []
    for size in SHAPE:
        lines = [*range(0, size, step), size]
        pair = draw(st.lists(st.sampled_from(lines), min_size=2, max_size=2, unique=True))
        ends.append(sorted(pair))
    (top, bottom), (left, right) = ends
    return Region(0, top, left, bottom, right)


@settings(max_examples=150)
@given(boxes(), st.sampled_from([1, 2, 4, 7, 0.5, 0.73, 1.37, 2.5, 5.48]))
def test_level_pixels_of_a_region_read_its_pixels_and_no_others(
    region: Region, zoom: float
) -> None:
    level = ZoomedPlane(ImageStack(outside(region), rgb=False).plane(), zoom)
    part = region.level(zoom, SHAPE)
    assert part.area == 0 or np.isfinite(read(level, part)).all()
    # One zoomed pixel more on any side would read another region: none is left out.
    height, width = level.shape
    more = [
        Region(0, part.top - 1, part.left, part.top, part.right),
        Region(0, part.bottom, part.left, part.bottom + 1, part.right),
        Region(0, part.top, part.left - 1, part.bottom, part.left),
        Region(0, part.top, part.right, part.bottom, part.right + 1),
    ]
    for line in more:
        inside = line.top >= 0 and line.left >= 0 and line.bottom <= height and line.right <= width
        if line.area and inside:
            assert np.isnan(read(level, line)).any()


def test_a_whole_plane_is_all_of_its_level() -> None:
    plane = ImageStack(np.zeros(SHAPE, np.float32), rgb=False).plane()
    for zoom in (1, 3, 0.7, 2.7, 200):
        whole = Region.whole(0, SHAPE).level(zoom, SHAPE)
        assert whole == Region.whole(0, ZoomedPlane(plane, zoom).shape)


@settings(max_examples=60)
@given(boxes(step=8), st.sampled_from([2, 4, 8, 16, 3.3, 5, 9.1]))
def test_lines_between_stored_pixels_part_the_levels_of_a_pyramid(
    region: Region, zoom: float
) -> None:
    image = outside(region)
    levels = [image]
    for factor in (2, 4, 8):
        blocks = np.pad(image, [(0, -n % factor) for n in SHAPE], mode="edge")
        rows, columns = (n // factor for n in blocks.shape)
        levels.append(blocks.reshape(rows, factor, columns, factor).mean((1, 3)))
    stack = ImageStack(levels, rgb=False)
    assert stack.factors == (1, 2, 4, 8)
    part = region.level(zoom, SHAPE)
    assert part.area == 0 or np.isfinite(read(ZoomedPlane(stack.plane(), zoom), part)).all()


@settings(max_examples=100)
@given(st.lists(boxes(), max_size=4), st.integers(1, 40))
def test_free_regions_are_all_the_largest_rectangles_beside_others(
    blocked: list[Region], least: int
) -> None:
    taken = np.zeros(SHAPE, bool)
    for b in blocked:
        taken[b.top : b.bottom, b.left : b.right] = True
    found = free_regions(Region.whole(0, SHAPE), blocked, (least, least))
    assert [r.area for r in found] == sorted((r.area for r in found), reverse=True)
    assert len(set(found)) == len(found)
    covered = np.zeros(SHAPE, bool)
    for r in found:
        assert min(r.shape) >= least
        assert not taken[r.top : r.bottom, r.left : r.right].any()
        covered[r.top : r.bottom, r.left : r.right] = True
        for line in (
            taken[max(r.top - 1, 0) : r.top, r.left : r.right],
            taken[r.bottom : r.bottom + 1, r.left : r.right],
            taken[r.top : r.bottom, max(r.left - 1, 0) : r.left],
            taken[r.top : r.bottom, r.right : r.right + 1],
        ):
            assert line.any() or line.size == 0, "it could be larger"
    if least == 1:
        np.testing.assert_array_equal(covered, ~taken)


def test_what_lies_on_other_planes_blocks_nothing() -> None:
    whole = Region.whole(1, SHAPE)
    assert free_regions(whole, [Region(0, 10, 10, 20, 20)]) == [whole]
    assert free_regions(whole, [whole]) == []


def test_points_lie_on_pixels_and_ends_of_the_plane_belong_to_it() -> None:
    where = np.array([[-0.5, -0.5], [9.5, 0], [9.51, 0], [95.5, 129.5], [10.2, 129.4]])
    np.testing.assert_array_equal(pixels_of(where), [[0, 0], [9, 0], [10, 0], [95, 129], [10, 129]])
    regions = [Region(0, 0, 0, 10, 130), Region(0, 10, 0, 96, 130), Region(1, 0, 0, 96, 130)]
    planes = np.zeros(5, np.int64)
    assert region_of(regions, planes, where).tolist() == [0, 0, 1, 1, 1]
    assert region_of(regions, planes + 1, where).tolist() == [2] * 5
    assert region_of(regions, planes + 2, where).tolist() == [-1] * 5
    # The first of several is taken.
    assert region_of(regions[:1] * 2, planes, where).tolist() == [0, 0, -1, -1, -1]


@pytest.mark.parametrize("margin", [0, 3])
def test_a_margin_is_added_on_all_sides(margin: int) -> None:
    grown = Region(2, 10, 20, 30, 50).grown(margin)
    assert grown == Region(2, 10 - margin, 20 - margin, 30 + margin, 50 + margin)
    assert grown.shape == (20 + 2 * margin, 30 + 2 * margin)
