"""Ratios of sums against worked examples, and what must hold for any clusters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from napari_lungcls.stereology.estimate import t_interval
from napari_lungcls.stereology.ratios import (
    bell_mccaffrey,
    cochran_ce,
    cochran_se,
    cr2,
    ratio,
)

PAR, SEP = (40, 52, 38, 47, 43), (9, 12, 7, 10, 8)

CLUSTERS = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 60)), min_size=2, max_size=9).map(
    lambda pairs: tuple(np.array(pairs, dtype=float).T)
)


def families() -> tuple[np.ndarray, np.ndarray]:
    """33 clusters with the sums of Cochran's 33 families."""
    # Both columns are built from orthonormal contrasts, so that sums and products are exact.
    n, (sx, sy, sxx, syy, sxy) = 33, (907.2, 123.0, 28224.0, 533.0, 3595.5)
    ones = np.ones(n)
    basis = np.linalg.qr(np.column_stack([ones, np.arange(n), np.arange(n) ** 2]))[0][:, 1:]
    yy, xy, xx = syy - sy**2 / n, sxy - sx * sy / n, sxx - sx**2 / n
    along = xy / np.sqrt(yy)
    y = sy / n + np.sqrt(yy) * basis[:, 0]
    x = sx / n + along * basis[:, 0] + np.sqrt(xx - along**2) * basis[:, 1]
    return x, y


def test_cochrans_families() -> None:
    x, y = families()
    assert (x**2).sum() == pytest.approx(28224)
    assert ratio(x, y).estimate == pytest.approx(7.3756, abs=5e-5)
    assert cochran_ce(x, y) == pytest.approx(0.07238, abs=5e-6)
    assert cochran_se(x, y) == pytest.approx(0.5338, abs=5e-5)


def test_five_animals() -> None:
    found = ratio(SEP, PAR)
    se = cochran_se(SEP, PAR)
    assert found.estimate == pytest.approx(0.209091, abs=5e-7)
    assert se == pytest.approx(0.009617, abs=5e-7)
    assert found.ce == pytest.approx(0.0460, abs=5e-5)
    assert t_interval(found.estimate, se, 4) == pytest.approx((0.1824, 0.2358), abs=5e-5)
    assert found.se == pytest.approx(0.009640, abs=5e-7)
    assert found.df == pytest.approx(3.940, abs=5e-4)
    assert found.ci == t_interval(found.estimate, found.se, found.df)


@given(CLUSTERS)
def test_the_coefficient_of_error_is_that_of_cruz_orive_and_weibel(clusters) -> None:
    x, y = clusters
    assume(x.sum() > 0)
    g = len(x)
    terms = (x @ x) / x.sum() ** 2 + (y @ y) / y.sum() ** 2 - 2 * (x @ y) / (x.sum() * y.sum())
    assert ratio(x, y).ce == pytest.approx(np.sqrt(max(g / (g - 1) * terms, 0)), abs=1e-7)


@given(CLUSTERS)
def test_degrees_of_freedom_are_those_of_the_matrix(clusters) -> None:
    y = clusters[1]
    w = y / y.sum()
    c = (1 - w) ** -0.5
    k = np.diag(c**2 * y / y.sum() ** 2) - np.outer(c * y, c * y) / y.sum() ** 3
    found = bell_mccaffrey(y)
    assert found == pytest.approx(np.trace(k) ** 2 / (k**2).sum())
    assert found <= len(y) - 1 + 1e-9


@given(st.integers(2, 12), st.floats(0.1, 1e6))
def test_equal_clusters_have_all_degrees_of_freedom(g, y) -> None:
    assert bell_mccaffrey(np.full(g, y)) == pytest.approx(g - 1)


@given(CLUSTERS)
def test_cr2_of_equal_clusters_is_the_textbooks_error(clusters) -> None:
    x = clusters[0]
    y = np.full(len(x), 50.0)
    assert ratio(x, y).se == pytest.approx(cochran_se(x, y), abs=1e-12)


def test_cr2_is_unbiased_where_the_variance_follows_the_size() -> None:
    """Of a quadratic form in independent x with variances y, the expectation is exact."""
    y = np.array([5.0, 20, 60, 10])
    expected = sum(y[g] * ratio(np.eye(4)[g], y).se ** 2 for g in range(4))
    # The estimate itself has variance Σy / (Σy)².
    assert expected == pytest.approx(1 / y.sum())
    assert sum(y[g] * cochran_se(np.eye(4)[g], y) ** 2 for g in range(4)) < 0.8 / y.sum()


@given(CLUSTERS, st.floats(0.01, 100), st.floats(0.01, 100))
def test_units_only_scale(clusters, a, b) -> None:
    x, y = clusters
    one, other = ratio(x, y), ratio(a * x, b * y)
    assert other.estimate == pytest.approx(one.estimate * a / b)
    assert other.se == pytest.approx(one.se * a / b, abs=1e-12)
    assert other.df == pytest.approx(one.df)
    assert one.scaled(a / b).se == pytest.approx(other.se, abs=1e-12)


@given(CLUSTERS, st.randoms())
def test_neither_order_nor_empty_clusters_matter(clusters, random) -> None:
    x, y = clusters
    order = list(range(len(x)))
    random.shuffle(order)
    mixed = ratio(np.append(x[order], 0), np.append(y[order], 0))
    one = ratio(x, y)
    assert mixed.n_clusters == len(x)
    assert mixed.estimate == pytest.approx(one.estimate)
    assert mixed.se == pytest.approx(one.se, abs=1e-12)
    assert mixed.df == pytest.approx(one.df)


def test_intersections_without_points_still_count() -> None:
    found = ratio([3, 4, 1], [5, 6, 0])
    assert (found.n_clusters, found.estimate) == (3, 8 / 11)
    assert found.df == pytest.approx(bell_mccaffrey([5, 6]))


@pytest.mark.parametrize("y", [[9], [9, 0, 0]])
def test_one_cluster_has_no_error(y) -> None:
    found = ratio([3, *[0] * (len(y) - 1)], y)
    assert (found.estimate, found.se, found.df, found.ci) == (1 / 3, None, None, None)
    assert found.ci_method == "none"


def test_an_empty_reference_has_no_ratio() -> None:
    assert ratio([0, 0], [0, 0]).estimate is None
    assert cr2([], []) is None


def test_clusters_that_agree_exactly_get_no_interval() -> None:
    found = ratio([1, 2, 3], [10, 20, 30])
    assert found.ci is None
    assert found.se == pytest.approx(0, abs=1e-12)


def test_an_interval_ends_at_what_is_possible() -> None:
    assert ratio([1, 9], [10, 10], limits=(0, 1)).ci == (0, 1)


@pytest.mark.parametrize("bad", [([1, 2], [1]), ([[1]], [[1]]), ([np.nan], [1])])
def test_columns_that_do_not_fit(bad) -> None:
    with pytest.raises(ValueError, match="cluster"):
        ratio(*bad)


def test_levels_and_factors_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="level"):
        ratio(SEP, PAR, 95)
    with pytest.raises(ValueError, match="factor"):
        ratio(SEP, PAR).scaled(-1)
