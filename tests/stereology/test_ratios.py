"""Ratios, volumes, groups: the numbers of the books, and what holds for any numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from napari_lungcls.errors import InputError
from napari_lungcls.stereology import groups
from napari_lungcls.stereology.cavalieri import cavalieri_ce, cavalieri_volume, noise
from napari_lungcls.stereology.proportions import clopper_pearson, is_rare, rare_ratio
from napari_lungcls.stereology.ratios import cr2, jackknifed_ratio_se, linearized_se, ratio

PAR, SEP = [40, 52, 38, 47, 43], [9, 12, 7, 10, 8]

counts = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 200)), min_size=2, max_size=9).map(
    lambda rows: np.array(rows, float).T
)


def test_cochrans_families():
    """Σx 907.2, Σy 123, Σx² 28224, Σy² 533, Σxy 3595.5 of 33 families: his standard error 0.534."""
    n, x, y, xx, yy, xy = 33, 907.2, 123.0, 28224.0, 533.0, 3595.5
    ce = np.sqrt(n / (n - 1) * (xx / x**2 + yy / y**2 - 2 * xy / (x * y)))
    assert (x / y, ce, ce * x / y) == pytest.approx((7.3756, 0.07238, 0.5338), abs=5e-5)


def test_septa_of_five_sections():
    found = ratio(SEP, PAR)
    assert found.estimate == pytest.approx(0.209091, abs=1e-6)
    assert linearized_se(SEP, PAR) == pytest.approx(0.009617, abs=1e-6)
    assert linearized_se(SEP, PAR) / found.estimate == pytest.approx(0.0460, abs=5e-5)
    assert found.se == pytest.approx(0.009640, abs=1e-6)
    assert jackknifed_ratio_se(SEP, PAR) == pytest.approx(0.009667, abs=1e-6)
    assert found.df == pytest.approx(3.940, abs=1e-3)
    plain = 2.7764 * linearized_se(SEP, PAR)
    assert (found.estimate - plain, found.estimate + plain) == pytest.approx(
        (0.1824, 0.2358), abs=1e-4
    )


def test_the_error_is_that_of_the_sums_of_squares():
    """The residuals and Cruz-Orive and Weibel's sums are one formula."""
    x, y = np.array(SEP, float), np.array(PAR, float)
    ce2 = (
        5 / 4 * ((x @ x) / x.sum() ** 2 + (y @ y) / y.sum() ** 2 - 2 * (x @ y) / x.sum() / y.sum())
    )
    assert linearized_se(x, y) == pytest.approx(np.sqrt(ce2) * x.sum() / y.sum())


@given(counts, st.floats(0.01, 100))
def test_scales_and_order_do_not_matter(pair, factor):
    x, y = pair
    found = ratio(x, y)
    turned = ratio(x[::-1], y[::-1])
    assert turned.estimate == pytest.approx(found.estimate)
    assert turned.se == pytest.approx(found.se, abs=1e-12)
    assert ratio(x * factor, y).estimate == pytest.approx(found.estimate * factor)
    assert ratio(x * factor, y).se == pytest.approx(found.se * factor, abs=1e-12)
    assert ratio(x, y * factor).df == pytest.approx(found.df)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=12), st.floats(0.1, 9))
def test_equal_clusters_have_one_degree_of_freedom_less(left, weight):
    assert cr2(left, np.full(len(left), weight))[1] == pytest.approx(len(left) - 1)


def test_of_equal_clusters_cr2_is_the_textbooks_error():
    x = [3.0, 5.0, 4.0, 9.0]
    assert ratio(x, [10.0] * 4).se == pytest.approx(np.std(x, ddof=1) / 2 / 10)


def test_clusters_without_reference_count_for_nothing():
    assert ratio([*SEP, 0], [*PAR, 0]) == ratio(SEP, PAR)


def test_one_cluster_tells_no_error_and_none_no_figure():
    one, none = ratio([3], [10]), ratio([0], [0])
    assert (one.estimate, one.se, one.ci) == (0.3, None, None)
    assert none.estimate is None


def test_what_are_no_counts_are_refused():
    with pytest.raises(InputError, match="one number for each"):
        ratio([1, 2], [1])
    with pytest.raises(InputError, match="not negative"):
        ratio([1, 2], [1, -1])


