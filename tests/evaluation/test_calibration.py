"""Calibration: temperatures that are known, errors that can be counted by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import softmax

from napari_lungcls.evaluation.calibration import (
    LARGEST,
    Prior,
    at_temperature,
    fit_calibration,
    fit_temperature,
)
from napari_lungcls.evaluation.reliability import (
    error_by_chance,
    expected_calibration_error,
    negative_log_likelihood,
    reliability,
)

Sample = tuple[NDArray[np.float64], NDArray[np.int64]]


def drawn(n: int, temperature: float, seed: int = 0, classes: int = 3) -> Sample:
    """Logits that are `temperature` times too sure of themselves, and classes drawn by them."""
    rng = np.random.default_rng(seed)
    true = rng.normal(0, 2, (n, classes))
    probabilities = softmax(true, axis=1)
    codes = (probabilities.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(max=classes - 1)
    return true * temperature, codes


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_is_found_again(temperature: float) -> None:
    logits, codes = drawn(20_000, temperature)
    found = fit_calibration(logits, codes)
    assert found.temperature == pytest.approx(temperature, rel=0.03)
    assert found.nll_after <= found.nll_before + 1e-4
    assert found.ece_after < 0.012
    if temperature != 1:
        assert found.ece_before > 0.05 > found.ece_after
    assert sum(row.n for row in found.after) == found.n == 20_000


@given(st.integers(1, 40), st.integers(2, 5), st.integers(0, 999), st.floats(0, 50))
@settings(max_examples=30)
def test_any_sample_gives_a_usable_temperature(n: int, k: int, seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    logits, codes = rng.normal(0, scale, (n, k)), rng.integers(0, k, n)
    assert 1 / LARGEST <= fit_temperature(logits, codes) <= LARGEST
    found = fit_calibration(logits, codes)
    assert np.isfinite([found.ece_after, found.nll_after]).all()
    assert fit_calibration(logits, codes) == found


def test_points_that_are_all_right_do_not_make_a_model_certain() -> None:
    codes = np.arange(12) % 3
    assert 0.2 < fit_temperature(np.eye(3)[codes], codes) < 1
    assert fit_temperature(40 * np.eye(3)[codes], codes) == pytest.approx(1, abs=0.05)


def test_after_is_of_points_that_the_fit_has_not_seen() -> None:
    """Where temperature helps by chance only, cross-fitted figures do not claim that it does."""
    gains, claims = [], []
    for seed in range(40):
        logits, codes = drawn(25, 1.0, seed)
        found = fit_calibration(logits, codes)
        gains.append(found.nll_before - found.nll_after)
        fitted = softmax(logits / found.temperature, axis=1)
        claims.append(found.nll_before - negative_log_likelihood(fitted, codes))
    assert min(claims) >= -1e-2
    assert np.mean(claims) > 0
    assert np.mean(gains) < 0


def test_groups_stay_together() -> None:
    """One animal is always wrong: fitted without it, it must be met with too much trust."""
    logits, codes = drawn(400, 1.0)
    animal = np.arange(400) // 40
    codes = np.where(animal == 0, np.argmin(logits, axis=1), codes)
    apart = fit_calibration(logits, codes, groups=animal)
    mixed = fit_calibration(logits, codes)
    assert apart.temperature == mixed.temperature
    assert apart.nll_after > mixed.nll_after


@given(st.integers(0, 9999), st.integers(1, 20))
def test_error_and_bins_follow_their_definition(seed: int, bins: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.dirichlet([0.5] * 3, 30).round(2)
    values /= values.sum(axis=1, keepdims=True)
    codes = rng.integers(0, 3, 30)
    table = reliability(values, codes, bins)
    error = 0.0
    for k, row in enumerate(table):
        top = values.max(axis=1)
        inside = (top <= (k + 1) / bins) & ((top > k / bins) | (k == 0))
        assert row.n == inside.sum()
        if row.n:
            right = (values.argmax(axis=1) == codes)[inside].mean()
            assert row.accuracy == pytest.approx(right)
            assert row.confidence == pytest.approx(top[inside].mean())
            error += row.n / 30 * abs(right - top[inside].mean())
            assert row.interval is not None
            assert row.interval[0] <= right <= row.interval[1]
    assert expected_calibration_error(values, codes, bins) == pytest.approx(error)


def test_error_by_chance_is_what_calibrated_models_show() -> None:
    logits, _ = drawn(150, 1.0)
    probabilities = softmax(logits, axis=1)
    rng = np.random.default_rng(1)
    shown = [
        expected_calibration_error(
            probabilities, (probabilities.cumsum(1) < rng.random((150, 1))).sum(1).clip(max=2)
        )
        for _ in range(300)
    ]
    assert error_by_chance(probabilities) == pytest.approx(np.mean(shown), rel=0.1)


def test_temperatures_can_be_taken_back() -> None:
    logits, _ = drawn(50, 1.0)
    cooled = softmax(logits / 2.5, axis=1)
    np.testing.assert_allclose(at_temperature(cooled, 1 / 2.5), softmax(logits, axis=1))
    sure = at_temperature(np.array([[1.0, 0.0]]), 2.0)
    np.testing.assert_allclose(sure, [[1, 0]], atol=1e-100)


@pytest.mark.parametrize(
    ("logits", "codes"),
    [
        (np.zeros((0, 3)), []),
        (np.zeros((2, 3)), [0]),
        (np.zeros((2, 3)), [0, 3]),
        (np.zeros((2, 3)), [0.0, 1.0]),
        ([[0, np.nan], [1, 2]], [0, 1]),
    ],
)
def test_what_is_no_sample(logits: object, codes: object) -> None:
    with pytest.raises(ValueError, match=r"codes|numbers"):
        fit_temperature(logits, codes)  # type: ignore[arg-type]


def test_smoothed_labels_say_what_temperature_to_expect() -> None:
    assert Prior.of_smoothing(0.0, 3) == Prior() == Prior.of_smoothing(1e-4, 3)
    usual = Prior.of_smoothing(0.1, 3)
    assert usual.centre == pytest.approx(0.63, abs=0.005)
    assert Prior.of_smoothing(0.2, 3).centre < usual.centre < Prior.of_smoothing(0.05, 3).centre
    # A network that is as sure as its labels allow is then as sure as it is right.
    learned = np.log([[0.1 / 3, 1 - 0.2 / 3, 0.1 / 3]])
    assert softmax(learned / usual.centre)[0, 1] == pytest.approx(0.99)


@pytest.mark.parametrize(("n", "least", "most"), [(18, 0.2, 0.5), (20_000, 0.0, 0.005)])
def test_the_prior_weighs_as_long_as_points_are_few(n: int, least: float, most: float) -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(3, size=n)
    logits = 2.2 * np.eye(3)[codes] + rng.normal(size=(n, 3))
    logits[0] = -4 * np.eye(3)[codes[0]]  # one mistake, and a sure one
    plain = fit_temperature(logits, codes)
    held = fit_temperature(logits, codes, Prior(0.6, 0.25))
    assert abs(np.log(held / 0.6)) < abs(np.log(plain / 0.6))
    assert least < abs(np.log(held / plain)) < most
