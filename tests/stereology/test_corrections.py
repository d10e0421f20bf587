"""Corrected fractions against worked examples, and what ties the estimators to each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.stereology.audited_clusters import AuditedClusters
from napari_lungcls.stereology.corrections import (
    best_strength,
    corrected_totals,
    difference,
    manual,
    poststratified,
    raw,
    tuned,
)
from napari_lungcls.stereology.proportions import proportion

SIZE = 1e9
ALL = np.ones(3, dtype=bool)
CONFUSION = np.array([[162, 9, 3], [4, 58, 4], [6, 3, 51]])
SHARES = np.array([0.56, 0.23, 0.21])


def only(code: int, k: int = 3) -> np.ndarray:
    return np.arange(k) == code


def from_confusion(map_cells, confusions) -> AuditedClusters:
    """Points of each cluster with so many pairs of map (rows) and observer (columns)."""
    rows, columns, cluster = [], [], []
    for g, table in enumerate(np.asarray(confusions)):
        k = len(table)
        often = table.ravel()
        rows.append(np.repeat(np.repeat(np.arange(k), k), often))
        columns.append(np.repeat(np.tile(np.arange(k), k), often))
        cluster.append(np.full(often.sum(), g))
    return AuditedClusters(
        np.asarray(map_cells, dtype=float),
        np.concatenate(cluster),
        np.concatenate(columns),
        np.concatenate(rows),
    )


ONE = from_confusion([SHARES * SIZE], [CONFUSION])


@st.composite
def audits(draw, k: int = 3, probabilities: bool = False) -> AuditedClusters:
    """Two to six clusters with maps that are right more often than not."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    g = draw(st.integers(2, 6))
    cells = rng.multinomial(1_000_000, rng.dirichlet(np.full(k, 5.0)), g) + 1000.0
    points = rng.integers(8, 40, g)
    cluster = np.repeat(np.arange(g), points)
    n = len(cluster)
    truth = rng.integers(k, size=n)
    predicted = np.where(rng.random(n) < 0.8, truth, rng.integers(k, size=n))
    data = AuditedClusters(cells, cluster, truth, predicted)
    if not probabilities:
        return data
    each = rng.dirichlet(np.ones(k), n) * 0.4 + 0.6 * np.eye(k)[predicted]
    sums = 0.6 * cells + 0.4 / k * cells.sum(axis=1, keepdims=True)
    return replace(data, map_probabilities=sums, probabilities=each)


@pytest.mark.parametrize(
    ("estimator", "shares", "errors"),
    [
        (manual, (0.5733, 0.2333, 0.1933), (0.0286, 0.0245, 0.0228)),
        (difference, (0.5533, 0.2433, 0.2033), (0.0157, 0.0149, 0.0134)),
        (tuned, (0.5563, 0.2416, 0.2015), (0.0151, 0.0143, 0.0127)),
        (poststratified, (0.5563, 0.2416, 0.2021), (0.0152, 0.0145, 0.0131)),
    ],
)
def test_all_together(estimator, shares, errors) -> None:
    for code in range(3):
        found = estimator(ONE, only(code), ALL, target="sections")
        assert found.estimate == pytest.approx(shares[code], abs=6e-5)
        assert found.se == pytest.approx(errors[code], abs=6e-5)
        assert found.ci[0] < found.estimate < found.ci[1]
        assert found.method == estimator.__name__


def test_strengths_of_all_together() -> None:
    found = [best_strength(ONE, only(code), ALL) for code in range(3)]
    assert found == pytest.approx([0.852, 0.828, 0.821], abs=6e-4)


def five_animals() -> AuditedClusters:
    m, y, said = (40, 52, 38, 47, 43), (9, 12, 7, 10, 8), (10, 13, 7, 11, 8)
    share = np.array([0.231, 0.252, 0.210, 0.244, 0.226])
    tables = [[[m[g] - said[g], 0], [said[g] - y[g], y[g]]] for g in range(5)]
    cells = np.stack([1 - share, share], axis=1) * np.array(m)[:, np.newaxis] * SIZE
    return from_confusion(cells, tables)


def test_difference_of_five_animals() -> None:
    found = difference(five_animals(), [False, True], [True, True])
    assert found.estimate == pytest.approx(0.2205, abs=5e-6)
    assert found.se == pytest.approx(0.00502, abs=5e-6)
    assert found.df == pytest.approx(3.940, abs=5e-4)
    assert raw(five_animals(), [False, True], [True, True]).estimate == pytest.approx(
        0.2341, abs=5e-5
    )
    # Four points disagree, which is too few for a symmetric interval.
    assert found.ci_method == "mover"
    assert found.ci[0] < found.estimate - 2.8 * found.se