def test_volume_of_seven_sections():
    p = (6, 17, 25, 28, 22, 12, 3)
    assert noise(5, 7, 113) == pytest.approx(10.181, abs=1e-3)
    assert cavalieri_ce(p, 0) == pytest.approx(0.03708, abs=1e-5)
    assert cavalieri_ce(p, 1) == pytest.approx(0.02874, abs=1e-5)


def test_spheres_have_the_error_that_is_predicted():
    """Exact areas, diameters of 8 to 10 spacings: smoothness 1 is right, 0 four times too much."""
    starts, true, smooth, rough = (np.arange(64) + 0.5) / 64, [], [], []
    for m in np.linspace(8, 10, 41):
        volumes = []
        for start in starts:
            z = (start + np.arange(-1, 12)) / m * 2 - 1
            areas = np.clip(1 - z**2, 0, None)
            areas = areas[areas > 0]
            volumes.append(areas.sum() / m)
            smooth.append(cavalieri_ce(areas, 1, None) ** 2)
            rough.append(cavalieri_ce(areas, 0, None) ** 2)
        exact = quad(lambda z: 1 - z**2, -1, 1)[0] / 2
        true.append(np.mean((np.array(volumes) / exact - 1) ** 2))
    found = [float(np.sqrt(np.mean(squares))) for squares in (true, smooth, rough)]
    assert found == pytest.approx([0.00402, 0.00395, 0.0177], rel=0.03)


def test_a_volume_is_spacing_times_areas():
    found = cavalieri_volume([10.0, 20.0, 15.0, 5.0], 0.5)
    assert (found.estimate, found.unit) == (pytest.approx(0.025), "cm³")
    assert found.ce == pytest.approx(cavalieri_ce([10, 20, 15, 5], 1, None))
    assert cavalieri_volume([10.0, 20.0], 0.5).se is None
    with pytest.raises(InputError, match="three at least"):
        cavalieri_ce([1, 2])


def test_points_that_it_takes():
    assert groups.independent_points(0.2, 0.05) == pytest.approx(1600)
    assert groups.compact_points(0.05, 10, 2 * np.sqrt(np.pi)) == pytest.approx(47.2, abs=0.05)
    ce = np.sqrt(noise(5, 8, 120)) / 120
    assert groups.compact_points(ce, 8) == pytest.approx(120)
    assert groups.audit_points(0.2, 0.01, 11, 0.05) == pytest.approx(1.5 * 400)


def test_group_of_six_animals():
    group = groups.summarize_group(
        [0.182, 0.205, 0.214, 0.191, 0.223, 0.198], [0.046, 0.051, 0.044, 0.049, 0.047, 0.050]
    )
    assert group.mean == pytest.approx(0.20217, abs=1e-5)
    assert group.sd == pytest.approx(0.01504, abs=1e-5)
    assert group.cv == pytest.approx(0.0744, abs=5e-5)
    assert group.ce_share == pytest.approx(0.4145, abs=5e-4)
    assert group.biological_cv == pytest.approx(0.0569, abs=5e-5)


def test_errors_of_factors_add_up_as_squares():
    assert groups.combined_ce([0.05, 0.03, 0.02]) == pytest.approx(0.0616, abs=5e-5)


def test_shrinkage_and_overprojection():
    f = groups.shrinkage_factor(1, 0.6)
    assert (f, 65 / f, 480 * f) == pytest.approx((0.8434, 77.07, 404.8), abs=0.05)
    assert groups.overprojection(3, 500) == pytest.approx(0.0375)


def test_no_hit_is_no_certainty():
    found = rare_ratio([0, 0, 0], [40, 50, 60])
    assert found.estimate == 0
    assert found.se is None
    assert found.ci == (0, pytest.approx(1 - 0.025 ** (1 / 150)))


def test_exact_interval_is_scipys():
    from scipy.stats import binomtest

    exact = binomtest(7, 120).proportion_ci(method="exact")
    assert clopper_pearson(7, 120) == pytest.approx((exact.low, exact.high))


@given(counts)
def test_clusters_never_make_a_rare_share_surer_than_single_points(pair):
    x, y = np.minimum(*pair), pair[1]
    low, high = rare_ratio(x, y).ci
    alone = clopper_pearson(x.sum(), y.sum())
    assert low <= alone[0] + 1e-9
    assert high >= alone[1] - 1e-9
    assert 0 <= low <= x.sum() / y.sum() <= high <= 1


def test_rare_is_below_five_per_cent_or_ten_hits():
    assert is_rare(9, 100)
    assert is_rare(12, 300)
    assert not is_rare(12, 100)
