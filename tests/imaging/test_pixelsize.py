"""Pixel sizes: what is resampled, what is said aloud, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.imaging.pixelsize import (
    LARGEST_RATIO,
    TOLERANCE,
    check_zooms,
    effective_zooms,
)
from napari_lungcls.imaging.stack import ImageStack


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


def test_unknown_sizes_are_said_aloud() -> None:
    with pytest.warns(LungclsWarning, match=r"a.tif does not tell its pixel size.*0.5 µm"):
        assert effective_zooms((1, 4), 0.5, image(None)) == (1, 4)
    with pytest.warns(LungclsWarning, match=r"the model does not know.*a.tif \(0.25 µm\)"):
        assert effective_zooms((1, 4), None, image(0.25)) == (1, 4)
    # Nothing is known on either side: nobody claimed anything.
    assert effective_zooms((1, 4), None, image(None)) == (1, 4)


@pytest.mark.parametrize("ratio", [1.01 * LARGEST_RATIO, 0.99 / LARGEST_RATIO, 1e9, 1e-9])
def test_absurd_ratios_are_refused(ratio: float) -> None:
    with pytest.raises(InputError, match=r"one of them must be wrong: give --pixel-size"):
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
