"""Bare glass around tissue, and air in it."""

from __future__ import annotations

import numpy as np
import pytest

from napari_lungcls.images.stack import ImageStack
from napari_lungcls.images.tissue import READABLE, WithoutGlass, bare_glass, coarse_picture

HIGH, WIDE = 600, 800
EDGE = 500
"""Columns of tissue; beside it lies glass."""


def section(*, dark: bool = False) -> np.ndarray:
    """Foam of septa with airspaces 40 pixels wide, a wide airway in it, and dust on the glass."""
    picture = np.full((HIGH, WIDE), 230.0)
    y, x = np.mgrid[:HIGH, :WIDE]
    picture[((y % 48 < 8) | (x % 48 < 8)) & (x < EDGE)] = 120
    picture[(y - 300) ** 2 + (x - 250) ** 2 < 100**2] = 230
    picture[300:306, 700:706] = 100
    picture += np.random.default_rng(0).normal(0, 3, picture.shape)
    return np.clip(350 - picture if dark else picture, 0, 255).astype(np.uint8)


def test_glass_is_what_lies_around_the_tissue_with_its_dust_and_not_the_air_in_it():
    glass = bare_glass(section()[..., np.newaxis], 80)
    assert glass[:, EDGE + 12 :].mean() == 1
    assert not glass[:, : EDGE - 8].any()


@pytest.mark.parametrize("picture", [section()[:, :EDGE], section(dark=True), np.zeros((90, 90))])
def test_without_glass_or_on_a_dark_background_there_is_none(picture):
    assert not bare_glass(picture[..., np.newaxis], 80).any()


def test_noise_alone_is_no_glass():
    noise = np.random.default_rng(0).normal(200, 3, (400, 400, 1))
    assert not bare_glass(noise, 40).any()


def test_a_mask_counts_pixels_of_the_image_on_each_plane():
    planes = np.stack([section(), section()[:, ::-1]])
    mask = WithoutGlass(ImageStack(planes.repeat(4, 1).repeat(4, 2), pixel_size=150 / 320))
    there = np.array([[40, 4 * (EDGE - 40)], [40, 4 * (EDGE + 40)], [4 * HIGH - 1, 4 * WIDE - 1]])
    assert mask.inside((0,), there).tolist() == [True, False, False]
    mirrored = there * (1, -1) + (0, 4 * WIDE - 1)
    assert mask.inside((1,), mirrored).tolist() == [True, False, False]
    assert mask.area((0,)) == pytest.approx(16 * HIGH * EDGE, rel=0.03)


def test_of_a_large_plane_without_a_pyramid_nothing_is_read():
    class Slide:
        shape, dtype = (2**14, 2**14), np.dtype(np.uint8)

        def __getitem__(self, key: object) -> None:
            raise AssertionError("read")

    stack = ImageStack(Slide())
    assert np.prod(stack.plane_shape) > READABLE
    assert coarse_picture(stack.plane()) is None
    assert WithoutGlass(stack).inside((), np.array([[5, 5]])).all()
