"""Ellipsoids cut by a slice and drawn on a raster."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_lungcls.synthetic.ellipses import Ellipses, Slice
from napari_lungcls.synthetic.raster import Raster


def ellipse(**changes: float) -> Ellipses:
    values = {"y": 20.0, "x": 20.0, "along": 6.0, "across": 3.0, "angle": 0.0, "strength": 1.0}
    return Ellipses(**{name: np.array([value]) for name, value in {**values, **changes}.items()})


def raster(pixel_size: float = 0.5, pixels: int = 80) -> Raster:
    return Raster(0.0, (0.0, 0.0), (0, 0), (pixels, pixels), pixel_size)


@given(
    st.floats(2, 8), st.floats(2, 8), st.floats(-4, 4), st.floats(15, 25), st.sampled_from([0.3, 1])
)
def test_a_drawn_ellipse_has_its_area_and_place(along, across, angle, y, pixel_size):
    grid = raster(pixel_size, int(40 / pixel_size))
    picture = ellipse(along=along, across=across, angle=angle, y=y, strength=0.8).drawn(grid)
    area = np.pi * along * across
    assert picture.sum() * pixel_size**2 / 0.8 == pytest.approx(area, rel=0.15)
    assert picture.max() <= 0.8 + 1e-12
    centre = (picture.sum(axis=1) @ grid.axis(0)) / picture.sum()
    assert centre == pytest.approx(y, abs=0.1)


def test_the_short_axis_lies_at_the_angle():
    picture = ellipse(angle=np.pi / 2).drawn(raster())
    rows, columns = np.nonzero(picture > 0.5)
    assert np.ptp(columns) > 1.7 * np.ptp(rows)


def test_what_lies_outside_of_the_raster_is_not_drawn():
    assert ellipse(y=-30.0).drawn(raster()).max() == 0
    half = ellipse(y=0.0).drawn(raster()).sum()
    assert half == pytest.approx(ellipse().drawn(raster()).sum() / 2, rel=0.05)


def cut(depth: float, normal: tuple[float, float, float]) -> Ellipses:
    return Slice(0.0, 2.0).through(
        np.array([[depth, 5.0, 6.0]]),
        np.array([normal]),
        along=np.array([4.0]),
        across=np.array([2.0]),
        strength=np.ones(1),
    )


def test_a_slice_shows_the_outline_of_what_it_holds():
    upright, flat = cut(0.9, (0.0, 1.0, 0.0)), cut(0.9, (1.0, 0.0, 0.0))
    assert (upright.along[0], upright.across[0]) == (4.0, 2.0)
    assert (flat.along[0], flat.across[0]) == (4.0, 4.0)
    assert (upright.y[0], upright.x[0]) == (5.0, 6.0)


def test_a_slice_shows_less_of_what_lies_beyond_it():
    beyond = cut(3.0, (0.0, 1.0, 0.0))
    assert beyond.along[0] == pytest.approx(4 * np.sqrt(1 - (2 / 4) ** 2))
    assert len(cut(5.5, (0.0, 1.0, 0.0)).y) == 0
    assert len(cut(3.0, (1.0, 0.0, 0.0)).y) == 0
