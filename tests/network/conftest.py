"""Fixtures with which the contract of engines runs on every one that is installed."""

from __future__ import annotations

from typing import Any

import pytest

from engine_examples import devices
from known_network import random_state
from napari_lungcls.network.engines import ENGINES, Engine, create_engine
from napari_lungcls.network.spec import NetworkSpec

REFERENCE = "torch"


def runnable(name: str, request: pytest.FixtureRequest) -> str:
    """Skip the test where the engine cannot run, or has no GPU and needs one."""
    found = devices(name)
    if request.node.get_closest_marker("gpu") and not any("cuda" in each for each in found):
        pytest.skip(f"{name} has no CUDA device here")
    return name


@pytest.fixture(params=list(ENGINES))
def engine_name(request: pytest.FixtureRequest) -> str:
    return runnable(request.param, request)


@pytest.fixture(params=[name for name in ENGINES if name != REFERENCE])
def other_name(request: pytest.FixtureRequest) -> str:
    """Give every engine but the one that the others are compared with."""
    return runnable(request.param, request)


@pytest.fixture
def build(engine_name: str) -> Any:
    def make(spec: NetworkSpec, state: int | None = None, **options: Any) -> Engine:
        engine = create_engine(engine_name, spec, **({"device": "cpu"} | options))
        if state is not None:
            engine.load(random_state(spec, state))
        return engine

    return make
