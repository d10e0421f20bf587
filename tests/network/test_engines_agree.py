"""Engines against torch: the same weights, the same answers, the same steps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine_examples import SPECS, TINY, answers, examples
from known_network import make_spec, random_state
from napari_lungcls.errors import LungclsWarning
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.inference.painter import Painter
from napari_lungcls.network.engines import Engine, OptimizerOptions, State, create_engine
from napari_lungcls.network.spec import NetworkSpec
from napari_lungcls.network.state import initial_state

FLOAT32 = 1e-5
"""Largest difference of answers, relative to the largest answer."""


@pytest.fixture
def both(other_name: str) -> Any:
    """Build a network twice: in torch, and in the other engine."""

    def make(spec: NetworkSpec, state: int = 1) -> tuple[Engine, Engine]:
        engines = [create_engine(name, spec, device="cpu") for name in ("torch", other_name)]
        for engine in engines:
            engine.load(random_state(spec, state))
        return engines[0], engines[1]

    return make


def difference(found: NDArray[Any], wanted: NDArray[Any]) -> float:
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


@pytest.mark.parametrize("name", SPECS)
def test_points_get_the_same_logits(both: Any, name: str) -> None:
    spec = SPECS[name]
    torch, other = both(spec)
    tiles = examples(spec, 5)
    assert difference(other.logits(tiles), torch.logits(tiles)) <= FLOAT32


@pytest.mark.parametrize("name", SPECS)
def test_maps_are_painted_the_same(both: Any, name: str) -> None:
    spec = SPECS[name]
    image = np.random.default_rng(0).integers(0, 255, (20, 26, 3)).repeat(9, 0).repeat(9, 1)
    plane = ImageStack(image.astype(np.uint8), rgb=True).plane(())
    zooms = tuple(map(float, spec.zooms))
    # Several tiles and shapes of tiles, twice: engines may keep plans for those that return.
    painters = [Painter(engine.painting(), spec, zooms) for engine in both(spec)]
    for painter in painters:
        painter.painting.tile = 96
    y, x = np.arange(3.0, 170, 5), np.arange(1.0, 230, 5)
    for _ in range(2):
        wanted, found = (np.asarray(painter.logits(plane, y, x)) for painter in painters)
        assert difference(found, wanted) <= FLOAT32


def test_a_seed_names_one_start_in_every_engine(other_name: str) -> None:
    spec = SPECS["two zooms"]
    wanted = create_engine("torch", spec, device="cpu", seed=7).state()
    found = create_engine(other_name, spec, device="cpu", seed=7).state()
    assert found.keys() == wanted.keys()
    for name, array in found.items():
        np.testing.assert_allclose(array, wanted[name], atol=1e-6 * np.abs(wanted[name]).max())


def moved(before: State, after: State) -> dict[str, NDArray[np.float32]]:
    return {name: after[name] - before[name] for name in before}


@pytest.mark.parametrize("clip", [None, 0.05])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
def test_steps_have_the_same_loss_and_effect(both: Any, optimizer: str, clip: float | None) -> None:
    spec = make_spec(zooms=(1, 4), stages=(-1, 0, 1, 2, 3), tile=40, hidden=8)
    engines = both(spec)
    tiles = examples(spec, 6)
    codes, _ = answers(6)
    weights = np.array([1, 2, 0.5, 0, 3, 1], np.float32)
    options = OptimizerOptions(
        optimizer=optimizer, weight_decay=0.1, clip_norm=clip, betas=(0.8, 0.9), epsilon=1e-6,
        momentum=0.7, label_smoothing=0.1, backbone_lr_factor=0.5,
    )  # fmt: skip
    before, losses = engines[0].state(), []
    for engine in engines:
        engine.prepare(options)
        losses.append(engine.train_step(tiles, codes, weights, 0.01).loss)
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    wanted, found = (moved(before, engine.state()) for engine in engines)
    for name, array in wanted.items():
        # Adam's first step is the gradient's sign: where that is next to 0, rounding decides.
        share = 1 if optimizer == "sgd" else 0.95
        error = np.quantile(np.abs(found[name] - array), share)
        assert error <= 1e-4 * np.abs(array).max() + 1e-7, name


@pytest.mark.parametrize("freeze", [False, True])
def test_statistics_that_stay_stay_alike(both: Any, freeze: bool) -> None:
    spec = SPECS["linear"].model_copy(update={"hidden": 8})
    engines = both(spec)
    factors = np.array([[1, 1], [0, 2], [1, 0], [1, 1], [2, 0], [1, 1]], np.float32)
    tiles = replace(examples(spec, 6), factors=factors)
    options = OptimizerOptions(
        optimizer="sgd", clip_norm=None, fixed_statistics=("bn1", "layer2"), freeze=freeze
    )
    before, states = engines[0].state(), []
    for engine in engines:
        engine.prepare(options)
        engine.train_step(tiles, *answers(6), 0.01)
        states.append(moved(before, engine.state()))
    for name, array in states[0].items():
        error = np.abs(states[1][name] - array).max()
        assert error <= 1e-4 * np.abs(array).max() + 1e-7, name


def test_later_steps_agree_too(both: Any) -> None:
    torch, other = both(TINY)
    tiles = examples(TINY, 8)
    for engine in (torch, other):
        engine.prepare(OptimizerOptions(optimizer="adamw", weight_decay=0.01))
    losses = [
        [engine.train_step(tiles, *answers(8), 1e-4 * k).loss for k in range(1, 6)]
        for engine in (torch, other)
    ]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-3)


def test_adam_s_epsilon_is_torch_s(both: Any) -> None:
    # Gluon's Adam has epsilon / √(1 − β₂ᵗ), 30 times as much in the first step: gradients
    # as small as these would show it.
    torch, other = both(TINY)
    tiles = examples(TINY, 8)
    before = torch.state()
    for engine in (torch, other):
        engine.prepare(OptimizerOptions(freeze=True, clip_norm=3e-7))
        engine.train_step(tiles, *answers(8), 1e-3)
    name = TINY.head_name(1, 1)
    wanted, found = (moved(before, engine.state())[name] for engine in (torch, other))
    assert np.abs(wanted).mean() < 0.9e-3
    np.testing.assert_allclose(found, wanted, atol=1e-3 * np.abs(wanted).max())


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
@pytest.mark.parametrize("freeze", [False, True])
@pytest.mark.parametrize("back", [False, True])
def test_one_goes_on_where_the_other_stopped(
    both: Any, optimizer: str, freeze: bool, back: bool
) -> None:
    first, second = both(TINY)[::-1] if back else both(TINY)
    options = OptimizerOptions(optimizer=optimizer, freeze=freeze, weight_decay=1e-3)
    batches = [examples(TINY, 8, seed) for seed in range(4)]

    def step(engine: Engine, i: int) -> float:
        return engine.train_step(batches[i], *answers(8, i), 1e-3).loss

    first.prepare(options)
    second.prepare(options)
    for i in (0, 1):
        step(first, i)
    second.load(first.state())
    with pytest.warns(LungclsWarning, match=f"not written by the engine {second.name}.*moments"):
        second.load_optimizer_state(first.optimizer_state())
    losses = [[step(engine, i) for i in (2, 3)] for engine in (first, second)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-3)
    moments = [engine.optimizer_state() for engine in (first, second)]
    shared = {name for name in moments[0] if not name.startswith("dropout")}
    assert shared == {name for name in moments[1] if not name.startswith("dropout")}
    for name in shared:
        largest = np.abs(moments[0][name]).max()
        assert np.abs(moments[1][name] - moments[0][name]).max() <= 5e-2 * largest, name


def test_the_first_numbers_are_the_formula_s() -> None:
    spec = SPECS["all stages"]
    state = initial_state(spec, 3)
    for name, std in (
        ("conv1.weight", (2 / (64 * 49)) ** 0.5),
        ("layer3.0.conv2.weight", (2 / (256 * 9)) ** 0.5),
        ("layer4.0.downsample.0.weight", (2 / 512) ** 0.5),
        (spec.head_name(2, 4), (2 / (16 + 64 + 64 + 128 + 256 + 512)) ** 0.5),
        ("heads.out.weight", 32**-0.5),
    ):
        values = state[name]
        assert values.std() == pytest.approx(std, rel=0.05)
        assert abs(values.mean()) < 4 * std / values.size**0.5
