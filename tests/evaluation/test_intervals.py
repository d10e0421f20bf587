"""Intervals against their defining equations and published examples."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_lungcls.evaluation.intervals import standard_error, wilson, wilson_auc


@given(st.integers(1, 5000), st.data())
def test_wilson_ends_solve_the_score_equation(n: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, n))
    accuracy = right / n
    low, high = wilson(accuracy, n)
    assert 0 <= low <= accuracy <= high <= 1
    # Each end p is where (accuracy - p)^2 = z^2 p (1 - p) / n: Wilson's defining equation.
    for end in (low, high):
        assert (accuracy - end) ** 2 == pytest.approx(
            1.959963984540054**2 * end * (1 - end) / n, rel=1e-6, abs=1e-9
        )


def test_wilson_of_known_examples() -> None:
    # Newcombe 1998, table I, method 3 (doi 10.1002/(SICI)1097-0258(19980430)17:8<857).
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0, 0.1611), abs=1e-4)
    assert wilson(1 / 29, 29) == pytest.approx((0.0061, 0.1718), abs=1e-4)


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_standard_error_of_a_share(n: int, p: float) -> None:
    error = standard_error(p, n)
    assert 0 <= error <= 0.5 / math.sqrt(n) * (1 + 1e-9)
    assert error == pytest.approx(standard_error(1 - p, n), abs=1e-7)
    assert standard_error(0.5, 100) == pytest.approx(0.05)


@pytest.mark.parametrize(("share", "n"), [(-0.1, 5), (1.1, 5), (math.nan, 5), (0.5, 0)])
def test_no_error_of_what_is_no_share(share: float, n: int) -> None:
    for function in (wilson, standard_error):
        with pytest.raises(ValueError, match="share"):
            function(share, n)


@given(st.floats(0, 1), st.integers(1, 3000), st.integers(1, 3000))
def test_ends_of_an_area_solve_their_equation(auc: float, m: int, n: int) -> None:
    low, high = wilson_auc(auc, m, n)
    assert 0 <= low <= auc <= high <= 1
    half = (m + n) / 2 - 1
    for end in {low, high} - {0.0, 1.0}:
        spread = 1 + half * ((1 - end) / (2 - end) + end / (1 + end))
        error = 1.959963984540054 * math.sqrt(end * (1 - end) * spread / (m * n))
        assert abs(auc - end) == pytest.approx(error, rel=1e-3, abs=1e-6)
    assert high - low > 0


def test_more_points_make_an_area_surer() -> None:
    widths = [high - low for low, high in (wilson_auc(0.9, n, n) for n in (5, 50, 500, 5000))]
    assert widths == sorted(widths, reverse=True)
    assert wilson_auc(1.0, 20, 20)[0] < 1
    with pytest.raises(ValueError, match="no error"):
        wilson_auc(0.9, 0, 5)
