"""Points drawn from the truth of synthetic sections."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt
from scipy.stats import kstest

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.synthetic import (
    LungSection,
    lazy_stack,
    make_section,
    make_stack,
    sample_points,
)


@pytest.fixture(scope="module")
def section() -> LungSection:
    return make_section((400, 300), seed=1)


def values(section, points) -> np.ndarray:
    index = points.coordinates.astype(int)
    assert (index == points.coordinates).all()
    return np.asarray(section.truth)[tuple(index.T)]


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 60), st.floats(0, 1.5), st.integers(0, 1000))
def test_points_lie_inside_their_class(section, per_class, margin, seed):
    points = sample_points(section, per_class, margin=margin, seed=seed)
    assert len(points) == 3 * per_class
    assert len(np.unique(points.coordinates, axis=0)) == len(points)
    codes = points.codes(section.scheme)
    assert (values(section, points) == codes + 1).all()
    for code in range(3):
        inside = distance_transform_edt(section.truth == code + 1)
        index = points.coordinates[codes == code].astype(int)
        assert (inside[tuple(index.T)] > margin).all()


def test_points_spread_over_the_area():
    truth = np.full((300, 200), 1, dtype=np.uint8)
    flat = LungSection(truth[..., None].repeat(3, 2), truth, 1.0, ClassScheme.preset("lung"), 0)
    where = sample_points(flat, 500, classes=["alveoli"]).coordinates / (300, 200)
    for axis in range(2):
        assert kstest(where[:, axis], "uniform").pvalue > 1e-3


def test_seeds_repeat_and_differ(section):
    one, two, other = (sample_points(section, 20, seed=seed).coordinates for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()


def test_each_class_may_have_its_own_margin(section):
    points = sample_points(section, 50, margin={"duct": 8.0})
    inside = distance_transform_edt(section.truth == 3)
    index = points.coordinates[100:].astype(int)
    assert (inside[tuple(index.T)] > 8).all()
    edge = distance_transform_edt(section.truth == 2)
    index = points.coordinates[50:100].astype(int)
    assert (edge[tuple(index.T)] == 1).any()


@pytest.mark.parametrize("make", [make_stack, lazy_stack])
def test_points_of_a_stack_have_three_coordinates(make):
    stack = make((4, 80, 90), seed=1, spacing=40.0)
    points = sample_points(stack, 40, classes=("septa", "alveoli"))
    assert points.coordinates.shape == (80, 3)
    assert list(points.labels) == ["septa"] * 40 + ["alveoli"] * 40
    assert (values(stack, points) == points.codes(stack.scheme) + 1).all()
    assert len(np.unique(points.coordinates[:, 0])) == 4


def test_classes_that_are_missing_or_unknown_are_named(section):
    with pytest.raises(InputError, match=r"class outside has 0 pixels .* larger"):
        sample_points(section, 5, classes=["outside"])
    with pytest.raises(InputError, match="bronchus"):
        sample_points(section, 5, classes=["bronchus"])
    with pytest.raises(InputError, match="at least 1 point"):
        sample_points(section, 0)
