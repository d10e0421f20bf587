"""Bodies of known surface: what the counts on their maps say."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_lungcls.errors import LungclsWarning
from napari_lungcls.inference.map_data import MapHeader
from napari_lungcls.inference.painted import PaintedMap
from napari_lungcls.stereology.plane_counts import total
from napari_lungcls.stereology.raster import count_map
from napari_lungcls.stereology.raster_surface import (
    RasterSurface,
    direction_weights,
    measure_surface,
)
from napari_lungcls.synthetic import make_section
from phantoms import LUNG, cylinders, foam, map_of, sheets, spheres, tissue_in_air

QUARTERS = np.arange(4) * np.pi / 4


def measured(tissue, cell_um=(1.0, 1.0), vertical=None) -> RasterSurface:
    """Measure tissue, `(h, w)` or many planes of it, at stride 1."""
    counts = count_map(map_of(tissue_in_air(tissue), cell_um=cell_um), LUNG)
    return measure_surface(total(counts), vertical)[0]


def discs(radius, cell=(1.0, 1.0), n=60) -> np.ndarray:
    """One disc in each of `n` planes, at places that vary within a cell."""
    size = [int(np.ceil((2 * radius + 3) / c)) for c in cell]
    y, x = np.indices(size, dtype=float)
    share = np.arange(n)[:, None, None]
    dy = (y + 0.7548776662 * share % 1) * cell[0] - radius - cell[0]
    dx = (x + 0.5698402910 * share % 1) * cell[1] - radius - cell[1]
    return np.hypot(dy, dx) < radius


@pytest.mark.parametrize("radius", [3, 4, 5, 7, 10, 20, 50])
def test_the_outline_of_discs(radius):
    found = measured(discs(radius))
    # In the plane the outline per area is B_A = π/2 I_L, of a disc 2/r: so τ = V/I_L = π/4 r.
    assert found.mean_septal_thickness == pytest.approx(np.pi / 4 * radius, rel=0.012)
    assert found.septal_thickness == pytest.approx(np.pi / 4 * radius, rel=0.02)


@pytest.mark.parametrize("cell", [(1.0, 1.5), (2.0, 1.0)])
def test_cells_that_are_not_square(cell):
    found = measured(discs(20.0, cell, n=200), cell)
    assert found.mean_septal_thickness == pytest.approx(np.pi / 4 * 20, rel=0.012)
    assert found.septal_thickness == pytest.approx(np.pi / 4 * 20, rel=0.012)


@pytest.mark.parametrize("radius", [8.0, 20.0])
def test_spheres(radius):
    tissue = spheres(radius, 2.5 * radius)
    found = measured(tissue)
    per_period = 4 * np.pi * radius**2 / (2.5 * radius) ** 3
    assert found.mean_surface_density == pytest.approx(1e4 * per_period, rel=0.01)
    assert found.mean_septal_thickness == pytest.approx(2 * radius / 3, rel=0.01)
    assert measured(~tissue).mean_linear_intercept == pytest.approx(4 * radius / 3, rel=0.01)


@pytest.mark.parametrize("radius", [6.0, 12.0])
def test_cylinders(radius):
    tissue = cylinders(radius, 2.4 * radius)
    found = measured(tissue)
    per_period = 2 * np.pi * radius / (2.4 * radius) ** 2
    assert found.mean_surface_density == pytest.approx(1e4 * per_period, rel=0.01)
    assert found.mean_septal_thickness == pytest.approx(radius, rel=0.01)
    assert measured(~tissue).mean_linear_intercept == pytest.approx(2 * radius, rel=0.01)


@pytest.mark.parametrize("thickness", [1.5, 2.0, 3.0, 6.0])
def test_sheets_and_slabs(thickness):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LungclsWarning)
        found = measured(sheets(thickness, 24.0))
    air = 24.0 - thickness
    assert found.mean_surface_density == pytest.approx(2e4 / 24.0, rel=0.01)
    assert found.mean_septal_thickness == pytest.approx(thickness, rel=0.01)
    assert found.mean_linear_intercept == pytest.approx(2 * air, rel=0.01)


@pytest.mark.parametrize(("thickness", "warns"), [(0.5, True), (1.2, True), (3.0, False)])
def test_septa_that_are_thin_for_the_cells_are_told(thickness, warns):
    counts = total(count_map(map_of(tissue_in_air(sheets(thickness, 24.0))), LUNG, image="s1"))
    if not warns:
        assert not measure_surface(counts)[0].too_coarse
        return
    with pytest.warns(LungclsWarning, match="s1: cells of the map are 1 µm"):
        found, *_ = measure_surface(counts)
    assert found.too_coarse
    assert found.mean_surface_density < 2e4 / 24


def test_larger_strides_see_less_of_thin_septa():
    counts = total(count_map(map_of(tissue_in_air(sheets(3.0, 24.0))), LUNG))
    one, two, four = measure_surface(counts)
    assert (one.stride, two.stride, four.stride) == (1, 2, 4)
    assert two.mean_surface_density == pytest.approx(one.mean_surface_density, rel=0.01)
    assert four.mean_surface_density < 0.97 * one.mean_surface_density
    assert (one.too_coarse, two.too_coarse) == (False, True)


@given(st.sampled_from([0.5, 1.0, 2.0]), st.sampled_from([0.5, 1.0, 2.0]))
def test_lengths_are_in_micrometres(scale, other):
    tissue = discs(9.0, n=2)
    one, two = measured(tissue, (scale, scale)), measured(tissue, (other, other))
    ratio = other / scale
    assert two.mean_linear_intercept == pytest.approx(one.mean_linear_intercept * ratio)
    assert two.mean_septal_thickness == pytest.approx(one.mean_septal_thickness * ratio)
    assert two.mean_surface_density == pytest.approx(one.mean_surface_density / ratio)


def test_a_stretched_section_shows_it():
    plain, stretched = measured(foam(600, 9.0, 300)), measured(foam(600, 9.0, 300, stretch=1.5))
    assert plain.anisotropy < 1.1
    assert plain.direction_ce < 0.03
    across = stretched.intercepts[2] / stretched.intercepts[0]
    assert across == pytest.approx(1.5 * plain.intercepts[2] / plain.intercepts[0], rel=0.01)
    assert stretched.anisotropy == pytest.approx(across)
    assert stretched.direction_ce > 0.05


@pytest.mark.parametrize(("field", "clipped", "lines"), [(500.0, 53.3, 2000), (2000.0, 58.2, 500)])
def test_borders_do_not_shorten_exponential_chords(field, clipped, lines):
    """Air of 60 µm on average and walls of 6 µm, on lines as long as a field."""
    rng, cell = np.random.default_rng(2), 0.25
    at = np.arange(0, field, cell)
    air = np.empty((lines, at.size), np.bool_)
    for line in air:
        ends = np.cumsum(np.stack([rng.exponential(60.0, 80), np.full(80, 6.0)], axis=1))
        line[:] = np.searchsorted(ends - rng.uniform(500, 1500), at) % 2 == 0
    starts = np.count_nonzero(air[:, 1:] & ~air[:, :-1]) + np.count_nonzero(air[:, 0])
    assert air.sum() * cell / starts == pytest.approx(clipped, abs=0.8)
    classes = np.zeros((2 * lines, at.size), np.uint8)  # lines are no neighbours of each other
    classes[::2] = tissue_in_air(~air)
    (counts,) = count_map(map_of(classes, cell_um=(cell, cell)), LUNG)
    assert measure_surface(counts)[0].linear_intercept[0] == pytest.approx(60.0, abs=0.8)


def test_specks_raise_the_surface_and_hardly_the_volume():
    tissue = foam(800, 4.5, 600)
    flipped = tissue ^ (np.random.default_rng(3).random(tissue.shape) < 0.01)
    clean, specked = measured(tissue), measured(flipped)
    assert 1.24 < specked.mean_surface_density / clean.mean_surface_density < 1.30
    assert specked.air_shares == pytest.approx(clean.air_shares, abs=0.01)


def test_a_lung_painted_coarse_and_fine():
    """Its truth at 1 µm and at 0.5 µm, where cells two apart are those of the coarse map."""
    phases = ("air", "tissue", "air", "none", "none")
    found = []
    for pixel, size in ((1.0, 300), (0.5, 600)):
        lung = make_section((size, size), pixel_size=pixel, seed=4)
        header = MapHeader(
            shape=(size, size), scale=(pixel, pixel), translate=(0.0, 0.0), unit="micrometer",
            scheme=lung.scheme, stride=1,
        )  # fmt: skip
        found.append(measure_surface(*count_map(PaintedMap(lung.truth, None, header), phases)))
    coarse, fine = found
    for name, close in (("mean_surface_density", 0.01), ("mean_septal_thickness", 0.015),
                        ("mean_linear_intercept", 0.01)):  # fmt: skip
        assert getattr(fine[0], name) == pytest.approx(getattr(coarse[0], name), rel=close)
        assert getattr(fine[1], name) == pytest.approx(getattr(coarse[0], name), rel=0.005)
    densities = [one.mean_surface_density for one in (*fine, *coarse[1:])]
    assert densities == sorted(densities, reverse=True)


@pytest.mark.parametrize("axis", [0, 1])
def test_vertical_sections_weigh_by_the_sine(axis):
    """Parallel sheets along or across the vertical; in space both have S_V = 2/period."""
    angles = np.arange(1800) * np.pi / 1800
    vertical = np.pi / 2 * (1 - axis)
    weights = direction_weights(angles, vertical)
    sine = np.abs(np.sin(angles - vertical))
    assert weights == pytest.approx(sine / sine.sum(), abs=1e-6)
    across = weights @ np.abs(np.cos(angles - vertical))
    along = weights @ sine * 2 / np.pi  # sheets along the vertical, turned about it at random
    assert (across, along) == (pytest.approx(0.5, abs=1e-5), pytest.approx(0.5, abs=1e-5))


def test_four_directions_are_as_good_as_documented():
    vertical = np.pi / 2
    weights = direction_weights(QUARTERS, vertical)
    assert weights @ np.abs(np.cos(QUARTERS - vertical)) == pytest.approx(0.5 * 0.92, rel=0.005)
    along = weights @ np.abs(np.sin(QUARTERS - vertical)) * 2 / np.pi
    assert along == pytest.approx(0.5 * 0.975, rel=0.002)
    found = measured(np.arange(60)[:, None].repeat(60, 1) % 12 < 6, vertical=vertical)
    assert found.weights == pytest.approx(weights)


@given(
    st.lists(st.floats(0, 3.1), min_size=2, max_size=6, unique_by=lambda a: round(a, 3)),
    st.none() | st.floats(-7, 7),
)
def test_weights_are_shares(angles, vertical):
    weights = direction_weights(np.sort(angles), vertical)
    assert weights.sum() == pytest.approx(1.0)
    assert (weights >= 0).all()
    turned = None if vertical is None else vertical + np.pi
    assert direction_weights(np.sort(angles), turned) == pytest.approx(weights)


def test_nothing_tested_is_nan_and_no_warning():
    counts = total(count_map(map_of(np.zeros((5, 5), np.uint8)), LUNG))
    found, *_ = measure_surface(counts)
    assert np.isnan(found.mean_surface_density)
    assert np.isnan(found.mean_linear_intercept)
    assert not found.too_coarse
    (air,) = count_map(map_of(np.ones((5, 5), np.uint8)), LUNG)
    assert measure_surface(air)[0].mean_surface_density == 0
    assert np.isnan(measure_surface(air)[0].mean_linear_intercept)