def test_olofssons_map() -> None:
    counts = [[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]]
    pixels = [200_000, 150_000, 3_200_000, 6_450_000]
    data = from_confusion([pixels], [counts])
    found = poststratified(data, only(0, 4), np.ones(4, dtype=bool), target="sections")
    assert found.estimate == pytest.approx(0.023509, abs=5e-7)
    assert found.se == pytest.approx(0.0034907, abs=5e-8)
    assert found.estimate * sum(pixels) == pytest.approx(235_086, abs=1)


@given(audits())
@settings(max_examples=40, deadline=None)
def test_the_ends_of_tuning_are_the_other_estimators(data) -> None:
    whole = np.array([True, True, False])
    full = tuned(data, only(1), whole, strength=1.0)
    assert full.model_copy(update={"method": "difference"}) == difference(data, only(1), whole)
    none = tuned(data, only(1), whole, strength=0.0)
    by_hand = manual(data, only(1), whole)
    assert (none.estimate, none.se, none.df) == (by_hand.estimate, by_hand.se, by_hand.df)
    assert 0 <= best_strength(data, only(1), whole) <= 1


@given(audits(probabilities=True))
@settings(max_examples=30, deadline=None)
def test_tuning_beats_both_ends_at_the_points(data) -> None:
    """λ minimizes the variance of the points, so neither end has a smaller one."""
    errors = {
        strength: tuned(data, only(0), ALL, strength=strength, target="sections").se
        for strength in (0.0, best_strength(data, only(0), ALL), 1.0)
    }
    # But for the map's own error, n/N.
    assert list(errors.values())[1] <= 1.001 * min(errors.values())


@given(audits())
@settings(max_examples=40, deadline=None)
def test_counts_weighted_by_points_are_the_plain_ratio(data) -> None:
    whole = np.array([True, True, False])
    x = np.bincount(data.cluster, data.truth == 1, data.n_clusters)
    y = np.bincount(data.cluster, data.truth <= 1, data.n_clusters)
    found, plain = manual(data, only(1), whole, weights="points"), proportion(x, y)
    assert found.estimate == pytest.approx(plain.estimate)
    assert found.se == pytest.approx(plain.se, abs=1e-12)
    assert found.ci == pytest.approx(plain.ci)


@given(audits())
@settings(max_examples=40, deadline=None)
def test_a_perfect_map_is_kept_but_not_believed(data) -> None:
    perfect = replace(data, truth=data.predicted)
    whole = np.array([True, True, False])
    found, before = difference(perfect, only(0), whole), raw(perfect, only(0), whole)
    assert found.estimate == pytest.approx(before.estimate)
    assert found.se == pytest.approx(before.se)
    assert found.ci_method == "mover"
    here = difference(perfect, only(0), whole, target="sections")
    assert here.se == pytest.approx(0, abs=1e-9)
    assert here.ci[1] - here.ci[0] > 1 / len(data.cluster)


@pytest.mark.filterwarnings("ignore:.*audited points:napari_lungcls.errors.LungclsWarning")
@given(audits(), st.randoms())
@settings(max_examples=40, deadline=None)
def test_the_order_of_clusters_does_not_matter(data, random) -> None:
    order = list(range(data.n_clusters))
    random.shuffle(order)
    mixed = replace(data, map_cells=data.map_cells[order], cluster=np.argsort(order)[data.cluster])
    for estimator in (raw, manual, difference, tuned, poststratified):
        one, other = (estimator(d, only(2), ALL) for d in (data, mixed))
        assert other.estimate == pytest.approx(one.estimate)
        assert other.se == pytest.approx(one.se, abs=1e-9)
        assert other.ci == pytest.approx(one.ci, abs=1e-9)


@given(audits(k=4), st.sampled_from(["population", "sections"]))
@settings(max_examples=40, deadline=None)
@pytest.mark.filterwarnings("ignore:.*audited points:napari_lungcls.errors.LungclsWarning")
def test_fractions_of_a_whole_add_up_to_it(data, target) -> None:
    whole = np.array([True, True, True, False])
    for estimator in (manual, difference, poststratified):
        parts = [estimator(data, only(c, 4), whole, target=target).estimate for c in range(3)]
        assert sum(parts) == pytest.approx(1)
        rest = estimator(data, whole, np.ones(4, dtype=bool), target=target)
        other = estimator(data, only(3, 4), np.ones(4, dtype=bool), target=target)
        assert rest.estimate + other.estimate == pytest.approx(1)
        assert rest.se == pytest.approx(other.se, abs=1e-9)
        # Where no point disagrees on the reference there is no interval, on either side.
        mirrored = other.ci and (1 - other.ci[1], 1 - other.ci[0])
        assert rest.ci == pytest.approx(mirrored, abs=1e-9)


