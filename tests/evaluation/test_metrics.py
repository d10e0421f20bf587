"""Metrics against formulas written out by hand, and against scikit-learn where it applies."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    roc_auc_score,
)

from napari_lungcls.errors import InputError
from napari_lungcls.evaluation.metrics import Metrics, score

Sample = tuple[NDArray[np.int64], NDArray[np.float64]]


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    """Draw true codes and probabilities on a coarse grid, so that ties and gaps happen."""
    count = draw(st.integers(1, 6))
    n = draw(st.integers(1, 30))
    codes = draw(st.lists(st.integers(0, count - 1), min_size=n, max_size=n))
    row = st.lists(st.integers(0, 8), min_size=count, max_size=count).filter(any)
    weights = np.array(draw(st.lists(row, min_size=n, max_size=n)), dtype=float)
    return np.array(codes), weights / weights.sum(axis=1, keepdims=True)


def named(sample: Sample) -> Metrics:
    return score(*sample, [f"class {code}" for code in range(sample[1].shape[1])])


def test_a_table_worked_out_by_hand() -> None:
    # Truth:      a a a b b c; predicted: a a b b b a
    rows = "0.8 0.1 0.1; 0.6 0.2 0.2; 0.3 0.5 0.2; 0.1 0.8 0.1; 0.2 0.7 0.1; 0.5 0.1 0.4"
    probabilities = np.array([row.split() for row in rows.split(";")], dtype=float)
    result = score(np.array([0, 0, 0, 1, 1, 2]), probabilities, ["a", "b", "c"])
    assert result.n == 6
    assert result.confusion == [[2, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert result.accuracy == pytest.approx(4 / 6)
    assert result.balanced_accuracy == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert result.per_class["a"].precision == pytest.approx(2 / 3)
    assert result.per_class["b"].f1 == pytest.approx(0.8)
    assert result.per_class["c"].model_dump() == {
        "precision": 0,
        "recall": 0,
        "f1": 0,
        "support": 1,
        "auc": pytest.approx(1),
        "average_precision": pytest.approx(1),
    }
    assert result.f1_macro == pytest.approx((2 / 3 + 0.8 + 0) / 3)
    # Pairs in the right order: a 8 of 9 (0.3 against 0.5), b 8 of 8, c 5 of 5.
    assert result.auc_ovr == pytest.approx((8 / 9 + 1 + 1) / 3)
    assert result.classes == ["a", "b", "c"]


@given(samples())
@settings(deadline=None, max_examples=50)
def test_counts_follow_their_definitions(sample: Sample) -> None:
    codes, probabilities = sample
    result = named(sample)
    predicted = [int(np.argmax(row)) for row in probabilities]
    table = np.array(result.confusion)
    for truth in range(probabilities.shape[1]):
        for answer in range(probabilities.shape[1]):
            pairs = zip(codes, predicted, strict=True)
            assert table[truth, answer] == sum(pair == (truth, answer) for pair in pairs)
    assert result.accuracy == pytest.approx(np.mean(codes == predicted))
    for code, name in enumerate(result.classes):
        figures = result.per_class[name]
        hits = table[code, code]
        called, there = table[:, code].sum(), table[code].sum()
        assert figures.support == there
        assert figures.precision == pytest.approx(hits / called if called else 0)
        assert figures.recall == pytest.approx(hits / there if there else 0)
        both = called + there
        assert figures.f1 == pytest.approx(2 * hits / both if both else 0)


@given(samples())
@settings(deadline=None, max_examples=50)
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.filterwarnings("ignore:A single label was found")
def test_means_agree_with_scikit_learn(sample: Sample) -> None:
    codes, probabilities = sample
    result = named(sample)
    predicted = probabilities.argmax(axis=1)
    assert result.balanced_accuracy == pytest.approx(balanced_accuracy_score(codes, predicted))
    assert result.f1_macro == pytest.approx(f1_score(codes, predicted, average="macro"))
    count = probabilities.shape[1]
    if count > 2 and len(np.unique(codes)) == count:
        expected = roc_auc_score(codes, probabilities, multi_class="ovr", average="macro")
        assert result.auc_ovr == pytest.approx(expected)


@given(samples())
@settings(deadline=None, max_examples=50)
def test_auc_is_the_share_of_pairs_in_the_right_order(sample: Sample) -> None:
    codes, probabilities = sample
    result = named(sample)
    areas = []
    for code in np.unique(codes):
        inside, outside = probabilities[codes == code, code], probabilities[codes != code, code]
        order = np.sign(inside[:, None] - outside[None, :])
        if order.size:
            areas.append((order.mean() + 1) / 2)
    if areas:
        assert result.auc_ovr == pytest.approx(np.mean(areas))
    else:
        assert result.auc_ovr is None


@given(samples(), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=50)
def test_order_of_points_does_not_matter(sample: Sample, random: Any) -> None:
    order = list(range(len(sample[0])))
    random.shuffle(order)
    shuffled = named((sample[0][order], sample[1][order]))
    assert shuffled.confusion == named(sample).confusion
    assert shuffled.auc_ovr == pytest.approx(named(sample).auc_ovr)


def test_absent_classes_do_not_lower_the_means() -> None:
    codes = np.array([0, 1, 0, 1])
    sure = np.eye(5)[codes]
    result = score(codes, sure, ["a", "b", "c", "d", "e"])
    assert (result.accuracy, result.balanced_accuracy, result.f1_macro) == (1, 1, 1)
    assert result.auc_ovr == 1
    assert result.per_class["e"].support == 0
    assert len(result.confusion) == 5


def test_json_round_trip_has_the_keys_of_the_contract() -> None:
    result = score(np.array([0, 1]), np.eye(2), ["a", "b"])
    again = Metrics.model_validate_json(result.model_dump_json())
    assert again == result
    assert set(result.model_dump()) == {
        "n",
        "accuracy",
        "balanced_accuracy",
        "f1_macro",
        "auc_ovr",
        "ece",
        "nll",
        "per_class",
        "confusion",
        "classes",
    }


@pytest.mark.parametrize(
    ("codes", "probabilities", "words"),
    [
        ([0, 1], np.eye(3)[:2], "do not fit"),
        ([0], np.eye(2), "do not fit"),
        ([0, 2], np.eye(2), "from 0 to 1"),
        ([0, -1], np.eye(2), "from 0 to 1"),
        ([0.0, 1.0], np.eye(2), "integers"),
        ([0, 1], np.full((2, 2), np.nan), "NaN"),
    ],
)
def test_what_does_not_fit_is_a_defect(codes: list[float], probabilities: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        score(codes, probabilities, ["a", "b"])


def test_no_points_is_the_users_mistake() -> None:
    with pytest.raises(InputError, match="no points"):
        score(np.empty(0, np.int64), np.empty((0, 2)), ["a", "b"])


@given(samples())
@settings(max_examples=20)
def test_curves_and_likelihood_agree_with_scikit_learn(sample: Sample) -> None:
    codes, probabilities = sample
    result = named(sample)
    for code, name in enumerate(result.classes):
        positive, found = codes == code, result.per_class[name]
        if 0 < positive.sum() < len(codes):
            assert found.auc == pytest.approx(roc_auc_score(positive, probabilities[:, code]))
            wanted = average_precision_score(positive, probabilities[:, code])
            assert found.average_precision == pytest.approx(wanted)
        else:
            assert found.auc is found.average_precision is None
    if probabilities.shape[1] > 1 and probabilities[np.arange(len(codes)), codes].min() > 0:
        wanted = log_loss(codes, probabilities, labels=np.arange(probabilities.shape[1]))
        assert result.nll == pytest.approx(wanted)


def test_scores_that_are_no_probabilities_have_no_calibration() -> None:
    result = score([0, 1], [[3.0, -1.0], [0.0, 2.0]], ["a", "b"])
    assert (result.accuracy, result.ece, result.nll) == (1.0, None, None)


def test_a_threshold_moves_the_answers_and_not_the_curves() -> None:
    probabilities = np.array([[0.6, 0.4], [0.8, 0.2], [0.1, 0.9]])
    plain, low = (score([1, 0, 1], probabilities, ["a", "b"], at) for at in (None, 0.3))
    assert (plain.confusion, low.confusion) == ([[1, 0], [1, 1]], [[1, 0], [0, 2]])
    assert (plain.auc_ovr, plain.ece, plain.nll) == (low.auc_ovr, low.ece, low.nll)
