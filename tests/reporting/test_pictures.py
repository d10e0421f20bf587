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


@given(hnp.arrays(np.uint8, (3, 4), elements=st.integers(0, 3)), st.floats(0, 1))
def test_blend_lies_between_image_and_colour(classes: NDArray[np.uint8], opacity: float) -> None:
    image = np.arange(36, dtype=np.uint8).reshape(3, 4, 3) * 7
    blended = label_picture(classes, LUNG, image, opacity).astype(int)
    opaque = label_picture(classes, LUNG).astype(int)
    expected = opacity * opaque + (1 - opacity) * image
    painted = classes > 0
    np.testing.assert_array_equal(blended[~painted], image[~painted])
    assert np.abs(blended - expected)[painted].max(initial=0) <= 0.501


def test_grey_background() -> None:
    classes = np.array([[0, 2]], np.uint8)
    picture = label_picture(classes, LUNG, np.array([[9, 100]], np.uint8), 0.5)
    assert picture[0, 0].tolist() == [9, 9, 9]
    assert picture[0, 1].tolist() == [round((c + 100) / 2) for c in bytes.fromhex("ffe119")]


@pytest.mark.parametrize(
    ("classes", "background", "words"),
    [
        (np.array([[4]], np.uint8), None, "class 3"),
        (np.zeros((2, 2), np.int64), None, "uint8"),
        (np.zeros(4, np.uint8), None, r"\(h, w\)"),
        (np.zeros((2, 2), np.uint8), np.zeros((2, 3, 3), np.uint8), "does not fit"),
        (np.zeros((2, 2), np.uint8), np.zeros((2, 2, 3)), "does not fit"),
    ],
)
def test_what_does_not_fit(
    classes: NDArray[np.uint8], background: NDArray[np.uint8] | None, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        label_picture(classes, LUNG, background)


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