@given(audits())
@settings(max_examples=20, deadline=None)
def test_an_unpooled_error_is_near_the_jackknife(data) -> None:
    """The linearised error of the post-stratified estimator, against leaving clusters out."""
    four = from_confusion(
        np.tile(data.map_cells[:1] * [[3.0, 1, 1]], (6, 1)) * np.arange(8, 14)[:, np.newaxis],
        np.random.default_rng(len(data.cluster)).poisson(CONFUSION / 4 + 1, (6, 3, 3)),
    )
    left = [poststratified(four.without(g), only(0), ALL).estimate for g in range(6)]
    jackknife = np.sqrt(5 / 6 * np.sum((left - np.mean(left)) ** 2))
    assert poststratified(four, only(0), ALL).se == pytest.approx(jackknife, rel=0.2)


def test_a_wrong_map_is_corrected() -> None:
    """A map that calls a fifth of septa alveoli: the audit knows."""
    tables = [[[60, 4, 0], [0, 16, 0], [0, 0, 20]]] * 4
    data = from_confusion([[64, 16, 20]] * 4, tables)
    assert raw(data, only(1), ALL).estimate == pytest.approx(0.16)
    for estimator in (manual, difference, poststratified):
        assert estimator(data, only(1), ALL).estimate == pytest.approx(0.20)


@given(audits())
@settings(max_examples=20, deadline=None)
def test_totals_of_clusters_make_the_fraction(data) -> None:
    x, y = (corrected_totals(data, mask) for mask in (only(0), np.array([True, True, False])))
    found = difference(data, only(0), [True, True, False])
    assert x.sum() / y.sum() == pytest.approx(found.estimate)
    assert corrected_totals(data, ALL) == pytest.approx(data.size)


def test_a_correction_may_overshoot_but_its_interval_does_not() -> None:
    data = from_confusion([[99, 1, 0]] * 3, [[[30, 0, 0], [2, 0, 0], [0, 0, 0]]] * 3)
    found = difference(data, only(1), ALL)
    assert found.estimate == pytest.approx(0.01 - 2 / 32)
    assert found.ci[0] == 0
    assert 0 <= found.ci[1] < 0.2


def test_one_animal_has_no_error_of_the_population() -> None:
    for estimator in (raw, manual, difference, tuned, poststratified):
        found = estimator(ONE, only(0), ALL)
        assert (found.se, found.df, found.ci, found.ci_method) == (None, None, None, "none")
        assert found.estimate is not None


def test_nothing_but_background_has_no_fractions() -> None:
    data = from_confusion([[0, 0, 9.0]] * 2, [np.diag([0, 0, 5])] * 2)
    for estimator in (raw, manual, difference, tuned, poststratified):
        assert estimator(data, only(0), [True, True, False]).estimate is None


def test_classes_of_the_map_without_points_are_joined() -> None:
    data = from_confusion([[50, 30, 20]] * 2, [[[20, 2, 0], [3, 9, 0], [0, 0, 0]]] * 2)
    with pytest.warns(LungclsWarning, match="fewer than 2 audited points"):
        found = poststratified(data, only(0), ALL)
    assert found.estimate == pytest.approx(0.5 * 20 / 22 + 0.5 * 3 / 12)


def test_every_cluster_needs_an_audit() -> None:
    with pytest.raises(InputError, match="mouse 2 has no audited point"):
        replace(ONE, map_cells=np.tile(SHARES, (2, 1)), names=("mouse 1", "mouse 2"))
    with pytest.raises(InputError, match="cluster 0 has no mapped area"):
        replace(ONE, map_cells=np.zeros((1, 3)))


@pytest.mark.parametrize(
    "change",
    [
        {"truth": np.full(300, 3)},
        {"predicted": np.zeros(7, dtype=int)},
        {"probabilities": np.ones((300, 3))},
        {"probabilities": np.ones((300, 2)), "map_probabilities": np.ones((1, 2))},
        {"probabilities": np.ones((300, 3)), "map_probabilities": np.ones((1, 3))},
        {"names": ("a", "b")},
    ],
)
def test_tables_that_do_not_fit(change) -> None:
    with pytest.raises(ValueError, match=r"class code|probabilities|names"):
        replace(ONE, **change)


@pytest.mark.parametrize("masks", [([True], ALL), (ALL, [True, True, False])])
def test_masks_that_do_not_fit(masks) -> None:
    with pytest.raises(ValueError, match="belong"):
        difference(ONE, *masks)
