"""Levels against plain area averages, and what they read to get there."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_lungcls.images import pyramid
from napari_lungcls.images.pyramid import BlockCache, ZoomedPlane
from napari_lungcls.images.stack import ImageStack

RNG = np.random.default_rng(0)
ZOOMS = st.one_of(st.integers(1, 9).map(float), st.floats(0.3, 9))


class Spy:
    """An array that remembers which regions were read."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self.reads: list[tuple[Any, ...]] = []

    def __getitem__(self, key: tuple[Any, ...]) -> NDArray[Any]:
        self.reads.append(key)
        return self.array[key]

    @property
    def pixels(self) -> int:
        return sum(self.array[key].size for key in self.reads)


def averaging(size: int, zoom: float) -> NDArray[np.float64]:
    """Weights (zoomed pixels, pixels) by overlap, or linear interpolation to enlarge."""
    count = max(1, int(np.ceil(size / zoom - 1e-9)))
    j, i = np.arange(count)[:, None], np.arange(size)
    if zoom < 1:
        weights = 1 - np.abs(np.clip((j + 0.5) * zoom - 0.5, 0, size - 1) - i)
    else:
        weights = np.minimum(i + 1, (j + 1) * zoom) - np.maximum(i, j * zoom)
    weights = np.maximum(0, weights)
    return weights / weights.sum(1, keepdims=True)


def level_of(image: NDArray[Any], zoom: float) -> NDArray[np.float64]:
    """Return the whole level `(y, x, channel)` of a plane, not rounded."""
    rows, columns = averaging(image.shape[0], zoom), averaging(image.shape[1], zoom)
    shrunk = [rows @ channel.astype(float) @ columns.T for channel in np.moveaxis(image, -1, 0)]
    return np.stack(shrunk, -1)


def reflected(
    image: NDArray[Any], top: int, left: int, height: int, width: int
) -> NDArray[np.float64]:
    """Cut a region out of a level as numpy reflects it."""
    pad = [
        (max(0, -first), max(0, first + n - size))
        for first, n, size in ((top, height, image.shape[0]), (left, width, image.shape[1]))
    ]
    wide = np.pad(image, [*pad, (0, 0)], mode="reflect")
    y, x = top + pad[0][0], left + pad[1][0]
    return wide[y : y + height, x : x + width]


def plane_level(image: NDArray[Any], zoom: float, **options: Any) -> ZoomedPlane:
    return ZoomedPlane(ImageStack(image, rgb=image.ndim == 3).plane(), zoom, **options)


@settings(max_examples=60)
@given(st.integers(1, 40), st.integers(1, 40), ZOOMS, st.data())
def test_any_region_is_the_reflected_area_average(
    height: int, width: int, zoom: float, data: st.DataObject
) -> None:
    image = RNG.normal(100, 30, (height, width, 3)).astype(np.float32)
    top, left = (data.draw(st.integers(-60, 60)) for _ in range(2))
    rows, columns = (data.draw(st.integers(1, 50)) for _ in range(2))
    level = plane_level(image, zoom)
    whole = level_of(image, zoom)
    assert level.shape == whole.shape[:2]
    found = level.read(top, left, rows, columns)
    assert found.shape == (rows, columns, 3)
    np.testing.assert_allclose(found, reflected(whole, top, left, rows, columns), rtol=1e-4)


@pytest.mark.parametrize("zoom", [1, 2])
def test_a_region_wholly_past_an_edge_is_reflected_too(zoom: int) -> None:
    image = np.arange(40 * 60, dtype=np.float32).reshape(40, 60)
    level = plane_level(image, zoom)
    height, width = level.shape
    whole = level_of(image[..., None], zoom)
    for top, left in ((height, 0), (0, width), (height + 2, width + 3), (-6, -7)):
        found = level.read(top, left, 5, 5)
        np.testing.assert_allclose(found[..., :1], reflected(whole, top, left, 5, 5))


@settings(max_examples=25)
@given(st.integers(1, 60), st.integers(1, 60), ZOOMS, st.integers(1, 24), st.data())
def test_cached_equals_uncached(
    height: int, width: int, zoom: float, block: int, data: st.DataObject
) -> None:
    image = RNG.integers(0, 255, (height, width), np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pyramid, "BLOCK", block)
        patch.setattr(pyramid, "SMALLEST_BLOCK", block)
        # Room for a few blocks only, so that some are read anew.
        level = plane_level(image, zoom, cache=BlockCache(5 * block**2))
        plain = plane_level(image, zoom)
        for _ in range(3):
            top, left = (data.draw(st.integers(-30, 60)) for _ in range(2))
            np.testing.assert_array_equal(
                level.read(top, left, 20, 30), plain.read(top, left, 20, 30)
            )


