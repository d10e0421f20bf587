"""Pairs of points: one to one, none too far, as many as can be."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_lungcls.errors import InputError
from napari_lungcls.evaluation import matching
from napari_lungcls.evaluation.matching import match, same_places

few = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=5)


@given(few, few, st.sampled_from([0.0, 1.0, 1.5, 3.0]))
def test_no_other_way_pairs_more_points_or_nearer_ones(
    first: list[tuple[int, int]], second: list[tuple[int, int]], tolerance: float
) -> None:
    a, b = np.array(first, float), np.array(second, float)
    rows, others = match(a, b, tolerance)
    assert len(set(rows)) == len(set(others)) == len(rows)
    distance = np.linalg.norm(a[:, None] - b[None], axis=-1)
    assert (distance[rows, others] <= tolerance).all()
    best = (0, 0.0)
    short = distance if len(a) <= len(b) else distance.T
    for order in itertools.permutations(range(short.shape[1]), len(short)):
        found = short[np.arange(len(short)), order]
        near = found[found <= tolerance]
        best = max(best, (len(near), -float(near.sum())))
    assert len(rows) == best[0]
    assert distance[rows, others].sum() == pytest.approx(-best[1])


def test_planes_do_not_meet() -> None:
    a = np.zeros((2, 2))
    rows, others = match(a, a, 5, (np.array([0, 1]), np.array([1, 2])))
    assert (rows.tolist(), others.tolist()) == ([1], [0])


def test_a_tolerance_that_joins_everything_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "LARGEST_CLUSTER", 50)
    a = np.random.default_rng(0).random((60, 2))
    with pytest.raises(InputError, match="join 120 points to one cluster"):
        match(a, a, 10)


def test_places_of_all_observers() -> None:
    """Three at 0; two of one beside one of the others at 10; only two at 20."""
    a = np.array([[0, 0], [0, 10], [0, 11.5], [0, 20]])
    b = np.array([[0, 20.5], [0, 0.5], [0, 10.8]])
    c = np.array([[0, 0.3], [0, 11.0]])
    tables = [a, b, c]
    matches = [(p, q, *match(tables[p], tables[q], 1)) for p, q in [(0, 1), (0, 2), (1, 2)]]
    found = same_places(matches, [4, 3, 2])
    assert [0, 1, 0] in found.tolist()
    assert len(found) <= 2
    for row in found:
        places = np.array([table[k] for table, k in zip(tables, row, strict=True)])
        assert np.ptp(places, axis=0).max() <= 2
