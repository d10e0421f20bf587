"""Maps corrected by test points: the brief's table, and what holds for any map."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_lungcls.stereology.corrections import (
    ALONE,
    AuditedMaps,
    difference_share,
    gain,
    manual_share,
    poststratified_share,
    raw_share,
    rogan_gladen,
    tuned_share,
    tuning,
    unmixed_shares,
)

ROWS = np.array([[162, 9, 3], [4, 58, 4], [6, 3, 51]])
"""Rows are the map's classes, columns the observer's."""
SHARES = np.array([0.56, 0.23, 0.21])
EVERY = np.ones(3, bool)


def one_hot(codes, k):
    return np.eye(k)[codes]


def of_confusion(rows, areas):
    k = len(rows)
    classes, truth = (np.repeat(side, np.ravel(rows)) for side in np.indices((k, k)).reshape(2, -1))
    cluster = np.zeros(len(truth), np.int64)
    return AuditedMaps(np.atleast_2d(areas), cluster, truth, one_hot(classes, k), classes)


@pytest.fixture
def table():
    return of_confusion(ROWS, SHARES)


def figures(estimator, maps, k=3):
    found = [estimator(maps, np.arange(k) == i, np.ones(k, bool)) for i in range(k)]
    return [f.estimate for f in found], [f.se for f in found]


@pytest.mark.parametrize(
    ("estimator", "shares", "errors"),
    [
        (manual_share, [0.5733, 0.2333, 0.1933], [0.0286, 0.0245, 0.0228]),
        (difference_share, [0.5533, 0.2433, 0.2033], [0.0157, 0.0149, 0.0134]),
        (tuned_share, [0.5563, 0.2416, 0.2015], [0.0151, 0.0143, 0.0127]),
        (poststratified_share, [0.5563, 0.2416, 0.2021], [0.0152, 0.0145, 0.0131]),
    ],
)
def test_all_together(table, estimator, shares, errors):
    found, se = figures(estimator, table)
    assert found == pytest.approx(shares, abs=6e-5)
    assert se == pytest.approx(errors, abs=1e-4)


def test_how_far_the_map_is_trusted(table):
    found = [tuning(table, np.arange(3) == i, EVERY) for i in range(3)]
    assert found == pytest.approx([0.852, 0.828, 0.821], abs=6e-4)


def test_rogan_gladen():
    assert rogan_gladen(0.22, 0.90, 0.95) == pytest.approx(0.20)
    assert unmixed_shares(SHARES, ROWS) == pytest.approx([0.5499, 0.2451, 0.2051], abs=6e-5)


def test_olofssons_map():
    """n and pixels of Olofsson et al. 2014: class 1 covers 0.023509 ± 0.0034907, 235 086 pixels."""
    rows = [[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]]
    pixels = np.array([200_000, 150_000, 3_200_000, 6_450_000.0])
    found = poststratified_share(
        of_confusion(np.array(rows), pixels), np.arange(4) == 0, np.ones(4)
    )
    assert found.estimate == pytest.approx(0.023509, abs=1e-6)
    assert found.se == pytest.approx(0.0034907, abs=1e-6)
    assert found.estimate * pixels.sum() == pytest.approx(235_086, abs=1)


def test_difference_of_five_sections():
    """Shares of the map, points, answers and the map's answers of the brief: 0.2205 ± 0.00502."""
    shares = np.array([0.231, 0.252, 0.210, 0.244, 0.226])
    m, y, told = [40, 52, 38, 47, 43], [9, 12, 7, 10, 8], [10, 13, 7, 11, 8]
    areas = np.array(m)[:, None] * np.column_stack([shares, 1 - shares])
    truth = np.concatenate([np.repeat([0, 1], [a, n - a]) for a, n in zip(y, m, strict=True)])
    classes = np.concatenate([np.repeat([0, 1], [a, n - a]) for a, n in zip(told, m, strict=True)])
    cluster = np.repeat(np.arange(5), m)
    maps = AuditedMaps(areas, cluster, truth, one_hot(classes, 2), classes)
    found = difference_share(maps, [True, False], [True, True])
    assert raw_share(maps, [True, False], [True, True]).estimate == pytest.approx(0.2341, abs=5e-5)
    assert (found.estimate, found.se) == (
        pytest.approx(0.2205, abs=5e-5),
        pytest.approx(0.00502, abs=5e-6),
    )


def test_gain():
    assert gain(0.2, 0.02, 0.02) == pytest.approx(4)


@st.composite
def audited(draw):
    g, k = draw(st.integers(2, 5)), 4
    n = draw(st.integers(2 * g, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    cluster = np.concatenate([np.arange(g), np.arange(g), rng.integers(0, g, n - 2 * g)])
    # Class 3 is no parenchyma.
    truth, classes = rng.integers(0, k, (2, n))
    truth[:g] = 0
    areas = rng.uniform(0.1, 5, (g, k))
    predicted = one_hot(classes, k) if draw(st.booleans()) else rng.dirichlet(np.ones(k), n)
    return AuditedMaps(areas, cluster, truth, predicted, classes)


PARENCHYMA = np.array([True, True, True, False])


@given(audited())
def test_shares_of_the_parenchyma_add_up_to_one(maps):
    every = [np.arange(4) == i for i in range(3)]
    for estimator in (raw_share, manual_share, poststratified_share, difference_share):
        found = [estimator(maps, own, PARENCHYMA).estimate for own in every]
        if None not in found:
            assert sum(found) == pytest.approx(1)


@given(audited())
def test_where_the_map_is_right_its_shares_are_kept_and_the_error_is_between_clusters(maps):
    right = AuditedMaps(maps.areas, maps.cluster, maps.truth, one_hot(maps.truth, 4), maps.truth)
    inside = np.arange(4) == 0
    found, raw = (f(right, inside, PARENCHYMA) for f in (difference_share, raw_share))
    assert found.estimate == pytest.approx(raw.estimate)
    assert tuning(right, inside, PARENCHYMA) == pytest.approx(1)
    assert tuned_share(right, inside, PARENCHYMA).se == pytest.approx(found.se, abs=1e-12)


@given(audited(), st.floats(0.01, 50))
def test_units_and_the_order_of_points_do_not_matter(maps, factor):
    turn = np.random.default_rng(0).permutation(len(maps.truth))
    other = AuditedMaps(
        maps.areas * factor,
        maps.cluster[turn],
        maps.truth[turn],
        maps.predicted[turn],
        maps.classes[turn],
    )
    inside = np.arange(4) == 1
    for estimator in (difference_share, tuned_share, poststratified_share, manual_share):
        one, two = (estimator(each, inside, PARENCHYMA) for each in (maps, other))
        assert (one.estimate, one.se) == (pytest.approx(two.estimate), pytest.approx(two.se))


@given(audited())
def test_a_cluster_without_test_points_changes_nothing_but_the_map(maps):
    more = AuditedMaps(
        np.vstack([maps.areas, [1.0, 2, 3, 4]]),
        maps.cluster,
        maps.truth,
        maps.predicted,
        maps.classes,
    )
    inside = np.arange(4) == 1
    assert difference_share(more, inside, PARENCHYMA) == difference_share(maps, inside, PARENCHYMA)


def test_one_section_has_the_error_of_its_points(table):
    found = difference_share(table, np.arange(3) == 0, EVERY)
    assert (found.ci_method, found.n_clusters, found.df) == (ALONE, 1, 299)


def test_raw_shares_have_no_interval(table):
    found = raw_share(table, np.arange(3) == 0, EVERY)
    assert found.ci is None
    assert "no interval" in found.ci_method
