"""Grids of points in rectangles, straight and askew, against plain counting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_lungcls.inference.point_grid import PointGrid

SHAPE = (100, 200)


def box(top: float, left: float, bottom: float, right: float) -> np.ndarray:
    return np.array([[top, left], [top, right], [bottom, right], [bottom, left]])


def inside(points: np.ndarray, outline: np.ndarray, slack: float = 1e-6) -> np.ndarray:
    """Tell which points are on the same side of every edge of a convex outline."""
    edges = np.roll(outline, -1, axis=0) - outline
    from_corner = points[:, None] - outline[None]
    side = edges[:, 0] * from_corner[..., 1] - edges[:, 1] * from_corner[..., 0]
    return (side >= -slack).all(axis=1) | (side <= slack).all(axis=1)


def test_squares_of_the_spacing_get_a_point_in_their_middle():
    points = PointGrid.within(box(9.5, 19.5, 29.5, 49.5), 10, SHAPE).points()
    assert points.tolist() == [[y, x] for y in (14.5, 24.5) for x in (24.5, 34.5, 44.5)]


def test_what_is_left_over_lies_half_on_each_side():
    points = PointGrid.within(box(10, 20, 35, 34), 10, SHAPE).points()
    assert points.tolist() == [[17.5, 27], [27.5, 27]]


def test_a_small_rectangle_has_one_point():
    assert PointGrid.within(box(10, 20, 11, 22), 50, SHAPE).points().tolist() == [[10.5, 21]]


def test_a_line_along_an_axis_is_a_row_of_points():
    assert PointGrid.within(box(10, 20, 10, 50), 10, SHAPE).points().tolist() == [
        [10, 25], [10, 35], [10, 45],
    ]  # fmt: skip


def test_what_lies_outside_is_cut_off():
    points = PointGrid.within(box(-50, -50, 500, 500), 10, SHAPE).points()
    assert len(points) == 10 * 20
    assert points.min(axis=0).tolist() == [4.5, 4.5]
    assert points.max(axis=0).tolist() == [94.5, 194.5]


@pytest.mark.parametrize("where", [(-30, 5, -2, 50), (5, 200, 20, 260), (100, 0, 130, 40)])
def test_outside_there_are_no_points(where):
    lattice = PointGrid.within(box(*where), 5, SHAPE)
    assert len(lattice) == 0
    assert lattice.points().shape == (0, 2)


@given(
    centre=st.tuples(st.floats(-20, 120), st.floats(-20, 220)),
    sides=st.tuples(st.floats(0, 90), st.floats(0, 150)),
    angle=st.floats(0, 2 * np.pi),
    spacing=st.floats(3, 30),
)
def test_points_of_a_turned_rectangle_lie_on_the_grid_and_in_it(centre, sides, angle, spacing):
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    half = np.array(sides) / 2
    outline = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]]) * half @ turn.T + centre
    lattice = PointGrid.within(outline, spacing, SHAPE)
    points = lattice.points()
    assert len(points) == len(lattice)
    assert inside(points, outline).all()
    assert ((points >= -0.5 - 1e-9) & (points <= np.array(SHAPE) - 0.5 + 1e-9)).all()
    if len(points):
        steps = (points - points[0]) / spacing
        assert np.abs(steps - np.rint(steps)).max() < 1e-6
        assert len(np.unique(np.rint(steps), axis=0)) == len(points)


@given(angle=st.floats(0.05, 1.5), spacing=st.floats(2, 5))
def test_a_turned_rectangle_misses_no_point_of_its_grid(angle, spacing):
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    outline = np.array([[-20, -30], [-20, 30], [20, 30], [20, -30]]) @ turn.T + [50, 100]
    lattice = PointGrid.within(outline, spacing, SHAPE)
    around = np.arange(-60, 61) * spacing
    grid = np.stack(np.meshgrid(around, around, indexing="ij"), -1).reshape(-1, 2)
    surely = inside(grid + lattice.points()[0], outline, slack=-1e-6)
    assert surely.sum() <= len(lattice) <= 1.2 * 40 * 60 / spacing**2


def test_a_grid_that_is_too_fine_is_counted_at_once_and_says_how_coarse_it_must_be():
    lattice = PointGrid.within(box(-0.5, -0.5, 49_999.5, 59_999.5), 1, (50_000, 60_000))
    assert len(lattice) == 3_000_000_000
    wanted = lattice.coarser(10_000)
    assert wanted == 548
    coarse = PointGrid.within(box(-0.5, -0.5, 49_999.5, 59_999.5), wanted, (50_000, 60_000))
    assert 9_000 < len(coarse) <= 10_000