def test_a_cache_serves_what_it_holds_and_forgets_the_oldest() -> None:
    spy = Spy(RNG.integers(0, 255, (pyramid.BLOCK * 3, 40), np.uint8))
    cache = BlockCache(2 * pyramid.BLOCK * 40)
    level = ZoomedPlane(ImageStack(spy).plane(), 1, cache)
    for top in (0, 5, 100):
        level.read(top, 0, 10, 10)
    assert len(spy.reads) == 1
    level.read(pyramid.BLOCK, 0, 10, 10)
    level.read(2 * pyramid.BLOCK, 0, 10, 10)
    level.read(pyramid.BLOCK, 0, 10, 10)
    assert len(spy.reads) == 3
    level.read(0, 0, 10, 10)
    assert len(spy.reads) == 4


def test_one_cache_for_many_images_never_mixes_them() -> None:
    cache = BlockCache()
    for value in range(50):
        # Each stack dies at once; the next may get its place in memory.
        level = ZoomedPlane(ImageStack(np.full((9, 9), value, np.uint8)).plane(), 1, cache)
        assert (level.read(0, 0, 9, 9) == value).all()


@pytest.mark.parametrize("zoom", [1, 2, 2.5])
@pytest.mark.parametrize(
    "dtype", ["uint8", "uint16", ">u2", "float32", "float64", "float16", "bool", "int32", "int8"]
)
def test_types(dtype: str, zoom: float) -> None:
    image = RNG.integers(0, 2 if dtype == "bool" else 120, (21, 34)).astype(dtype)
    level = plane_level(image, zoom)
    found = level.read(-2, -2, 14, 17)
    wanted = reflected(level_of(image[..., None], zoom), -2, -2, 14, 17)
    kept = np.dtype(dtype).newbyteorder("=")
    assert found.dtype == (kept if kept.kind == "u" else np.float32)
    np.testing.assert_allclose(found, np.broadcast_to(wanted, found.shape), atol=0.5001)
    if found.dtype == np.float32:
        np.testing.assert_allclose(found, np.broadcast_to(wanted, found.shape), rtol=1e-5)


def test_averages_of_integers_are_rounded_not_cut() -> None:
    image = np.array([[10, 11], [11, 11]], np.uint8)
    assert plane_level(image, 2).read(0, 0, 1, 1).tolist() == [[[11, 11, 11]]]


@pytest.mark.parametrize("zoom", [1, 3])
def test_grey_has_three_equal_channels_and_alpha_is_dropped(zoom: float) -> None:
    grey = RNG.integers(0, 255, (30, 30), np.uint8)
    found = plane_level(grey, zoom).read(0, 0, 9, 9)
    assert found.shape == (9, 9, 3)
    assert (found == found[..., :1]).all()
    colour = RNG.integers(0, 255, (30, 30, 4), np.uint8)
    np.testing.assert_array_equal(
        plane_level(colour, zoom).read(0, 0, 9, 9),
        plane_level(colour[..., :3], zoom).read(0, 0, 9, 9),
    )


def test_only_what_is_needed_is_read() -> None:
    spy = Spy(RNG.integers(0, 255, (4, 400, 500), np.uint8))
    level = ZoomedPlane(ImageStack(spy).plane((2,)), 4)
    level.read(10, 20, 8, 9)
    assert spy.reads == [(2, slice(40, 72), slice(80, 116))]


@pytest.mark.parametrize("zoom", [1, 4, 16, 64])
def test_a_window_costs_little_more_than_it_shows_at_any_zoom(zoom: int) -> None:
    class Endless:
        """A large image without a pyramid, that counts what is read."""

        shape, dtype, pixels = (100_000, 100_000), np.dtype("uint8"), 0

        def __getitem__(self, key: tuple[slice, slice]) -> NDArray[np.uint8]:
            size = [part.stop - part.start for part in key]
            self.pixels += size[0] * size[1]
            return np.zeros(size, np.uint8)

    image = Endless()
    level = ZoomedPlane(ImageStack(image).plane(), zoom, BlockCache())
    first = 50_000 // zoom
    level.read(first, first, 64, 64)
    # Blocks of 512 image pixels, or of 64 zoomed pixels: four of them at worst.
    assert image.pixels <= 4 * max(512, 64 * zoom) ** 2


def test_a_coarse_level_is_read_in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    image = RNG.integers(0, 255, (320, 300), np.uint8)
    whole = plane_level(image, 8).read(0, 0, 40, 38)
    spy = Spy(image)
    monkeypatch.setattr(pyramid, "STRIP_BYTES", 300 * 3 * 4 * 8 * 3)
    found = ZoomedPlane(ImageStack(spy).plane(), 8).read(0, 0, 40, 38)
    np.testing.assert_array_equal(found, whole)
    assert max(key[0].stop - key[0].start for key in spy.reads) == 24
    assert spy.pixels == image.size


