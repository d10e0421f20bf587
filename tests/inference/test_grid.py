"""The cells of a map: where they lie in image and world, and the blocks that hold them."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_lungcls.annotation import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.inference.grid import MapGrid

SCHEME = ClassScheme.preset("lung")


class Shape:
    """An image of any size that takes no memory."""

    dtype = np.dtype("uint8")

    def __init__(self, *shape: int) -> None:
        self.shape = shape


def image(*shape: int, **options: Any) -> ImageStack:
    return ImageStack(Shape(*shape), rgb=False, source="a.tif", **options)


@st.composite
def grids(draw: st.DrawFn) -> MapGrid:
    def part(n: int) -> slice:
        first = draw(st.integers(0, n - 1))
        return slice(first, draw(st.integers(first + 1, n)))

    leading = draw(st.lists(st.integers(1, 3), max_size=2))
    height, width = (draw(st.integers(8, 3000)) for _ in range(2))
    region = (part(height), part(width)) if draw(st.booleans()) else None
    planes = part(leading[-1]) if leading and draw(st.booleans()) else None
    stride = draw(st.sampled_from([1, 2, 3, 4, 7, 8, 64]))
    scale = draw(st.tuples(*(len(leading) + 2) * [st.floats(0.1, 9)]))
    translate = draw(st.tuples(*(len(leading) + 2) * [st.floats(-99, 99)]))
    stack = image(*leading, height, width, scale=scale, translate=translate, unit="micrometer")
    return MapGrid.over(stack, stride, region, planes)


@settings(max_examples=60)
@given(grids())
def test_blocks_tile_the_map_exactly(grid: MapGrid) -> None:
    painted = np.zeros(grid.shape, np.uint8)
    for block in grid.blocks():
        part = painted[(*block.index, block.rows, block.columns)]
        assert part.size > 0
        assert max(part.shape) <= grid.block
        part += 1
    assert (painted == 1).all()


@settings(max_examples=60)
@given(st.integers(8, 20_000), st.integers(8, 20_000), st.sampled_from([1, 2, 7, 8, 64]))
def test_blocks_of_a_group_follow_each_other_and_none_is_left_alone(
    height: int, width: int, stride: int
) -> None:
    grid = MapGrid.over(image(height, width), stride)
    groups = [grid.group(block) for block in grid.blocks()]
    for block, group in zip(grid.blocks(), groups, strict=True):
        for axis in ("rows", "columns"):
            part, whole = getattr(block, axis), getattr(group, axis)
            assert whole.start <= part.start < part.stop <= whole.stop
            count = grid.shape[-2 if axis == "rows" else -1]
            blocks = -(-(whole.stop - whole.start) // grid.block)
            assert blocks in (2, 3) or (whole.start, whole.stop) == (0, count)
    runs = [group for group, _ in groupby(groups, repr)]
    assert len(runs) == len(set(runs))


@settings(max_examples=60)
@given(grids())
def test_cells_lie_where_their_pixels_lie(grid: MapGrid) -> None:
    """In the image and, by the header's scale and translation, in the world."""
    stack = grid.stack
    header = grid.header(SCHEME, probabilities=True, provenance={"image": "a"})
    assert header.shape == grid.shape == (*grid.leading, *grid.shape[-2:])
    assert (header.stride, header.origin) == (grid.stride, (grid.rows.start, grid.columns.start))
    assert (header.unit, header.scheme, header.probabilities) == ("micrometer", SCHEME, True)
    assert header.provenance == {"image": "a"}
    for block in grid.blocks():
        y, x = grid.positions(block)
        plane = grid.image_plane(block.index)
        for positions, cells, pixels in (
            (y, block.rows, grid.rows),
            (x, block.columns, grid.columns),
        ):
            assert len(positions) == cells.stop - cells.start
            first = pixels.start + grid.stride * cells.start
            # The centre of the cell's first, and of its last cell's pixels.
            assert positions[0] == np.arange(first, first + grid.stride).mean()
            last = pixels.start + grid.stride * (cells.stop - 1)
            assert positions[-1] == np.arange(last, last + grid.stride).mean()
            assert last < pixels.stop
        # napari's rule: world = translate + scale × index.
        corner = np.array([*block.index, block.rows.start, block.columns.start])
        world = np.array(header.translate) + np.array(header.scale) * corner
        pixel = np.array([*plane, y[0], x[0]])
        wanted = np.array(stack.translate) + np.array(stack.scale) * pixel
        np.testing.assert_allclose(world, wanted, atol=1e-6)


@given(grids())
@settings(max_examples=20)
def test_the_pixels_under_the_map_are_counted(grid: MapGrid) -> None:
    height, width = (part.stop - part.start for part in (grid.rows, grid.columns))
    assert grid.pixels == int(np.prod(grid.leading, dtype=int)) * height * width


def test_a_map_of_stride_4_by_hand() -> None:
    stack = image(10, 90, 70, scale=(2, 0.5, 0.5), translate=(100, 10, 20))
    grid = MapGrid.over(stack, 4, (slice(8, 90), slice(10, 30)), slice(3, 5))
    header = grid.header(SCHEME, probabilities=False, provenance={})
    assert header.shape == (2, 21, 5)
    assert header.scale == (2, 2, 2)
    assert header.translate == (106, 10 + 0.5 * 9.5, 20 + 0.5 * 11.5)
    assert grid.image_plane((1,)) == (4,)


def test_the_whole_image_is_the_default() -> None:
    grid = MapGrid.over(image(3, 90, 70), 8)
    assert grid.shape == (3, 12, 9)
    assert [grid.image_plane((i,)) for i in range(3)] == [(0,), (1,), (2,)]
    part = MapGrid.over(image(3, 90, 70), 8, (slice(None, 40), slice(30, None)), slice(1, None))
    assert part.shape == (2, 5, 5)
    assert part.rows == slice(0, 40)
    assert part.columns == slice(30, 70)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 0}, "stride: give 1 to 64, a whole number, not 0"),
        ({"stride": 65}, "not 65"),
        ({"stride": -4}, "not -4"),
        ({"stride": 2.5}, "not 2.5"),
        ({"stride": "4"}, "not 4"),
        ({"region": (slice(0, 91), slice(0, 70))}, r"region rows 0:91 are not inside a.tif.*0:90"),
        ({"region": (slice(0, 90), slice(50, 50))}, r"region columns 50:50 are not inside"),
        ({"region": (slice(-5, 90), slice(0, 70))}, r"region rows -5:90"),
        ({"region": (slice(60, 30), slice(0, 70))}, r"region rows 60:30"),
        ({"region": (slice(0, 90, 2), slice(0, 70))}, r"region rows"),
        ({"planes": slice(0, 4)}, r"planes 0:4 are not inside a.tif.*range within 0:3"),
    ],
)
def test_what_is_not_inside_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        MapGrid.over(image(3, 90, 70), **({"stride": 4} | options))


def test_a_single_plane_has_no_planes() -> None:
    with pytest.raises(InputError, match="is one plane; leave planes out"):
        MapGrid.over(image(90, 70), 4, planes=slice(0, 1))


def test_numpy_s_integers_are_integers() -> None:
    grid = MapGrid.over(image(90, 70), np.int64(4))  # type: ignore[arg-type]
    assert type(grid.stride) is int
