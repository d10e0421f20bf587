"""Networks, windows and answers on which engines are tested."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from known_network import make_spec
from napari_lungcls.network.engines import OptimizerOptions, engine_status
from napari_lungcls.network.spec import NetworkSpec

TINY = make_spec(stages=(1,), window=16)
SPECS = {
    "small": make_spec(),
    "two zooms": make_spec(zooms=(1, 4), stages=(1, 3), window=48),
    "all stages": make_spec(zooms=(2,), stages=(1, 2, 3, 4), window=64, classes=5),
    "deepest only": make_spec(stages=(4,), window=50, padding="zeros"),
    "mean": make_spec(stages=(2, 3), readout="mean"),
    "torchvision": make_spec(stages=(4,), readout="mean", padding="zeros", window=64),
}


NO_REGULARISATION = OptimizerOptions(clip_norm=None)


def examples(spec: NetworkSpec, n: int, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Draw windows with some structure, and places of their points."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (n, len(spec.zooms), 8, 8, 3))
    scale = -(-spec.window // 8)
    windows = coarse.repeat(scale, 2).repeat(scale, 3)[:, :, : spec.window, : spec.window]
    places = rng.uniform(0, spec.window - 1, (n, len(spec.zooms), 2))
    return windows.astype(np.uint8), places


def answers(n: int, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    return np.random.default_rng(seed).integers(0, 3, n), np.ones(n, np.float32)


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return first.keys() == second.keys() and all(
        np.array_equal(array, second[name]) for name, array in first.items()
    )


def devices(engine: str) -> list[str]:
    """List what an engine can use; skip the test, or fail it, where it cannot run."""
    status: dict[str, Any] = engine_status(engine)
    if not status["available"]:
        required = os.environ.get("LUNGCLS_REQUIRED_ENGINES", "").split(",")
        (pytest.fail if engine in required else pytest.skip)(status["reason"])
    found: list[str] = status["devices"]
    return found
