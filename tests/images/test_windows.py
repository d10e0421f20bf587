"""Windows: where they lie, to fractions of a pixel, on the right plane."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.images.geometry import to_image
from napari_lungcls.images.pyramid import BlockCache, ZoomedPlane, read_windows
from napari_lungcls.images.stack import ImageStack, check_inside, plane_indices

RNG = np.random.default_rng(0)


def ramps(*shape: int) -> NDArray[np.float32]:
    """Make an image whose red is the row and whose green is the column."""
    rows, columns = np.indices(shape, dtype=np.float32)[-2:]
    return np.stack([rows, columns, np.zeros(shape, np.float32)], -1)


def bilinear(window: NDArray[Any], place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Read a window at a place in it, channel by channel."""
    (y, x), (fy, fx) = np.floor(place).astype(int), place % 1
    rows = window[y] * (1 - fy) + window[min(y + 1, len(window) - 1)] * fy
    value: NDArray[np.float64] = rows[x] * (1 - fx) + rows[min(x + 1, len(rows) - 1)] * fx
    return value


@settings(max_examples=40)
@given(st.data(), st.sampled_from([16, 17, 32]), st.sampled_from([1.0, 2.0, 3.0, 2.5, 0.5]))
def test_the_place_is_the_point(data: st.DataObject, size: int, zoom: float) -> None:
    # So far inside that no window is reflected.
    margin = size * zoom
    stack = ImageStack(ramps(300, 310))
    point = np.array([[data.draw(st.floats(margin, n - margin)) for n in stack.plane_shape]])
    windows, places = read_windows(stack, point, [zoom], size)
    assert windows.shape == (1, 1, size, size, 3)
    assert ((size - 1) / 2 <= places).all()
    assert (places < (size + 1) / 2).all()
    # Averages over fractions of a pixel see steps, not a ramp.
    tolerance = 1e-3 if zoom in (0.5, 1, 2, 3) else 0.07
    found = bilinear(windows[0, 0], places[0, 0])[:2]
    np.testing.assert_allclose(found, point[0], atol=tolerance)


@settings(max_examples=30)
@given(st.data(), st.sampled_from([1, 2, 5]))
def test_at_the_borders_the_reflection_is_seen(data: st.DataObject, zoom: int) -> None:
    image = RNG.integers(0, 255, (37, 41, 3), np.uint8)
    stack = ImageStack(image)
    point = np.array([[data.draw(st.floats(-0.5, n - 0.5)) for n in stack.plane_shape]])
    windows, places = read_windows(stack, point, [zoom], 32)
    level = ZoomedPlane(stack.plane(), zoom)
    whole = level.read(0, 0, *level.shape)
    wide = np.pad(whole, [(40, 40), (40, 40), (0, 0)], mode="reflect")
    first = (point[0] + 0.5) / zoom - 0.5 - places[0, 0]
    assert first == pytest.approx(np.rint(first), abs=1e-9)
    y, x = np.rint(first).astype(int) + 40
    np.testing.assert_array_equal(windows[0, 0], wide[y : y + 32, x : x + 32])


def test_several_zooms_look_at_the_same_point() -> None:
    stack = ImageStack(ramps(400, 400))
    points = RNG.uniform(150, 250, (5, 2))
    windows, places = read_windows(stack, points, [1, 3, 8], 32)
    for k in range(3):
        for i, point in enumerate(points):
            found = bilinear(windows[i, k], places[i, k])[:2]
            np.testing.assert_allclose(found, point, atol=1e-3)


@given(st.permutations(range(12)))
@settings(max_examples=15)
def test_the_order_of_points_does_not_matter(order: list[int]) -> None:
    rng = np.random.default_rng(1)
    stack = ImageStack(rng.integers(0, 255, (3, 60, 70), np.uint8), rgb=False)
    points = np.column_stack([rng.integers(0, 3, 12), rng.uniform(0, 59, (12, 2))])
    windows, places = read_windows(stack, points, [1, 4], 16)
    shuffled, where = read_windows(stack, points[order], [1, 4], 16)
    np.testing.assert_array_equal(shuffled, windows[order])
    np.testing.assert_array_equal(where, places[order])


