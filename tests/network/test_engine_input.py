"""What every engine refuses, see `test_engine_contract`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine_examples import examples, same, some
from known_network import make_spec, random_state
from napari_lungcls.errors import InputError
from napari_lungcls.network.engines import OptimizerOptions, create_engine, engine_status
from napari_lungcls.network.tiles import Tiles


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pixels": (2, 1, 32, 32)}, r"tiles: shape \(2, 1, 32, 32\).*\(tiles, 1, y, x, 3\)"),
        ({"pixels": (2, 2, 32, 32, 3)}, "tiles: shape"),
        ({"pixels": (2, 1, 32, 32, 4)}, "tiles: shape"),
        ({"pixels": ()}, "tiles: shape"),
        ({"pixels": (2, 1, 8, 32, 3)}, "tiles of 8 × 32 pixels are too small.*needs 9 on"),
        ({"pixels": (1, 1, 32, 32, 3)}, "in tiles from 0 to 0"),
        ({"pixels": (0, 1, 32, 32, 3)}, "points lie in no tile"),
        ({"owner": [0, 2]}, "in tiles from 0 to 1"),
        ({"owner": [-1, 0]}, "in tiles from 0 to 1"),
        ({"owner": [[0, 1]]}, r"owner: shape \(1, 2\)"),
        ({"owner": [0.0, 1.0]}, "owner: whole numbers"),
        ({"places": (2, 1)}, r"places: shape \(2, 1\) was given, the network needs \(2, 1, 2\)"),
        ({"places": (3, 1, 2)}, "places"),
        ({"places": (2, 2, 2)}, "places"),
        ({"place": np.nan}, "places: .*finite"),
        ({"place": np.inf}, "places: .*finite"),
        ({"factors": (2, 2)}, r"factors: .*\(2, 1\)"),
        ({"factors": (1, 1)}, "factors"),
        ({"codes": [0]}, "codes"),
        ({"codes": [[0, 1]]}, "codes"),
        ({"codes": [0, 3]}, "from 0 to 2"),
        ({"codes": [0, -1]}, "from 0 to 2"),
        ({"codes": [0.5, 1]}, "whole numbers"),
        ({"weights": [1, 1, 1]}, "sample weights"),
        ({"weights": [0, 0]}, "not all 0"),
        ({"weights": [1, -1]}, "must not be negative"),
        ({"weights": [1, np.nan]}, "sample weights"),
        ({"owner": [], "places": (0, 1, 2)}, "at least one point"),
    ],
)
def test_wrong_shapes_are_refused(build: Any, change: dict[str, Any], message: str) -> None:
    engine = build(make_spec())
    engine.prepare(OptimizerOptions())
    before = engine.state()
    owner = np.array(change.get("owner", [0, 1]))
    tiles = Tiles(
        np.zeros(change.get("pixels", (2, 1, 32, 32, 3)), np.uint8),
        owner if owner.size else owner.astype(np.intp),
        np.full(change.get("places", (2, 1, 2)), change.get("place", 5.0)),
        np.ones(change["factors"], np.float32) if "factors" in change else None,
    )
    codes = np.array(change.get("codes", [0, 1]))
    weights = np.array(change.get("weights", [1, 1]), np.float32)
    with pytest.raises(InputError, match=message):
        engine.train_step(tiles, codes, weights, 0.1)
    assert same(engine.state(), before)


def test_no_point_gets_no_answer(build: Any) -> None:
    engine = build(make_spec(hidden=4))
    tiles = examples(engine.spec, 3)
    assert engine.logits(some(tiles, slice(0))).shape == (0, 3)
    assert engine.logits(examples(engine.spec, 0)).shape == (0, 3)


def test_wrong_tiles_are_refused_when_asked_too(build: Any) -> None:
    engine, tiles = build(make_spec()), examples(make_spec(), 2)
    wrong = replace(tiles, pixels=tiles.pixels[..., :2])
    for ask in (engine.logits, engine.features):
        with pytest.raises(InputError, match="tiles: shape"):
            ask(wrong)


@pytest.mark.parametrize(
    ("shape", "zoom", "message"),
    [
        ((32, 32), 1, r"\(32, 32\)"),
        ((32, 32, 4), 1, r"\(32, 32, 4\)"),
        ((0, 32, 3), 1, "a tile"),
        ((32, 32, 3), 2, "no zoom 2; choose from 1"),
    ],
)
def test_wrong_tiles_are_refused(build: Any, shape: Any, zoom: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(make_spec()).head_maps(np.zeros(shape, np.uint8), zoom)


def test_wrong_parameters_are_refused_and_none_is_taken(build: Any) -> None:
    engine = build(make_spec())
    before = engine.state()
    state = random_state(engine.spec)
    with pytest.raises(InputError, match=r"parameter heads.bias: shape \(4,\).*needs \(3,\)"):
        engine.load(state | {"heads.bias": np.zeros(4, np.float32)})
    del state["bn1.bias"], state["conv1.weight"]
    with pytest.raises(InputError, match=r"lack bn1.bias and 1 more"):
        engine.load(state)
    assert same(engine.state(), before)
    engine.load(state, partial=True)
    after = engine.state()
    assert np.array_equal(after["conv1.weight"], before["conv1.weight"])
    assert np.array_equal(after["layer1.0.conv1.weight"], state["layer1.0.conv1.weight"])


@pytest.mark.parametrize("device", ["gpu", "", "cuda:99", "cpu;", "mps:x"])
def test_devices_that_are_not_there_are_refused(build: Any, device: str) -> None:
    with pytest.raises(InputError, match="device: "):
        build(make_spec(), device=device)


def test_auto_finds_a_device(build: Any) -> None:
    assert build(make_spec(), device="auto").device.split(":")[0] in ("cpu", "cuda", "mps", "gpu")


def test_unknown_engines_are_refused() -> None:
    with pytest.raises(InputError, match="no engine 'jax'; choose from torch"):
        create_engine("jax", make_spec())


def test_the_status_names_version_and_devices(engine_name: str) -> None:
    status = engine_status(engine_name)
    assert status["version"]
    assert "cpu" in status["devices"]  # type: ignore[operator]