def test_dask_computes_only_the_chunks_it_needs() -> None:
    touched: list[Any] = []

    def chunk(block_info: Any = None) -> NDArray[np.uint8]:
        touched.append(block_info[None]["chunk-location"])
        return np.full((64, 64), len(touched), np.uint8)

    image = da.map_blocks(chunk, chunks=((64,) * 8, (64,) * 8), dtype=np.uint8, meta=np.empty(0))
    touched.clear()
    ZoomedPlane(ImageStack(image).plane(), 2).read(33, 33, 10, 10)
    assert touched == [(1, 1)]


def odd_pyramid(image: NDArray[Any], factors: tuple[int, ...], *, up: bool) -> list[NDArray[Any]]:
    """Make a pyramid whose odd ends are rounded up, or cut off."""
    found = []
    for factor in factors:
        cut = image
        if not up:
            cut = image[: image.shape[0] // factor * factor, : image.shape[1] // factor * factor]
        found.append(level_of(cut[..., None], factor)[..., 0].astype(np.float32))
    return found


@settings(max_examples=30)
@given(
    st.integers(48, 120),
    st.integers(48, 120),
    st.booleans(),
    st.sampled_from([2, 3, 4, 6, 8, 16]),
)
def test_the_nearest_pyramid_level_is_used(height: int, width: int, up: bool, zoom: int) -> None:
    image = np.add.outer(np.arange(height) * 2.0, np.arange(width) * 3.0).astype(np.float32)
    spies = [Spy(array) for array in odd_pyramid(image, (1, 2, 4, 8), up=up)]
    stack = ImageStack(spies, rgb=False)
    assert stack.factors == (1, 2, 4, 8)
    level = ZoomedPlane(stack.plane(), zoom)
    shape = level.shape
    found = level.read(0, 0, *shape)
    assert found.shape == (*shape, 3)
    nearest = {2: 1, 3: 0, 4: 2, 6: 1, 8: 3, 16: 3}[zoom]
    assert [bool(spy.reads) for spy in spies] == [i == nearest for i in range(4)]
    # Only the rounded ends may differ from the average of the finest level.
    whole = level_of(image[..., None], zoom)
    inner = (slice(0, height // zoom - 1), slice(0, width // zoom - 1))
    np.testing.assert_allclose(found[inner][..., :1], whole[inner], rtol=1e-4)
    np.testing.assert_allclose(found[..., :1], whole, atol=5 * zoom)


def test_a_pyramid_cut_off_at_its_ends_still_fills_its_level() -> None:
    fine = np.add.outer(np.arange(401), np.arange(303)).astype(np.float32)
    stack = ImageStack([fine, fine[:400:2, :302:2]], rgb=False)
    for zoom, shape in ((2, (201, 152)), (4, (101, 76)), (3.7, (109, 82))):
        level = ZoomedPlane(stack.plane(), zoom)
        assert level.shape == shape
        whole = level.read(0, 0, *shape)
        assert whole.shape == (*shape, 3)
        assert np.isfinite(whole).all()
        around = level.read(-4, -4, shape[0] + 8, shape[1] + 8)
        np.testing.assert_array_equal(
            around, np.pad(whole, [(4, 4), (4, 4), (0, 0)], mode="reflect")
        )


def test_levels_that_are_shrunk_unevenly_are_left_alone() -> None:
    image = RNG.integers(0, 255, (6, 64, 64), np.uint8)
    for other in (image[::2, ::2, ::2], image[:, ::2, :]):
        spy = Spy(other)
        stack = ImageStack([image, spy])
        found = ZoomedPlane(stack.plane((5,)), 2).read(0, 0, 32, 32)
        wanted = level_of(image[5][..., None], 2)
        np.testing.assert_allclose(found[..., :1], wanted, atol=0.5001)
        assert not spy.reads


@pytest.mark.parametrize(("zoom", "level", "factor"), [(6, 1, 3), (4.5, 2, 1.125), (5, 0, 5)])
def test_whole_pixels_are_averaged_where_that_is_possible(
    zoom: float, level: int, factor: float
) -> None:
    spies = [Spy(np.zeros((240 // f, 240 // f), np.float32)) for f in (1, 2, 4)]
    ZoomedPlane(ImageStack(spies, rgb=False).plane(), zoom).read(3, 3, 4, 4)
    assert [bool(spy.reads) for spy in spies] == [i == level for i in range(3)]
    rows = spies[level].reads[0][0]
    assert rows.start == int(3 * factor)
    assert rows.stop == int(np.ceil(7 * factor))
