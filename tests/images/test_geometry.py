"""Half pixels, against what averages and numpy's own padding say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_lungcls.images.geometry import (
    align_down,
    align_up,
    cell_count,
    interpolation_weights,
    map_cell,
    map_offset,
    map_positions,
    reflect,
    to_image,
    to_zoomed,
    zoomed_size,
)

ZOOMS = st.one_of(st.integers(1, 64).map(float), st.floats(0.1, 64))
POSITIONS = st.floats(-1e5, 1e5)
STRIDES = st.integers(1, 64)


@given(POSITIONS, ZOOMS)
def test_to_level_and_to_image_are_inverse(position: float, zoom: float) -> None:
    assert to_image(to_zoomed(position, zoom), zoom) == pytest.approx(position, abs=1e-6)
    assert to_zoomed(to_image(position, zoom), zoom) == pytest.approx(position, abs=1e-6)


@given(st.integers(0, 1000), st.integers(1, 64))
def test_a_level_pixel_is_centred_on_the_pixels_it_averages(index: int, zoom: int) -> None:
    pixels = np.arange(zoom * index, zoom * (index + 1))
    assert to_image(index, zoom) == pytest.approx(pixels.mean())


def test_at_zoom_1_nothing_moves() -> None:
    assert to_zoomed([0, 2.5, -3], 1).tolist() == [0, 2.5, -3]


@given(st.integers(1, 10_000), ZOOMS)
def test_the_level_covers_the_image(size: int, zoom: float) -> None:
    count = zoomed_size(size, zoom)
    assert count >= 1
    assert count * zoom >= size * (1 - 1e-8)
    assert count == 1 or (count - 1) * zoom < size


def test_a_zoom_that_rounding_made_a_hair_too_small_adds_no_pixel() -> None:
    assert zoomed_size(300, 0.3 / 0.1) == 100


@given(st.integers(1, 5000), STRIDES)
def test_map_cells_cover_every_pixel_once(size: int, stride: int) -> None:
    count = cell_count(size, stride)
    assert (count - 1) * stride < size <= count * stride


@given(st.integers(0, 500), st.integers(1, 20), STRIDES)
def test_a_map_cell_is_centred_on_its_pixels(first: int, count: int, stride: int) -> None:
    cells = np.arange(first * stride, (first + count) * stride).reshape(count, stride)
    centres = map_positions(first, count, stride)
    np.testing.assert_allclose(centres, cells.mean(axis=1))
    assert map_positions(0, 1, stride)[0] == map_offset(stride)
    np.testing.assert_array_equal(
        map_cell(cells, stride), np.repeat(np.arange(first, first + count)[:, None], stride, 1)
    )


@given(st.integers(0, 5000), st.floats(-0.5, 0.499), STRIDES)
def test_a_position_lies_in_the_cell_of_its_pixel(pixel: int, part: float, stride: int) -> None:
    assert map_cell(pixel + part, stride) == pixel // stride


@given(st.integers(1, 12), st.integers(0, 40), st.integers(0, 40))
def test_reflect_is_what_numpy_does(size: int, before: int, after: int) -> None:
    index = np.arange(-before, size + after)
    wanted = np.pad(np.arange(size), (before, after), mode="reflect")
    np.testing.assert_array_equal(reflect(index, size), wanted)


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=20),
    st.integers(1, 30),
    st.floats(-3, 3),
    st.floats(-9, 9),
)
def test_interpolation_is_exact_for_ramps(
    shares: list[float], count: int, slope: float, start: float
) -> None:
    where = np.array(shares) * (count - 1)
    weights = interpolation_weights(where, count)
    assert weights.shape == (len(where), count)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)
    assert ((weights > 0).sum(1) <= 2).all()
    ramp = start + slope * np.arange(count)
    np.testing.assert_allclose(weights @ ramp, start + slope * where, atol=2e-5)


def test_beyond_the_ends_the_last_value_is_held() -> None:
    weights = interpolation_weights([-7.5, 3.1], 3)
    assert weights.tolist() == [[1, 0, 0], [0, 0, 1]]


@given(st.integers(-1000, 1000), STRIDES)
def test_alignment_brackets_the_value(value: int, step: int) -> None:
    low, high = align_down(value, step), align_up(value, step)
    assert low % step == high % step == 0
    assert value - step < low <= value <= high < value + step
