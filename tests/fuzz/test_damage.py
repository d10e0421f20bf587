"""Damaged files and requests are read or refused, nothing else; `benchmarks/fuzz.py` tries more."""

from __future__ import annotations

import base64
import importlib.util
import json
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("roifile", reason="selections of ImageJ are an extra")
pytest.importorskip("fastapi", reason="the server is an extra")
from fuzz.files import Target
from fuzz.targets import HTTP, NAMES, target

FOUND = json.loads(Path(__file__).with_name("found.json").read_text(encoding="utf-8"))
OWN = [name for name in NAMES if name != HTTP]
UNIX = pytest.mark.skipif(sys.platform == "win32", reason="its limits are those of Unix")
RANDOM = [name for name in OWN if name != "hdf5"]
"""Damaged HDF5 may let its library loop for ever; what is tried of it is always the same."""
SCRIPT = Path(__file__).parents[2] / "benchmarks" / "fuzz.py"


@pytest.fixture(autouse=True)
def _silent() -> Iterator[None]:
    """Libraries tell of damage in their own ways."""
    before = logging.root.manager.disable
    logging.disable()
    yield
    logging.disable(before)


@pytest.mark.parametrize("name", OWN)
def test_its_own_files_are_read(name):
    assert [target(name).read(seed) for seed in target(name).seeds] == [True] * len(
        target(name).seeds
    )


def test_most_of_its_own_requests_are_answered():
    answered = [target(HTTP).read(seed) for seed in target(HTTP).seeds]
    assert answered.count(True) > len(answered) / 2


@pytest.mark.parametrize("found", FOUND, ids=lambda found: f"{found['format']}: {found['was']}")
def test_what_was_found_once_is_refused_or_read(found):
    target(found["format"]).read(base64.b64decode(found["input"]))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(RANDOM)), st.data(), st.integers(0, 2**32))
def test_damage_is_refused(name, data, seed):
    found = target(name)
    if data.draw(st.integers(0, 9)) == 0:
        found.read(data.draw(st.binary(max_size=80)))
    else:
        found.read(found.mutate(data.draw(st.sampled_from(found.seeds)), Random(seed)))


def test_damaged_hdf5_is_refused():
    found = target("hdf5")
    for number in range(60):
        random = Random(f"0 hdf5 {number}")
        found.read(found.mutate(random.choice(found.seeds), random))


@settings(max_examples=40, deadline=None)
@given(st.data(), st.integers(0, 2**32))
def test_damaged_requests_are_answered(data, seed):
    found = target(HTTP)
    found.read(found.mutate(data.draw(st.sampled_from(found.seeds)), Random(seed)))


@UNIX
def test_the_campaign_counts():
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "csv", "--inputs", "40", "--batch", "25"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["csv"]
    assert (found["inputs"], found["read"] + found["refused"], found["crashes"]) == (40, 40, 0)


@UNIX
def test_the_campaign_would_find_crashes_and_slow_inputs(monkeypatch):
    spec = importlib.util.spec_from_file_location("fuzz_campaign", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    campaign = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(campaign)

    def read(data: bytes) -> bool:
        while data == b"for ever":
            pass
        return 1 // len(data) == 1

    monkeypatch.setattr(campaign, "target", lambda _: Target(read, [b"x"]))
    before = signal.signal(signal.SIGPROF, campaign._too_slow)
    try:
        said = [campaign._error("any", data, 0.1) for data in (b"x", b"xx", b"", b"for ever")]
    finally:
        signal.signal(signal.SIGPROF, before)
    assert said[:2] == ["read", "refused"]
    assert "ZeroDivisionError" in said[2]
    assert said[3].startswith("took more than 0.1 s")
    assert campaign.made("any", 3, 0) == campaign.made("any", 3, 0)
