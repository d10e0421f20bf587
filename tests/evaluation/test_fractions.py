"""Agreement on fractions against published tables and what the intervals promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from napari_lungcls.evaluation.fractions import (
    bland_altman,
    fraction_agreement,
    intraclass_correlation,
)

# Six targets, four judges: table 2 of Shrout and Fleiss 1979.
RATINGS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
)


def test_shrout_and_fleiss() -> None:
    found = intraclass_correlation(RATINGS)
    assert found.estimate == pytest.approx(0.29, abs=5e-3)
    # As pingouin and R's psych give it.
    assert found.ci == pytest.approx((0.02, 0.76), abs=5e-3)
    assert (found.n, found.observers) == (6, 4)


@given(st.integers(0, 9999), st.floats(0.01, 100), st.floats(-5, 5))
@settings(deadline=None)
def test_only_differences_between_observers_matter(seed, scale, shift) -> None:
    table = np.random.default_rng(seed).normal(size=(6, 1)) + RATINGS / 10
    one, other = intraclass_correlation(table), intraclass_correlation(scale * table + shift)
    assert other.estimate == pytest.approx(one.estimate)
    assert other.ci == pytest.approx(one.ci)
    assert one.ci[0] <= one.estimate <= one.ci[1] <= 1


def test_a_constant_shift_lowers_absolute_agreement() -> None:
    truth = np.linspace(0.1, 0.3, 6)
    exact = intraclass_correlation(np.stack([truth, truth], axis=1))
    assert (exact.estimate, exact.ci) == (pytest.approx(1), None)
    rng = np.random.default_rng(0)
    near = truth + 0.001 * rng.standard_normal(6)
    assert intraclass_correlation(np.stack([truth, near], axis=1)).estimate > 0.99
    assert intraclass_correlation(np.stack([truth, near + 0.1], axis=1)).estimate < 0.6


def test_nothing_varies() -> None:
    assert intraclass_correlation(np.full((4, 2), 0.2)).estimate is None


def test_bias_and_limits() -> None:
    a, b = np.array([0.20, 0.25, 0.22, 0.28, 0.24]), np.array([0.19, 0.25, 0.20, 0.27, 0.25])
    found = bland_altman(("hand", a), ("model", b))
    assert (found.n, found.bias) == (5, pytest.approx(0.006))
    assert found.sd == pytest.approx(np.std(a - b, ddof=1))
    assert found.upper - found.lower == pytest.approx(2 * 1.95996 * found.sd, rel=1e-5)
    expected = stats.ttest_rel(a, b).confidence_interval()
    assert found.bias_ci == pytest.approx((expected.low, expected.high))
    assert found.upper_ci[0] < found.upper < found.upper_ci[1]
    back = bland_altman(("model", b), ("hand", a))
    assert back.lower_ci == pytest.approx((-found.upper_ci[1], -found.upper_ci[0]))


def test_the_limits_intervals_hold_for_a_handful_of_animals() -> None:
    rng = np.random.default_rng(3)
    drawn = [bland_altman(("a", row), ("b", np.zeros(6))) for row in rng.normal(size=(1000, 6))]
    held = np.mean([f.upper_ci[0] < stats.norm.ppf(0.975) < f.upper_ci[1] for f in drawn])
    assert held == pytest.approx(0.95, abs=0.021)


def test_large_samples_come_to_bland_and_altmans_error() -> None:
    d = stats.norm.ppf((np.arange(200) + 0.5) / 200)
    found = bland_altman(("a", d), ("b", np.zeros(200)))
    approximate = found.sd * math.sqrt(1 / 200 + 1.96**2 / (2 * 199))
    assert found.upper_ci[1] - found.upper_ci[0] == pytest.approx(2 * 1.972 * approximate, rel=0.02)


def test_all_pairs() -> None:
    found = fraction_agreement(RATINGS / 100, ["a", "b", "c", "model"])
    assert [(p.a, p.b) for p in found.pairs][-1] == ("c", "model")
    assert len(found.pairs) == 6
    assert found.icc == intraclass_correlation(RATINGS / 100)


def test_tables_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="two animals"):
        intraclass_correlation([[0.1, 0.2]])
    with pytest.raises(ValueError, match="finite"):
        bland_altman(("a", [0.1, np.nan]), ("b", [0.1, 0.2]))
    with pytest.raises(ValueError, match="column"):
        fraction_agreement(RATINGS, ["a", "b"])
