"""Axes of files in our order, and lazy views that index as numpy does."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.images.axes import LazyView, Opened, arrange, guess_axes
from napari_lungcls.images.pixel_size import micrometres, plausible, square, world


@pytest.mark.parametrize(
    ("axes", "shape", "names", "order", "rgb"),
    [
        ("yx", (5, 6), "yx", (0, 1), False),
        ("yxs", (5, 6, 3), "yx", (0, 1, 2), True),
        ("yxs", (5, 6, 4), "yx", (0, 1, 2), True),
        ("syx", (3, 5, 6), "yx", (1, 2, 0), True),
        ("cyx", (3, 5, 6), "yx", (1, 2, 0), True),
        ("cyx", (1, 5, 6), "yx", (1, 2), False),
        ("zcyxs", (2, 1, 5, 6, 3), "zyx", (0, 2, 3, 4), True),
        ("ztyx", (2, 4, 5, 6), "tzyx", (1, 0, 2, 3), False),
        ("xyzt", (6, 5, 2, 4), "tzyx", (3, 2, 1, 0), False),
        ("tiyx", (4, 7, 5, 6), "tiyx", (0, 1, 2, 3), False),
    ],
)
def test_axes_are_put_in_order(axes, shape, names, order, rgb):
    layout = arrange(axes, shape, "f")
    assert ("".join(layout.names), layout.order, layout.rgb) == (names, order, rgb)


@pytest.mark.parametrize(
    ("axes", "shape", "message"),
    [
        ("cyx", (2, 5, 6), "has 2 channels"),
        ("cyx", (4, 5, 6), "has 4 channels"),
        ("cyxs", (3, 5, 6, 3), "has 3 and 3 channels"),
        ("zx", (5, 6), "needs one y and one x axis"),
        ("yyx", (5, 6, 7), "needs one y and one x axis"),
        ("yx", (5, 6, 7), "needs one y and one x axis"),
    ],
)
def test_axes_that_are_no_image(axes, shape, message):
    with pytest.raises(InputError, match=f"f: {message}"):
        arrange(axes, shape, "f")


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((9, 9), "yx"),
        ((3, 9, 9), "zyx"),
        ((9, 9, 3), "yxs"),
        ((9, 9, 1), "yxs"),
        ((2, 9, 9, 4), "zyxs"),
        ((9, 2, 3), "zyx"),
        ((2, 3, 9, 9), "tzyx"),
    ],
)
def test_axes_are_guessed(shape, axes):
    assert guess_axes(shape) == tuple(axes)


@st.composite
def _views(draw):
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)))
    array = np.arange(int(np.prod(shape)), dtype=draw(st.sampled_from(["<u2", ">u2", "f8"])))
    array = array.reshape(shape)
    order = draw(st.permutations(range(len(shape))))
    keep = draw(st.integers(1, len(shape)))
    kept, dropped = order[:keep], order[keep:]
    expected = array[tuple(0 if a in dropped else slice(None) for a in range(len(shape)))]
    expected = expected.transpose([sorted(kept).index(a) for a in kept])
    return LazyView(array, "f", kept), expected


@st.composite
def _keys(draw, shape):
    def one(length):
        start = st.none() | st.integers(-length - 1, length + 1)
        slices = st.builds(slice, start, start, st.none() | st.integers(1, 3))
        return draw(st.integers(-length, length - 1) | slices)

    keys = [one(n) for n in shape[: draw(st.integers(0, len(shape)))]]
    if draw(st.booleans()):
        keys.insert(len(keys), Ellipsis)
    return tuple(keys)


@given(_views(), st.data())
def test_views_index_as_numpy_does(pair, data):
    view, expected = pair
    key = data.draw(_keys(expected.shape))
    found = view[key]
    assert found.dtype == expected.dtype.newbyteorder("=") == view.dtype
    np.testing.assert_array_equal(found, expected[key])


def test_ellipsis_may_stand_anywhere():
    array = np.arange(24).reshape(2, 3, 4)
    view = LazyView(array, "f")
    np.testing.assert_array_equal(view[..., 1], array[..., 1])
    np.testing.assert_array_equal(view[0, ..., :2], array[0, ..., :2])
    np.testing.assert_array_equal(np.asarray(view), array)
    assert (len(view), view.size, view.ndim, view.chunks) == (2, 24, 3, None)


@pytest.mark.parametrize("key", [2, -3, (0, 0, 0, 0), slice(None, None, -1), (..., ...)])
def test_bad_keys_are_index_errors(key):
    with pytest.raises(IndexError):
        LazyView(np.zeros((2, 3, 4)), "f")[key]


def test_a_read_that_fails_names_the_file():
    class Broken:
        shape, dtype = (2, 2), np.dtype("u1")

        def __getitem__(self, key):
            raise RuntimeError("bad strip")

    with pytest.raises(InputError, match=r"scan\.tif: cannot be read \(bad strip\); the file is"):
        LazyView(Broken(), "scan.tif")[0]


def test_pieces_that_no_memory_holds_are_refused():
    class Announced:
        shape, chunks, dtype = (10**6, 10**6), (10**5, 10**5), np.dtype("u1")

    with pytest.raises(InputError, match=r"f: is stored in pieces of 9\.3 GiB"):
        LazyView(Announced(), "f")


def test_the_file_closes_with_its_last_view():
    closed = []
    opened = Opened(lambda: closed.append(True))
    views = [LazyView(np.zeros((2, 2)), "f", opened=opened) for _ in range(2)]
    del opened
    views.pop()
    gc.collect()
    assert closed == []
    views.pop()
    gc.collect()
    assert closed == [True]


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("micrometer", 1),
        ("µm", 1),
        ("\u03bcm", 1),
        ("\\u00B5m", 1),
        ("nm", 1e-3),
        ("mm", 1e3),
        ("Å", 1e-4),
        ("inch", 25400),
        ("pixel", None),
        ("", None),
        (None, None),
    ],
)
def test_units(unit, factor):
    assert micrometres(unit) == factor


@pytest.mark.parametrize("dpi", [72, 96, 100, 150, 300, 600, 1200])
def test_print_resolutions_are_not_believed(dpi):
    assert not plausible(25400 / dpi)
    assert plausible(25400 / 40000)


def test_pixels_that_are_not_square_are_said_aloud():
    with pytest.warns(LungclsWarning, match=r"f: pixels are not square, 4 by 1 µm"):
        assert square(4.0, 1.0, "f") == 2.0


@pytest.mark.parametrize("bad", [None, 0.0, -1.0, float("nan"), float("inf")])
def test_unknown_sizes(bad):
    assert square(bad, bad, "f") is None
    assert square(bad, 0.5, "f") == 0.5
    assert world("zyx", {"x": bad, "z": 3.0}, "f") == (None, (1.0, 1.0, 1.0), "pixel")
    assert world("tzyx", {"x": 0.5, "z": bad}, "f") == (0.5, (1.0, 1.0, 0.5, 0.5), "micrometer")
