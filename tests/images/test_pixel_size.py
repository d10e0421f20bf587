"""Pixel sizes: what is resampled, what is said aloud, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_lungcls.errors import InputError
from napari_lungcls.images.pixel_size import (
    LARGEST_RATIO,
    TOLERANCE,
    check_zooms,
    effective_zooms,
    size_remark,
)
from napari_lungcls.images.stack import ImageStack


def image(pixel_size: float | None, height: int = 100, width: int = 200) -> ImageStack:
    return ImageStack(np.zeros((height, width), np.uint8), pixel_size=pixel_size, source="a.tif")


def test_a_finer_image_is_shrunk_further() -> None:
    assert effective_zooms((1, 4), 0.5, image(0.25)) == (2, 8)


def test_a_coarser_image_is_enlarged() -> None:
    assert effective_zooms((1, 4), 0.5, image(1.0)) == (0.5, 2)


@given(st.floats(0.01, 100), st.floats(-TOLERANCE, TOLERANCE))
def test_small_differences_are_no_reason_to_resample(size: float, off: float) -> None:
    zooms = effective_zooms((1, 4), size, image(size / (1 + 0.99 * off)))
    assert zooms == (1, 4)


@given(st.floats(0.1, 5), st.floats(0.1, 5))
def test_level_pixels_have_the_size_that_was_trained(model: float, own: float) -> None:
    zooms = effective_zooms((1, 3, 9), model, image(own))
    for zoom, wanted in zip(zooms, (1, 3, 9), strict=True):
        assert zoom * own == pytest.approx(wanted * model, rel=TOLERANCE)


@pytest.mark.parametrize(
    ("model", "own", "said"),
    [
        (0.5, None, "a.tif does not tell its pixel size; it is taken for the model's, 0.5 µm."),
        (None, 0.25, "the model does not know the pixel size it was trained at; a.tif (0.25 µm)"),
        (1.8, 0.45, "a.tif has 0.45 µm per pixel and the model sees 1.8; the image is shrunk 4 t"),
        (
            0.5,
            1.25,
            "a.tif has 1.25 µm per pixel and the model sees 0.5; the image is enlarged",
        ),
    ],
)
def test_what_is_assumed_or_resampled_is_said(model, own, said) -> None:
    assert size_remark(model, image(own)).startswith(said)


def test_nothing_is_said_of_sizes_that_agree_or_that_nobody_knows() -> None:
    assert size_remark(0.5, image(0.5 * (1 + 0.9 * TOLERANCE))) == ""
    # Nothing is known on either side: nobody claimed anything.
    assert size_remark(None, image(None)) == ""
    assert effective_zooms((1, 4), None, image(0.25)) == (1, 4)


@pytest.mark.parametrize("ratio", [1.01 * LARGEST_RATIO, 0.99 / LARGEST_RATIO, 1e9, 1e-9])
def test_absurd_ratios_are_refused(ratio: float) -> None:
    with pytest.raises(InputError, match=r"^pixel_size: .* one of them must be wrong"):
        effective_zooms((1,), 0.5 * ratio, image(0.5))


def test_a_zoom_larger_than_the_image_is_refused_with_the_largest_that_fits() -> None:
    stack = image(None)
    check_zooms((1, 12), (1, 12), stack)
    with pytest.raises(InputError, match=r"zoom 16 is larger.*100 × 200.*zooms up to 12"):
        check_zooms((1, 16), (1, 16), stack)
    with pytest.raises(InputError, match=r"zoom 8 is larger.*zooms up to 6"):
        check_zooms((1, 8), (2, 16), stack)
    with pytest.raises(InputError, match="give a larger image"):
        check_zooms((1,), (1,), image(None, height=7))
