"""Networks, tiles and answers on which engines are tested."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from known_network import make_spec
from napari_lungcls.network.engines import OptimizerOptions, engine_status
from napari_lungcls.network.spec import NetworkSpec
from napari_lungcls.network.tiles import Tiles

TINY = make_spec(stages=(-1, 0, 1), tile=16, hidden=8)
LINEAR = make_spec(stages=(0, 1), tile=16)
SPECS = {
    "small": make_spec(),
    "two zooms": make_spec(zooms=(1, 4), stages=(-1, 1, 3), tile=48, hidden=8),
    "all stages": make_spec(zooms=(2,), stages=(-1, 0, 1, 2, 3, 4), tile=64, classes=5, hidden=32),
    "linear": make_spec(zooms=(1, 2), stages=(-1, 0, 2)),
    "deepest only": make_spec(stages=(4,), tile=50, padding="zeros"),
    "mean": make_spec(stages=(0, 2, 3), pooling="mean", hidden=8),
    "torchvision": make_spec(stages=(4,), pooling="mean", padding="zeros", tile=64),
}


NO_REGULARISATION = OptimizerOptions(clip_norm=None)


def examples(spec: NetworkSpec, points: int, seed: int = 0) -> Tiles:
    """Draw tiles with some structure and two points in each, or one where tiles are averaged."""
    rng = np.random.default_rng(seed)
    n = points if spec.pooling == "mean" else -(-points // 2)
    coarse = rng.integers(0, 255, (n, len(spec.zooms), 8, 8, 3))
    scale = -(-spec.tile // 8)
    pixels = coarse.repeat(scale, 2).repeat(scale, 3)[:, :, : spec.tile, : spec.tile]
    # Some lie beyond the outermost cells.
    places = rng.uniform(-1, spec.tile, (points, len(spec.zooms), 2))
    owner = rng.permutation(np.arange(points) % max(1, n))
    return Tiles(pixels.astype(np.uint8), owner, places)


def some(tiles: Tiles, points: Any) -> Tiles:
    """Keep all tiles, and only some points."""
    return replace(tiles, owner=tiles.owner[points], places=tiles.places[points])


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
