"""Kappa against scikit-learn and published examples; intervals against what they promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from napari_lungcls.evaluation.agreement import (
    cohen_kappa,
    fleiss_kappa,
    group_agreement,
    pair_agreement,
    specific_agreement,
)

# 14 observers, 10 subjects, 5 categories: the worked example of the article "Fleiss' kappa"
# in Wikipedia, with kappa 0.210.
EXAMPLE = np.array(
    [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]
)  # fmt: skip


def test_fleiss_gives_the_published_figure() -> None:
    assert fleiss_kappa(EXAMPLE) == pytest.approx(0.210, abs=5e-4)
    codes = np.array([np.repeat(np.arange(5), row) for row in EXAMPLE])
    found = group_agreement([f"o{k}" for k in range(14)], codes, list("abcde"))
    assert found.kappa.value == pytest.approx(0.210, abs=5e-4)
    assert found.kappa.interval is not None
    assert found.kappa.interval[0] < 0.210 < found.kappa.interval[1]
    # A class's kappa weighted by p (1 - p) is the kappa of all: Fleiss 1971.
    share = EXAMPLE.sum(axis=0) / EXAMPLE.sum()
    each = [found.per_class[name].value for name in "abcde"]
    assert np.average(each, weights=share * (1 - share)) == pytest.approx(0.210, abs=5e-4)


@given(st.integers(1, 60), st.integers(2, 5), st.integers(0, 9999))
@settings(max_examples=40)
def test_cohen_agrees_with_scikit_learn(n: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.integers(0, k, n)
    b = np.where(rng.random(n) < 0.6, a, rng.integers(0, k, n))
    found = pair_agreement(("a", a), ("b", b), [f"c{i}" for i in range(k)])
    assert np.sum(found.confusion) == n
    if found.kappa.value is None:
        assert len(np.unique([a, b])) == 1
        assert found.agreement.value == 1
    else:
        assert found.kappa.value == pytest.approx(cohen_kappa_score(a, b), abs=1e-9)
    for code, name in enumerate(found.per_class):
        named = (a == code).sum() + (b == code).sum()
        value = found.per_class[name].value
        if named:
            assert value == pytest.approx(2 * ((a == code) & (b == code)).sum() / named)
        else:
            assert value is None


@given(st.integers(2, 30), st.integers(0, 999))
@settings(max_examples=20)
def test_observers_can_change_places(n: int, seed: int) -> None:
    a, b, c = np.random.default_rng(seed).integers(0, 3, (3, n))
    one, other = (pair_agreement(("", x), ("", y), "xyz") for x, y in ((a, b), (b, a)))
    assert one.kappa.value == pytest.approx(other.kappa.value)
    assert one.confusion == np.transpose(other.confusion).tolist()
    kappas = [
        group_agreement(["", "", ""], np.stack(order, 1), "xyz").kappa.value
        for order in ((a, b, c), (c, a, b))
    ]
    assert kappas[0] == pytest.approx(kappas[1])
    again = pair_agreement(("", a), ("", b), "xyz")
    assert again == one


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    table = np.array([[0.4, 0.1], [0.15, 0.35]])
    truth = float(cohen_kappa(table * 1000))
    held = 0
    for seed in range(100):
        cells = rng.choice(4, 150, p=table.ravel())
        found = pair_agreement(("a", cells // 2), ("b", cells % 2), ["x", "y"], seed=seed)
        assert found.kappa.interval is not None
        held += found.kappa.interval[0] <= truth <= found.kappa.interval[1]
    # 95 of 100 on average; fewer than 88 happen by chance once in 400 times.
    assert held >= 88


def test_weights_are_repetitions() -> None:
    often = np.arange(1, 11)
    assert fleiss_kappa(EXAMPLE, often) == pytest.approx(fleiss_kappa(EXAMPLE.repeat(often, 0)))
    stack = np.stack([np.eye(2), np.ones((2, 2))])
    np.testing.assert_allclose(cohen_kappa(stack), [1, 0])
    np.testing.assert_allclose(specific_agreement(stack), [[1, 1], [0.5, 0.5]])
    for wrong in ([[1, 1], [2, 1]], [[1, 0], [0, 1]], np.empty((0, 2))):
        with pytest.raises(ValueError, match="same number of observers"):
            fleiss_kappa(wrong)
