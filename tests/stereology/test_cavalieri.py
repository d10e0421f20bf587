"""Cavalieri volumes against a worked example and a sphere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_lungcls.stereology.cavalieri import cavalieri, cavalieri_ce, counting_noise

POINTS = (6, 17, 25, 28, 22, 12, 3)


def test_seven_sections() -> None:
    assert counting_noise(113, 7, 5.0) == pytest.approx(10.181, abs=5e-4)
    assert cavalieri_ce(POINTS, smoothness=0) == pytest.approx(0.03708, abs=5e-6)
    assert cavalieri_ce(POINTS, smoothness=1) == pytest.approx(0.02874, abs=5e-6)


def test_the_volume_goes_by_spacing_and_area() -> None:
    found = cavalieri(POINTS, spacing=1000, area_per_point=250_000)
    assert found.estimate == pytest.approx(113 * 1e-1 * 25e-4)
    assert found.unit == "cm³"
    assert found.se == pytest.approx(found.estimate * cavalieri_ce(POINTS))
    assert (found.ci, found.n_clusters) == (None, 7)


def test_smoothness_1_predicts_the_error_of_a_sphere() -> None:
    off, predicted = [], {0: [], 1: []}
    for m in np.linspace(8, 10, 41):
        spacing = 2 / m
        for start in (np.arange(60) + 0.5) / 60 * spacing:
            z = np.arange(start - 1, 1, spacing)
            areas = np.pi * (1 - z**2)
            off.append(spacing * areas.sum() / (4 * np.pi / 3) - 1)
            for smoothness, found in predicted.items():
                found.append(cavalieri_ce(areas, shape=0, smoothness=smoothness))

    def root(values):
        return np.sqrt(np.mean(np.square(values)))

    assert root(off) == pytest.approx(0.00402, rel=0.02)
    assert root(predicted[1]) == pytest.approx(0.00395, rel=0.01)
    assert root(predicted[0]) == pytest.approx(0.0177, rel=0.01)


@given(st.lists(st.integers(0, 50), min_size=3, max_size=15))
def test_the_error_does_not_depend_on_the_direction(points) -> None:
    there, back = cavalieri_ce(points), cavalieri_ce(points[::-1])
    assert there == (pytest.approx(back) if sum(points) else None)
    assert there is None or there >= np.sqrt(counting_noise(sum(points), len(points), 5)) / sum(
        points
    )


@pytest.mark.parametrize("points", [[], [3, 4], [0, 0, 0]])
def test_too_little_for_an_error(points) -> None:
    found = cavalieri(points, 1.0, 1.0)
    assert (found.ce, found.se) == (None, None)
    assert found.estimate == pytest.approx(sum(points) * 1e-12)


@pytest.mark.parametrize("bad", [[[1, 2]], [1, -1, 2], [1, np.inf, 1]])
def test_series_that_are_none(bad) -> None:
    with pytest.raises(ValueError, match="points"):
        cavalieri(bad, 1.0, 1.0)


def test_spacing_is_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        cavalieri(POINTS, 0.0, 1.0)
