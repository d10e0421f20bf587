"""The geometry below the sections: lattices, noise, tubes and foam against plain computations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_lungcls.synthetic.foam import Foam
from napari_lungcls.synthetic.lattice import Lattice, derived_key, uniforms
from napari_lungcls.synthetic.raster import COARSE_STEP, Cloud, Raster, SmoothNoise
from napari_lungcls.synthetic.tubes import Balls, TubeNetwork

KEY = derived_key(1, "test")
CORNER = st.tuples(*[st.floats(-3000, 3000)] * 3).map(np.array)


@settings(max_examples=20, deadline=None)
@given(CORNER, st.floats(1, 300), st.floats(5, 200), st.booleans())
def test_a_lattice_finds_every_point_of_a_box(low, size, spacing, turned):
    lattice = Lattice(spacing, KEY, turned=turned)
    _, inside = lattice.points_within(low, low + size)
    # All points from a box that is surely large enough, filtered one by one.
    everything = lattice.points(lattice.cells_near(low - 2 * spacing, low + size + 2 * spacing))
    expected = everything[np.all((everything >= low) & (everything < low + size), axis=1)]
    assert {tuple(p) for p in np.round(inside, 6)} == {tuple(p) for p in np.round(expected, 6)}


def test_a_lattice_has_one_point_per_cell():
    points = Lattice(10.0, KEY).points_within(np.zeros(3), np.full(3, 300.0))[1]
    assert abs(len(points) - 27_000) < 300


def test_random_numbers_belong_to_the_cell_and_are_uniform():
    cells = np.random.default_rng(0).integers(-1000, 1000, size=(5000, 3))
    numbers = uniforms(cells, KEY, 3)
    np.testing.assert_array_equal(numbers[::-1], uniforms(cells[::-1], KEY, 3))
    assert numbers.min() >= 0
    assert numbers.max() < 1
    np.testing.assert_allclose(numbers.mean(axis=0), 0.5, atol=0.02)
    np.testing.assert_allclose(np.cov(numbers.T), np.eye(3) / 12, atol=0.005)


@pytest.fixture
def raster() -> Raster:
    return Raster(3.0, (100.0, -50.0), (7, -4), (30, 40), 1.7)


def test_noise_on_a_raster_is_the_noise_at_its_points(raster):
    field = SmoothNoise(KEY, 200.0)
    np.testing.assert_allclose(
        raster.noise(field), raster.shaped(Cloud(raster.points()).noise(field)), atol=1e-3
    )


def test_noise_has_mean_0_and_variance_1():
    points = np.random.default_rng(0).uniform(-1e4, 1e4, size=(20_000, 3))
    values = SmoothNoise(KEY, 30.0).at(points)
    assert abs(values.mean()) < 0.05
    assert abs(values.std() - 1) < 0.05


def test_noise_finer_than_a_pixel_averages_out():
    rough = Raster(0.0, (0.0, 0.0), (0, 0), (50, 50), 40.0).noise(SmoothNoise(KEY, 10.0))
    assert rough.std() < 0.2


def test_interpolation_of_smooth_functions_is_close(raster):
    def bowl(points):
        return (points**2).sum(axis=1) / 200

    # A radius of 100 µm bends by step²/8/100 between two nodes, in both directions.
    exact = raster.shaped(bowl(raster.points()))
    assert np.abs(raster.smooth(bowl) - exact).max() < 1.01 * 2 * COARSE_STEP**2 / 800


def test_nearest_ball_is_the_one_with_the_nearest_surface_by_power():
    rng = np.random.default_rng(3)
    centres, radii = rng.uniform(0, 100, (60, 3)), rng.uniform(2, 15, 60)
    points = rng.uniform(0, 100, (300, 3))
    balls = Balls(centres, radii, np.ones_like(centres), 500.0)
    distance, radius, centre = balls.nearest(points)
    squares = ((points[:, None] - centres) ** 2).sum(axis=2)
    best = np.argmin(squares - radii**2, axis=1)
    np.testing.assert_array_equal(radius, radii[best])
    np.testing.assert_array_equal(centre, centres[best])
    inside = (squares < radii**2).any(axis=1)
    np.testing.assert_array_equal(distance < 0, inside)


def test_no_balls_are_out_of_reach():
    nothing = Balls(np.empty((0, 3)), np.empty(0), np.empty((0, 3)), 70.0)
    distance, _, _ = nothing.nearest(np.zeros((4, 3)))
    assert (distance == 70).all()


def test_tubes_are_continuous_and_as_wide_as_wanted():
    tubes = TubeNetwork(KEY, spacing=200.0, diameter=60.0, spread=0.1, reach=100.0)
    line = np.zeros((4000, 3))
    line[:, 2] = np.linspace(0, 8000, 4000)
    distance, radius, _ = tubes.near(line[0], line[-1]).nearest(line)
    # Points are 2 µm apart, and a distance changes as fast as one walks.
    near = np.minimum(np.abs(distance[1:]), np.abs(distance[:-1])) < 5
    assert near.sum() > 50
    assert np.abs(np.diff(distance))[near].max() < 2.5
    assert abs(np.median(radius[distance < 0]) - 30) < 5
    assert 0.02 < (distance < 0).mean() < 0.2


@settings(max_examples=10, deadline=None)
@given(CORNER)
def test_a_window_does_not_change_the_tubes(corner):
    tubes = TubeNetwork(KEY, spacing=150.0, diameter=50.0, spread=0.3, reach=60.0)
    small = tubes.near(corner, corner + 100)
    large = tubes.near(corner - 300, corner + 400)
    points = corner + np.random.default_rng(0).uniform(0, 100, (100, 3))
    np.testing.assert_allclose(small.distance(points)[:, 0], large.distance(points)[:, 0])


def foam(**changes) -> Foam:
    values = {"diameter": 60.0, "irregularity": 0.6, "missing": 0.0, "openings": 0.0, "spread": 0.2}
    return Foam(1, **{**values, **changes})


def everywhere(points):
    return np.ones(len(points), dtype=bool)


def test_walls_lie_halfway_between_centres():
    part = foam().near(np.zeros(3), np.full(3, 100.0), everywhere)
    points = np.random.default_rng(0).uniform(0, 100, (200, 3))
    walls = part.walls(points)
    nearest = walls.gap.min(axis=1)
    # Walking to the wall along its normal leads to where the distance to it is 0.
    at_wall = part.walls(points + nearest[:, None] * walls.normal)
    assert np.abs(at_wall.gap.min(axis=1)).max() < 1e-6
    np.testing.assert_allclose(np.linalg.norm(walls.normal, axis=1), 1)


def test_a_wall_has_one_thickness_seen_from_both_sides():
    part = foam().near(np.zeros(3), np.full(3, 100.0), everywhere)
    points = np.random.default_rng(0).uniform(0, 100, (200, 3))
    walls = part.walls(points)
    rows, nearest = np.arange(200), walls.gap.argmin(axis=1)
    step = (walls.gap[rows, nearest] + 1e-3)[:, None] * walls.normal
    beyond = part.walls(points + step)
    other_side = beyond.stoutness[rows, beyond.gap.argmin(axis=1)]
    np.testing.assert_allclose(other_side, walls.stoutness[rows, nearest])


def test_the_foam_has_as_much_wall_as_cells_of_this_size_have():
    points = np.random.default_rng(0).uniform(0, 400, (40_000, 3))
    part = foam(irregularity=0.0, spread=0.0).near(np.zeros(3), np.full(3, 400.0), everywhere)
    inside = part.walls(points).outside(np.full(len(points), 2.0), 1e-3) < 0
    # Truncated octahedra have a surface of 5.315 · volume^(2/3); two cells share each wall.
    volume = np.pi / 6 * 60.0**3
    expected = 2.0 * 5.315 * volume ** (2 / 3) / 2 / volume
    assert abs(inside.mean() / expected - 1) < 0.08


def test_openings_and_missing_cells_leave_less_wall():
    points = np.random.default_rng(0).uniform(0, 300, (20_000, 3))
    share = []
    for changes in ({}, {"openings": 0.3}, {"missing": 0.3}):
        part = foam(**changes).near(np.zeros(3), np.full(3, 300.0), everywhere)
        outside = part.walls(points).outside(np.full(len(points), 6.0), 1.0)
        share.append((outside < 0).mean())
    assert share[1] < 0.85 * share[0]
    assert share[2] < 0.95 * share[0]


def test_fillets_only_add_tissue():
    points = np.random.default_rng(0).uniform(0, 100, (5000, 3))
    walls = foam().near(np.zeros(3), np.full(3, 100.0), everywhere).walls(points)
    thickness = np.full(len(points), 6.0)
    sharp, round_ = walls.outside(thickness, 1e-3), walls.outside(thickness, 4.0)
    assert (round_ <= sharp + 1e-9).all()
    assert ((round_ < 0) & (sharp > 0)).any()
