"""Choosing places: what is worth most, unlike each other, apart, and over all planes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_lungcls.active_learning.selection import (
    LabelPlaces,
    choose_places,
    disagreement,
    uncertainty,
)


def made_places(n: int, planes: int, seed: int, labels: int = 3) -> LabelPlaces:
    rng = np.random.default_rng(seed)
    return LabelPlaces(
        rng.integers(0, 200, (n, 2)).astype(float),
        rng.integers(0, planes, n),
        rng.integers(0, 200, (labels, 2)).astype(float),
        rng.integers(0, planes, labels),
    )


def test_uncertainty_is_one_where_two_classes_tie_and_nought_where_one_is_certain():
    assert uncertainty([[0.5, 0.5, 0], [1, 0, 0], [0.2, 0.7, 0.1]]) == pytest.approx([1, 0, 0.5])
    assert disagreement([[1, 0], [0.5, 0.5]], [[0, 1], [0.75, 0.25]]) == pytest.approx([1, 0.25])


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 120), st.integers(1, 4), st.integers(1, 30), st.floats(0, 80),
    st.integers(0, 2**16),
)  # fmt: skip
def test_places_are_apart_and_off_the_labels_whatever_there_is(n, planes, wanted, apart, seed):
    places, rng = made_places(n, planes, seed), np.random.default_rng(seed)
    rows = choose_places(places, rng.random(n), wanted, apart=apart, rng=rng)
    assert len(rows) == len(set(rows.tolist())) <= wanted
    where = np.vstack([places.positions[rows], places.labelled])
    plane = np.concatenate([places.planes[rows], places.labelled_planes])
    distance = np.linalg.norm(where[:, None] - where[None], axis=2)
    distance[plane[:, None] != plane[None]] = np.inf
    assert (distance[: len(rows)][~np.eye(len(where), dtype=bool)[: len(rows)]] >= apart).all()
    if len(rows) < wanted:
        left = places.free(apart)
        for row in rows:
            left &= ~places.near(row, apart)
        left[rows] = False
        assert not left.any()


def test_the_worthy_are_chosen_over_all_planes():
    """A tenth of the places are worth something; most of them lie in one plane of three."""
    rng, n = np.random.default_rng(0), 900
    planes = rng.choice(3, n, p=[0.9, 0.05, 0.05])
    worthy = rng.random(n) < 0.3
    nothing = np.zeros((0, 2)), np.zeros(0, np.int64)
    places = LabelPlaces(rng.random((n, 2)) * 1e4, planes, *nothing)
    rows = choose_places(places, np.where(worthy, 0.9, 0.01), 12, apart=5, rng=rng)
    assert worthy[rows].all()
    assert np.bincount(planes[rows], minlength=3).tolist()[0] == 8, "twice its share, no more"
