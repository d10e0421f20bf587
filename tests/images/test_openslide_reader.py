"""Slides through OpenSlide: a tiled pyramid that it reads, against the pixels put into it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from napari_lungcls.errors import InputError
from napari_lungcls.images.opening import open_image
from napari_lungcls.images.stack import ImageStack

openslide = pytest.importorskip("openslide")

HEIGHT, WIDTH = 300, 420
RNG = np.random.default_rng(0)
FINE = RNG.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
COARSE = np.ascontiguousarray(FINE[::2, ::2])


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a pyramid of two levels under a suffix that is left to OpenSlide."""
    path = tmp_path_factory.mktemp("slide") / "lung.bif"
    options: dict[str, Any] = {"tile": (64, 128), "compression": "deflate", "photometric": "rgb"}
    with tifffile.TiffWriter(path) as tif:
        tif.write(FINE, **options, resolution=(20_000, 20_000), resolutionunit="CENTIMETER")
        tif.write(COARSE, **options, subfiletype=1)
    return path


@pytest.fixture(scope="module")
def stack(slide: Path) -> ImageStack:
    return open_image(slide)


def test_a_slide_is_a_pyramid_of_colours(stack: ImageStack) -> None:
    assert [level.shape for level in stack.levels] == [(300, 420, 3), (150, 210, 3)]
    assert (stack.rgb, str(stack.dtype), stack.name) == (True, "uint8", "lung")
    assert stack.pixel_size == pytest.approx(0.5)
    assert stack.levels[0].chunks == (64, 128, 3)


def test_its_pixels_are_those_of_the_file(stack: ImageStack) -> None:
    np.testing.assert_array_equal(stack.levels[0][...], FINE)
    np.testing.assert_array_equal(stack.levels[1][...], COARSE)


def test_its_colours_can_be_chosen(slide: Path) -> None:
    stack = open_image(slide, "2,0")
    np.testing.assert_array_equal(stack.levels[0][..., :2], FINE[..., [2, 0]])
    np.testing.assert_array_equal(open_image(slide, 1).levels[1][...], COARSE[..., 1])


def keys(length: int) -> st.SearchStrategy[int | slice]:
    places = st.integers(-length, length - 1)
    return st.one_of(places, st.builds(slice, places, places, st.sampled_from([None, 1, 2, 5])))


@given(keys(HEIGHT), keys(WIDTH), keys(3))
def test_any_region_is_that_of_the_array(
    stack: ImageStack, y: int | slice, x: int | slice, c: int | slice
) -> None:
    np.testing.assert_array_equal(stack.levels[0][y, x, c], FINE[y, x, c])


def test_what_was_not_scanned_is_background(stack: ImageStack) -> None:
    level = stack.levels[0].array
    beyond = level[slice(290, 320, 1), slice(0, 4, 1), slice(0, 3, 1)]
    np.testing.assert_array_equal(beyond[:10], FINE[290:, :4])
    assert (beyond[10:] == 255).all()


def test_what_is_no_slide_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mrxs").write_bytes(b"no slide" * 100)
    with pytest.raises(InputError, match=r"a\.mrxs: is not a slide that OpenSlide reads.*copy it"):
        open_image(tmp_path / "a.mrxs")


def test_damage_is_told_when_it_is_met(slide: Path, tmp_path: Path) -> None:
    content = bytearray(slide.read_bytes())
    with tifffile.TiffFile(slide) as tif:
        start, size = tif.pages[0].dataoffsets[3], tif.pages[0].databytecounts[3]
    content[start : start + size] = bytes(size)
    (tmp_path / "b.bif").write_bytes(content)
    damaged = open_image(tmp_path / "b.bif")
    with pytest.raises(InputError, match="cannot be read"):
        damaged.levels[0][0:64, 384:420]


def test_without_openslide_the_remedy_is_named(
    slide: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openslide", None)
    with pytest.raises(InputError, match=r"lung\.bif: .*the extra slides"):
        open_image(slide)
