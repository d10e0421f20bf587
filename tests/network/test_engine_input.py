"""What every engine refuses, see `test_engine_contract`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari_lungcls.network.readouts import readouts_at

from engine_examples import examples, same
from known_network import make_spec, random_state
from napari_lungcls.errors import InputError
from napari_lungcls.network.engines import OptimizerOptions, create_engine, engine_status


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"windows": (2, 1, 32, 32)}, r"windows: shape \(2, 1, 32, 32\).*\(2, 1, 32, 32, 3\)"),
        ({"windows": (2, 1, 31, 32, 3)}, r"windows: .*needs \(2, 1, 32, 32, 3\)"),
        ({"windows": (2, 2, 32, 32, 3)}, "windows"),
        ({"windows": (2, 1, 32, 32, 4)}, "windows"),
        ({"windows": ()}, "windows"),
        ({"windows": (3, 1, 32, 32, 3)}, r"readouts of layer1: .*\(3, 1, 64\)"),
        ({"readouts": {1: (2, 1, 64)}}, "lack layer2"),
        ({"readouts": {1: (2, 1, 64), 2: (2, 1, 64)}}, r"readouts of layer2: .*\(2, 1, 16\)"),
        ({"codes": [0]}, "codes"),
        ({"codes": [[0, 1]]}, "codes"),
        ({"codes": [0, 3]}, "from 0 to 2"),
        ({"codes": [0, -1]}, "from 0 to 2"),
        ({"codes": [0.5, 1]}, "whole numbers"),
        ({"weights": [1, 1, 1]}, "sample weights"),
        ({"weights": [0, 0]}, "not all 0"),
        ({"weights": [1, -1]}, "must not be negative"),
        ({"weights": [1, np.nan]}, "sample weights"),
        ({"windows": (0, 1, 32, 32, 3), "readouts": {1: (0, 1, 64), 2: (0, 1, 16)}}, "at least"),
    ],
)
def test_wrong_shapes_are_refused(build: Any, change: dict[str, Any], message: str) -> None:
    engine = build(make_spec())
    engine.prepare(OptimizerOptions())
    before = engine.state()
    shapes = change.get("readouts", {1: (2, 1, 64), 2: (2, 1, 16)})
    windows = np.zeros(change.get("windows", (2, 1, 32, 32, 3)), np.uint8)
    readouts = {stage: np.zeros(shape, np.float32) for stage, shape in shapes.items()}
    codes = np.array(change.get("codes", [0, 1]))
    weights = np.array(change.get("weights", [1, 1]), np.float32)
    with pytest.raises(InputError, match=message):
        engine.train_step(windows, readouts, codes, weights, 0.1)
    assert same(engine.state(), before)


def test_no_window_gets_no_answer(build: Any) -> None:
    engine = build(make_spec())
    windows, places = examples(engine.spec, 0)
    assert engine.logits(windows, readouts_at(engine.spec, places)).shape == (0, 3)


def test_wrong_windows_are_refused_when_asked_too(build: Any) -> None:
    engine = build(make_spec())
    with pytest.raises(InputError, match="windows"):
        engine.logits(np.zeros((1, 1, 30, 30, 3), np.uint8), {})


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
        build(make_spec()).class_maps(np.zeros(shape, np.uint8), zoom)


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
    with pytest.raises(InputError, match="there is no device"):
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
