"""Fixtures with which the contract of engines runs on every one that is installed."""

from __future__ import annotations

from typing import Any

import pytest

from known_network import random_state
from napari_lungcls.network.engines import ENGINES, Engine, create_engine, engine_status
from napari_lungcls.network.spec import NetworkSpec


@pytest.fixture(params=list(ENGINES))
def engine_name(request: pytest.FixtureRequest) -> str:
    status = engine_status(request.param)
    if not status["available"]:
        pytest.skip(str(status["reason"]))
    return str(request.param)


@pytest.fixture
def build(engine_name: str) -> Any:
    def make(spec: NetworkSpec, state: int | None = None, **options: Any) -> Engine:
        engine = create_engine(engine_name, spec, **({"device": "cpu"} | options))
        if state is not None:
            engine.load(random_state(spec, state))
        return engine

    return make
