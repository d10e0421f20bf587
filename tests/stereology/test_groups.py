"""Groups of animals and the planning of studies."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_lungcls.errors import LungclsWarning
from napari_lungcls.stereology.groups import (
    audit_points_needed,
    group_summary,
)

VALUES = (0.182, 0.205, 0.214, 0.191, 0.223, 0.198)
CES = (0.046, 0.051, 0.044, 0.049, 0.047, 0.050)


def test_six_animals() -> None:
    found = group_summary(VALUES, CES)
    assert found.n == 6
    assert found.mean == pytest.approx(0.20217, abs=5e-6)
    assert found.sd == pytest.approx(0.01504, abs=5e-6)
    assert found.cv == pytest.approx(0.0744, abs=5e-5)
    assert found.ratio == pytest.approx(0.4145, abs=5e-5)
    assert found.biological_cv == pytest.approx(0.0569, abs=5e-5)
    half = 2.5706 * found.sd / math.sqrt(6)
    assert found.ci == pytest.approx((found.mean - half, found.mean + half), abs=1e-6)


@given(st.lists(st.floats(0.1, 1), min_size=3, max_size=12, unique=True))
def test_the_error_of_the_mean_is_noticed(values) -> None:
    sem = np.std(values, ddof=1) / math.sqrt(len(values))
    with pytest.warns(LungclsWarning, match="within each animal"):
        group_summary(values, [sem / np.mean(values)] * len(values))


def test_sampling_may_explain_everything() -> None:
    assert group_summary(VALUES, [0.2] * 6).biological_cv == 0


def test_what_is_not_known_is_not_said() -> None:
    one = group_summary([0.2], [0.05])
    assert (one.sd, one.cv, one.ci, one.ratio, one.biological_cv) == (None,) * 5
    assert group_summary(VALUES).ratio is None
    assert group_summary(VALUES, [*CES[:-1], None]).mean_ce2 is None


@pytest.mark.parametrize("bad", [((), ()), ((0.1, 0.2), (0.1,))])
def test_groups_that_are_none(bad) -> None:
    with pytest.raises(ValueError, match="each animal"):
        group_summary(*bad)


def test_audit_points() -> None:
    assert audit_points_needed(0.01, math.sqrt(0.2 * 0.8)) == 1600
    assert audit_points_needed(0.01, math.sqrt(0.04)) == 400
    assert audit_points_needed(0.0099, 0.2) == 409


def test_plans_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="positive"):
        audit_points_needed(0, 0.2)
