"""Damaged points files are read or refused, nothing else; `benchmarks/fuzz.py` tries more."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("roifile", reason="selections of ImageJ are an extra")
from fuzz.targets import TARGETS, mutated


@pytest.mark.parametrize("name", TARGETS)
def test_its_own_files_are_read(name):
    read, seeds = TARGETS[name]
    assert [read(seed) for seed in seeds] == [True] * len(seeds)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(TARGETS)), st.data(), st.randoms(use_true_random=False))
def test_damage_is_refused(name, data, random):
    read, seeds = TARGETS[name]
    whole = st.one_of(st.binary(max_size=80), st.sampled_from(seeds))
    read(mutated(data.draw(whole), random))
