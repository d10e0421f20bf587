"""Labelling in random order; `LUNGCLS_STATE_RUNS` says how often, for a long run by hand."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from labelling_machine import Labelling

RUNS = int(os.environ.get("LUNGCLS_STATE_RUNS", "30"))


def test_points_are_what_they_should_be_whatever_is_done():
    run_state_machine_as_test(
        Labelling,
        settings=settings(
            max_examples=RUNS,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