@pytest.mark.parametrize("leading", [(), (4,), (2, 3), (2, 2, 3)])
def test_points_see_their_own_plane(leading: tuple[int, ...]) -> None:
    numbers = np.arange(int(np.prod(leading, dtype=int)), dtype=np.uint8).reshape(leading)
    image = np.broadcast_to(numbers[..., None, None], (*leading, 20, 20))
    stack = ImageStack(image)
    index = np.array(list(np.ndindex(*leading)), float).reshape(numbers.size, len(leading))
    points = np.column_stack([index + 0.4, np.full((len(index), 2), 7.0)])
    windows, _ = read_windows(stack, points, [1], 16)
    np.testing.assert_array_equal(windows.max((1, 2, 3, 4)), numbers.reshape(-1))
    np.testing.assert_array_equal(windows.min((1, 2, 3, 4)), numbers.reshape(-1))


@given(st.integers(1, 9), st.floats(0, 1))
def test_every_position_inside_has_a_plane(count: int, share: float) -> None:
    stack = ImageStack(np.zeros((count, 9, 9), np.uint8), rgb=False)
    z = -0.5 + share * count
    check_inside(stack, np.array([[z, 0, 0]]))
    (index,) = plane_indices(stack, np.array([[z, 0, 0]]))[0]
    assert 0 <= index < count
    assert abs(index - z) <= 0.5


def test_windows_cost_one_read_per_block() -> None:
    reads = []

    class Counted(np.ndarray[Any, Any]):
        def __getitem__(self, key: Any) -> Any:
            reads.append(key)
            return np.asarray(self)[key]

    image = RNG.integers(0, 255, (600, 300), np.uint8)
    points = RNG.uniform(60, 240, (50, 2))
    stack = ImageStack(image.view(Counted))
    windows, _ = read_windows(stack, points, [1], 32, cache=BlockCache())
    assert len(reads) == 1
    np.testing.assert_array_equal(windows, read_windows(ImageStack(image), points, [1], 32)[0])


def test_a_window_sits_on_the_pixels_that_geometry_names() -> None:
    image = np.zeros((64, 64), np.float32)
    image[24:28, 40:44] = 1
    # At zoom 4 this is zoomed pixel (6, 10).
    point = np.array([[to_image(6, 4), to_image(10, 4)]])
    windows, places = read_windows(ImageStack(image), point, [4], 16)
    assert np.argwhere(windows[0, 0, ..., 0]).tolist() == np.rint(places[0]).tolist()


STACK = ImageStack(np.zeros((4, 20, 30), np.uint8), source="a.tif")


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([[0, 0, 0], [0, 19.6, 0]], r"b.csv: point 2 at \(0, 19.6, 0\) lies outside a.tif"),
        ([[0, 0, 0], [0, -1, 0], [9, 0, 0]], r"point 2 at \(0, -1, 0\) and 1 more lie outside"),
        ([[3.6, 0, 0]], r"shape \(4, 20, 30\)"),
        ([[0, np.nan, 0]], "lies outside"),
        ([[0, 0, np.inf]], "lies outside"),
        ([[0, 0]], r"have 2 axes, but a.tif has 3"),
        ([[0, 0, 0, 0]], r"have 4 axes, but a.tif has 3"),
        ([[0, 0, 0, 0]], r"give one coordinate per image axis, without colour"),
        ([0, 0, 0], r"have the shape \(n, 3\), one row for each point, not \(3,\)"),
    ],
)
def test_points_outside_are_refused(points: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_inside(STACK, np.array(points, float), "b.csv")


def test_the_very_edges_are_inside() -> None:
    check_inside(STACK, np.array([[-0.5, -0.5, -0.5], [3.5, 19.5, 29.5]]))
