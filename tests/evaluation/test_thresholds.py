"""Thresholds against every other threshold that there is, and the classes predicted with them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score, precision_score, recall_score

from napari_lungcls.evaluation.thresholds import choose_threshold
from napari_lungcls.network.decision import predicted_class

Sample = tuple[NDArray[np.float64], NDArray[np.int64]]


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    n = draw(st.integers(2, 30))
    values = draw(st.lists(st.integers(0, 20), min_size=n, max_size=n))
    codes = np.array(draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)))
    codes[:2] = 0, 1
    return np.array(values) / 20, codes


def called(values: NDArray[np.float64], threshold: float) -> NDArray[np.intp]:
    return predicted_class(np.stack([1 - values, values], 1), threshold)


EVERY = np.arange(42) / 40


@given(samples())
@settings(max_examples=20)
def test_no_threshold_is_more_balanced(sample: Sample) -> None:
    values, codes = sample
    found = choose_threshold(values, codes, "balanced")
    best = max(balanced_accuracy_score(codes, called(values, at)) for at in EVERY)
    assert found.balanced_accuracy == pytest.approx(best)
    answers = called(values, found.value)
    assert found.balanced_accuracy == pytest.approx(balanced_accuracy_score(codes, answers))
    assert found.recall == pytest.approx(recall_score(codes, answers))
    assert found.specificity == pytest.approx(recall_score(codes, answers, pos_label=0))
    if found.precision is not None:
        assert found.precision == pytest.approx(precision_score(codes, answers))


@given(samples(), st.floats(0.01, 1))
@settings(max_examples=20)
def test_no_higher_threshold_reaches_the_recall(sample: Sample, wanted: float) -> None:
    values, codes = sample
    found = choose_threshold(values, codes, "recall", recall=wanted)
    assert recall_score(codes, called(values, found.value)) >= wanted - 1e-9
    for at in EVERY[found.value < EVERY]:
        answers = called(values, at)
        reached = recall_score(codes, answers) >= wanted - 1e-9
        assert not reached or (answers == called(values, found.value)).all()


def test_rounding_to_half_precision_moves_no_point() -> None:
    rng = np.random.default_rng(0)
    values = np.round(rng.random(300), 2)
    codes = (values + rng.normal(0, 0.3, 300) > 0.5).astype(int)
    found = choose_threshold(values, codes, "recall", recall=0.9)
    half = np.stack([1 - values, values], 1).astype(np.float16)
    np.testing.assert_array_equal(predicted_class(half, found.value), called(values, found.value))


@pytest.mark.parametrize(
    ("values", "codes", "recall"),
    [
        ([0.1, 0.2], [1, 1], 0.9),
        ([0.1, 0.2], [0, 2], 0.9),
        ([0.1, 1.2], [0, 1], 0.9),
        ([0.1, np.nan], [0, 1], 0.9),
        ([0.1], [0, 1], 0.9),
        ([0.1, 0.2], [0, 1], 0.0),
        ([0.1, 0.2], [0, 1], 1.1),
    ],
)
def test_what_has_no_threshold(values: list[float], codes: list[int], recall: float) -> None:
    with pytest.raises(ValueError, match=r"two classes|probabilities|recall"):
        choose_threshold(values, codes, "recall", recall=recall)


@given(st.integers(0, 999), st.integers(2, 4), st.sampled_from([0, 1, -1]))
def test_without_a_threshold_the_likeliest_class_is_the_answer(
    seed: int, k: int, axis: int
) -> None:
    scores = np.random.default_rng(seed).normal(size=(k, k))
    np.testing.assert_array_equal(predicted_class(scores, axis=axis), scores.argmax(axis=axis))


def test_a_threshold_parts_two_classes_and_no_more() -> None:
    assert predicted_class([[0.3, 0.7], [0.31, 0.69]], 0.7).tolist() == [1, 0]
    assert predicted_class([[0.9, 0.0], [0.1, 1.0]], 0.05, axis=0).tolist() == [1, 1]
    with pytest.raises(ValueError, match="parts two classes, not 3"):
        predicted_class(np.ones((2, 3)) / 3, 0.5)
