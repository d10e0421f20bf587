"""Colouring and shrinking pictures."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.reporting.pictures import (
    UNPAINTED,
    downsample_picture,
    label_picture,
    png_bytes,
)

LUNG = ClassScheme.preset("lung")
pictures = hnp.arrays(
    np.uint8,
    st.one_of(
        st.tuples(st.integers(1, 12), st.integers(1, 12)),
        st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3)),
    ),
)


def test_each_class_has_its_colour() -> None:
    picture = label_picture(np.array([[0, 1], [2, 3]], np.uint8), LUNG)
    assert picture.dtype == np.uint8
    colors = [f"#{bytes(pixel).hex()}" for pixel in picture.reshape(-1, 3)]
    assert colors == [f"#{bytes(UNPAINTED).hex()}", *LUNG.colors]


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (np.array([[4]], np.uint8), "class 3"),
        (np.zeros((2, 2), np.int64), "uint8"),
        (np.zeros(4, np.uint8), r"\(h, w\)"),
    ],
)
def test_what_does_not_fit(classes: NDArray[np.uint8], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        label_picture(classes, LUNG)


@given(pictures, st.integers(1, 13))
def test_every_cell_is_the_mean_of_its_pixels(picture: NDArray[np.uint8], side: int) -> None:
    small = downsample_picture(picture, side)
    assert small.dtype == np.uint8
    assert max(small.shape[:2]) <= side
    factor = -(-max(picture.shape[:2]) // side)
    for y, x in np.ndindex(small.shape[:2]):
        block = picture[y * factor : (y + 1) * factor, x * factor : (x + 1) * factor]
        assert np.abs(small[y, x] - block.mean(axis=(0, 1))).max() <= 0.501


def test_a_picture_that_fits_is_left_alone() -> None:
    picture = np.zeros((5, 9, 3), np.uint8)
    assert downsample_picture(picture, 9) is picture
    with pytest.raises(ValueError, match="0 pixels"):
        downsample_picture(picture, 0)


def test_png_keeps_every_pixel() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png_bytes(picture)))), picture)
