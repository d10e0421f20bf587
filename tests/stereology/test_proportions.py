"""Intervals of rare fractions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from napari_lungcls.stereology.proportions import (
    clopper_pearson,
    is_rare,
    korn_graubard,
    mover,
    proportion,
)


@given(st.integers(0, 60), st.integers(60, 400))
def test_clopper_pearson_is_scipys(hits, n) -> None:
    exact = binomtest(hits, n).proportion_ci(method="exact")
    assert clopper_pearson(hits / n, n) == pytest.approx((exact.low, exact.high), abs=1e-9)


@given(st.integers(0, 200), st.floats(1, 40), st.floats(0, 0.01))
def test_clusters_only_widen(hits, df, variance) -> None:
    p = hits / 200
    low, high = korn_graubard(p, 200, variance, df)
    inner = clopper_pearson(p, 200)
    assert low <= inner[0] + 1e-12
    assert high >= inner[1] - 1e-12
    assert 0 <= low <= p <= high <= 1
    assert high - low > 0.01


def test_the_effective_number_of_points() -> None:
    """Twice the binomial variance and 4 degrees of freedom: n/2·(1.9720/2.7764)²."""
    p, n = 0.04, 200
    effective = 100 * (1.97196 / 2.77645) ** 2
    found = korn_graubard(p, n, 2 * p * (1 - p) / n, 4)
    assert found == pytest.approx(clopper_pearson(p, effective), abs=1e-4)


def test_no_point_of_a_class_is_not_certainty() -> None:
    found = proportion([0, 0, 0, 0, 0], [40, 42, 38, 40, 40])
    assert (found.estimate, found.se, found.ci_method) == (0, 0, "korn-graubard")
    assert found.ci[0] == 0
    assert 0.03 < found.ci[1] < 0.05


def test_frequent_classes_keep_the_symmetric_interval() -> None:
    found = proportion([9, 12, 7, 10, 8], [40, 52, 38, 47, 43])
    assert found.ci_method == "t-cr2"
    assert np.mean(found.ci) == pytest.approx(found.estimate)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(20, 60)), min_size=2, max_size=8))
@settings(max_examples=50)
def test_the_rest_of_a_rare_class_mirrors_it(clusters) -> None:
    x, y = np.array(clusters).T
    one, other = proportion(x, y), proportion(y - x, y)
    assert other.ci == pytest.approx((1 - one.ci[1], 1 - one.ci[0]), abs=1e-9)


def test_clusters_that_agree_exactly_still_get_an_interval() -> None:
    found = proportion([8, 8, 8], [40, 40, 40])
    assert (found.se, found.ci_method) == (0, "korn-graubard")
    assert found.ci[0] < 0.15 < 0.25 < found.ci[1]


def test_what_is_rare() -> None:
    assert is_rare(0.04, 10_000)
    assert is_rare(0.2, 40)
    assert is_rare(0.97, 10_000)
    assert not is_rare(0.2, 60)


def test_mover_adds_the_sides_that_face_each_other() -> None:
    low, high = mover(0.0, [(1.0, (0.7, 1.1), 1), (1.0, (0.6, 1.2), -1)])
    assert low == pytest.approx(-np.hypot(0.3, 0.2))
    assert high == pytest.approx(np.hypot(0.1, 0.4))


def test_counts_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="between 0"):
        proportion([3, 1], [2, 4])
    with pytest.raises(ValueError, match="rest on points"):
        korn_graubard(0.1, 0, 0.0, 4)
