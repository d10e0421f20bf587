"""Masks of image pixels on the cells of a map."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_lungcls.errors import InputError
from napari_lungcls.stereology.phase_map import pixel_mask
from napari_lungcls.stereology.raster import count_map
from phantoms import LUNG, map_of


@given(st.data(), st.integers(1, 5), st.booleans(), st.integers(1, 4))
def test_a_cell_is_inside_when_its_middle_pixel_is(data, stride, flat, block):
    origin = data.draw(st.tuples(st.integers(0, 4), st.integers(0, 4)))
    height, width = data.draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    hang = data.draw(st.integers(0, stride - 1))  # how far the last cells hang over the image
    size = [o + stride * n - hang for o, n in zip(origin, (height, width), strict=True)]
    rng = np.random.default_rng(0)
    mask = rng.random(size if flat else (2, *size)) < 0.5
    painted = map_of(np.ones((2, height, width), np.uint8), stride=stride, origin=origin)
    expected = np.zeros((2, height, width), bool)
    for i, y, x in np.ndindex(expected.shape):
        at = [o + stride * n + stride // 2 for o, n in zip(origin, (y, x), strict=True)]
        if at[0] < size[0] and at[1] < size[1]:
            expected[i, y, x] = mask[tuple(at)] if flat else mask[(i, *at)]
    found = count_map(painted, LUNG, mask=pixel_mask(mask, painted.header), block=block)
    assert [int(part.cells[0]) for part in found] == list(expected.sum(axis=(1, 2)))
    whole = pixel_mask(mask, painted.header)((1,), slice(0, height), slice(0, width))
    assert np.array_equal(whole, expected[1])


def test_masks_of_another_image_are_refused():
    header = map_of(np.ones((2, 4, 4), np.uint8), stride=2, origin=(1, 1)).header
    for shape in ((7, 9), (9, 7), (3, 9, 9)):
        with pytest.raises(InputError, match="mask"):
            pixel_mask(np.ones(shape, bool), header)
    pixel_mask(np.ones((8, 8), bool), header)
