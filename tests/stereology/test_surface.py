"""Surface, intercept and thickness, their correction, and what shrinkage does to them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_lungcls.stereology.shrinkage import (
    linear_shrinkage,
    overprojection,
    unshrunk,
)
from napari_lungcls.stereology.surface import (
    corrected_intersections,
    mean_linear_intercept,
    septal_thickness,
    surface_density,
)

# Sums: 116 points on alveoli, 44 on septa, 40 on ducts, 480 intersections.
ALV, SEP, DUCT = (np.array(v) for v in ([30, 28, 31, 27], [10, 12, 11, 11], [12, 9, 8, 11]))
I = np.array([118, 125, 117, 120])  # noqa: E741
AIR, PAR = ALV + DUCT, ALV + DUCT + SEP


def test_worked_example() -> None:
    surface = surface_density(I, PAR, 100.0)
    intercept = mean_linear_intercept(AIR, I, 100.0)
    thickness = septal_thickness(SEP, I, 100.0)
    assert (surface.estimate, surface.unit) == (pytest.approx(480.0), "1/cm")
    assert (intercept.estimate, intercept.unit) == (pytest.approx(65.0), "µm")
    assert (thickness.estimate, thickness.unit) == (pytest.approx(9.1667, abs=5e-5), "µm")
    for found in (surface, intercept, thickness):
        assert found.ci[0] < found.estimate < found.ci[1]
        assert found.ce == pytest.approx(found.se / found.estimate, rel=0.02)
        assert found.n_clusters == 4


def test_the_jackknife_agrees() -> None:
    left = [200 * np.delete(AIR, i).sum() / np.delete(I, i).sum() for i in range(4)]
    again = np.sqrt(3 / 4 * np.sum((left - np.mean(left)) ** 2))
    assert mean_linear_intercept(AIR, I, 100.0).se == pytest.approx(again, rel=0.02)


def test_a_slab_of_air() -> None:
    """Lines at random through air of height h between sheets: L_m is 2h."""
    # Perpendicular lines meet 2 surfaces per period of h + τ, and isotropic ones half as many.
    h, tau, lines, length = 40.0, 8.0, 5, 48_000.0
    surfaces = np.full(lines, 2 * length / (h + tau) / 2)
    points = np.full(lines, length / 10)
    air, septa = points * h / (h + tau), points * tau / (h + tau)
    assert mean_linear_intercept(air, surfaces, 10.0).estimate == pytest.approx(2 * h)
    assert septal_thickness(septa, surfaces, 10.0).estimate == pytest.approx(tau)
    assert surface_density(surfaces, points, 10.0).estimate == pytest.approx(2e4 / (h + tau))


@given(st.lists(st.integers(50, 150), min_size=4, max_size=4), st.floats(0.05, 1))
def test_a_map_that_agrees_needs_no_correction(counted, share) -> None:
    found = corrected_intersections(I, counted, counted, np.full(4, share))
    assert found == pytest.approx(I)


def test_specks_are_taken_off() -> None:
    share = np.array([0.1, 0.2, 0.1, 0.25])
    truth = I * 10.0
    bad = truth * 1.27
    found = corrected_intersections(bad, truth * share, bad * share, share)
    assert found == pytest.approx(truth)


def test_all_lines_audited_is_the_observers_count() -> None:
    assert corrected_intersections([9, 9], [4, 5], [9, 9], [1, 1]) == pytest.approx([4, 5])


def test_columns_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="audited share"):
        corrected_intersections([9], [4], [9], [0])
    with pytest.raises(ValueError, match="every column"):
        corrected_intersections([9, 8], [4], [9, 9], [1, 1])
    with pytest.raises(ValueError, match="length per point"):
        surface_density(I, PAR, 0.0)


def test_shrinkage() -> None:
    factor = linear_shrinkage(1.0, 0.6)
    assert factor == pytest.approx(0.8434, abs=5e-5)
    intercept = unshrunk(mean_linear_intercept(AIR, I, 100.0), factor, 1)
    surface = unshrunk(surface_density(I, PAR, 100.0), factor, -1)
    assert intercept.estimate == pytest.approx(77.07, abs=5e-3)
    assert surface.estimate == pytest.approx(404.8, abs=5e-2)
    assert intercept.ce == mean_linear_intercept(AIR, I, 100.0).ce
    assert unshrunk(surface, factor, 0) == surface


def test_overprojection() -> None:
    assert overprojection(3.0, 500.0) == pytest.approx(0.0375)


def test_overprojection_of_random_sheets() -> None:
    """A tilted sheet projects `t·|cos φ|` beyond its trace; S_V has two sides of it."""
    normals = np.random.default_rng(0).standard_normal((100_000, 3))
    cosine = np.abs(normals[:, 2]) / np.linalg.norm(normals, axis=1)
    sheet, thickness = 500.0 / 2, 3e-4
    assert overprojection(3.0, 500.0) == pytest.approx(sheet * thickness * cosine.mean(), rel=0.01)


@pytest.mark.parametrize(
    "bad",
    [
        lambda: linear_shrinkage(0, 1),
        lambda: overprojection(-1, 500),
        lambda: unshrunk(surface_density(I, PAR, 100.0), 0.0, 1),
    ],
)
def test_sizes_that_make_no_sense(bad) -> None:
    with pytest.raises(ValueError, match="must"):
        bad()
