"""Masks of image pixels on the cells of a map."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from napari_lungcls.errors import InputError
from napari_lungcls.images.masks import ImageMask
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.stereology.masks import mask_of_cells, mask_of_map
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
    pixels = ImageMask(ImageStack(mask.astype(np.uint8), rgb=False), "mask")
    cells = mask_of_cells(pixels, painted.header)
    found = count_map(painted, LUNG, mask=cells, block=block)
    assert [int(part.cells[0]) for part in found] == list(expected.sum(axis=(1, 2)))
    whole = cells((1,), slice(0, height), slice(0, width))
    assert np.array_equal(whole, expected[1])


def test_masks_of_another_image_are_refused(tmp_path):
    header = map_of(np.ones((2, 4, 4), np.uint8), stride=2, origin=(1, 1)).header
    for shape in ((6, 9), (9, 6), (7, 7)):
        tifffile.imwrite(tmp_path / "mask.tif", np.ones(shape, np.uint8))
        with pytest.raises(InputError, match="mask"):
            mask_of_map(tmp_path / "mask.tif", header)
    tifffile.imwrite(tmp_path / "mask.tif", np.ones((8, 8), np.uint8))
    mask_of_map(tmp_path / "mask.tif", header)
