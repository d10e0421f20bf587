"""What every engine promises. A new engine registers in `ENGINES` and is tested with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from known_network import (
    BYTES,
    cells_of,
    make_spec,
    normalised,
    random_state,
    reference_logits,
)
from napari_lungcls.errors import InputError
from napari_lungcls.network.engines import (
    ENGINES,
    Engine,
    OptimizerOptions,
    create_engine,
    engine_status,
)
from napari_lungcls.network.readouts import readouts_at
from napari_lungcls.network.spec import NetworkSpec

TINY = make_spec(stages=(1,), window=16)
NO_REGULARISATION = OptimizerOptions(clip_norm=None)


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


def examples(spec: NetworkSpec, n: int, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Draw windows with some structure, and places of their points."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (n, len(spec.zooms), 8, 8, 3))
    scale = -(-spec.window // 8)
    windows = coarse.repeat(scale, 2).repeat(scale, 3)[:, :, : spec.window, : spec.window]
    places = rng.uniform(0, spec.window - 1, (n, len(spec.zooms), 2))
    return windows.astype(np.uint8), places


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return first.keys() == second.keys() and all(
        np.array_equal(array, second[name]) for name, array in first.items()
    )


SPECS = {
    "small": make_spec(),
    "two zooms": make_spec(zooms=(1, 4), stages=(1, 3), window=48),
    "all stages": make_spec(zooms=(2,), stages=(1, 2, 3, 4), window=64, classes=5),
    "deepest only": make_spec(stages=(4,), window=50, padding="zeros"),
    "mean": make_spec(stages=(2, 3), readout="mean"),
    "torchvision": make_spec(stages=(4,), readout="mean", padding="zeros", window=64),
}


@pytest.fixture(params=SPECS, ids=list(SPECS))
def spec(request: pytest.FixtureRequest) -> NetworkSpec:
    return SPECS[request.param]


@pytest.mark.parametrize("name", ["small", "two zooms", "torchvision"])
def test_state_survives_a_round_trip_to_the_bit(build: Any, name: str) -> None:
    spec = SPECS[name]
    state = random_state(spec, 3)
    engine = build(spec)
    engine.load(state)
    assert same(engine.state(), state)
    assert all(array.dtype == np.float32 for array in engine.state().values())
    other = build(spec, seed=9)
    other.load(engine.state())
    windows, places = examples(spec, 3)
    readouts = readouts_at(spec, places)
    np.testing.assert_array_equal(other.logits(windows, readouts), engine.logits(windows, readouts))
    np.testing.assert_array_equal(engine.bias(), state[spec.bias_name])
    engine.bias()[:] = 9
    assert same(engine.state(), state)


def test_the_state_given_is_a_copy(build: Any) -> None:
    engine = build(make_spec())
    before = engine.state()
    given = {name: array.copy() for name, array in before.items()}
    given["conv1.weight"][:] = 7
    for array in engine.state().values():
        array[:] = 0
    assert same(engine.state(), before)
    given = random_state(engine.spec)
    engine.load(given)
    given["conv1.weight"][:] = 7
    assert not (engine.state()["conv1.weight"] == 7).any()


def test_arrays_that_must_not_be_written_to_are_read(build: Any) -> None:
    engine = build(make_spec())
    state = random_state(engine.spec)
    windows, places = examples(engine.spec, 2)
    for array in (*state.values(), windows):
        array.flags.writeable = False
    engine.load(state)
    assert np.isfinite(engine.logits(windows, readouts_at(engine.spec, places))).all()


def test_a_seed_names_one_state(build: Any) -> None:
    spec = make_spec()
    assert same(build(spec, seed=5).state(), build(spec, seed=5).state())
    assert not same(build(spec, seed=5).state(), build(spec, seed=6).state())


def test_random_parameters_are_scaled_so_that_signals_pass(build: Any) -> None:
    spec = SPECS["all stages"]
    windows, places = examples(spec, 16)
    logits = build(spec, seed=1).logits(windows, readouts_at(spec, places))
    assert 0.05 < logits.std() < 20


def test_logits_follow_the_formula(build: Any, spec: NetworkSpec) -> None:
    engine = build(spec, state=1)
    windows, places = examples(spec, 3)
    found = engine.logits(windows, readouts_at(spec, places))
    assert found.shape == (3, spec.classes)
    assert found.dtype == np.float32
    wanted = reference_logits(spec, engine.state(), windows, places)
    np.testing.assert_allclose(found, wanted, atol=2e-5 * np.abs(wanted).max())


def test_a_window_may_show_more_than_training_did(build: Any) -> None:
    engine = build(SPECS["two zooms"], state=1)
    spec = engine.spec
    assert spec.sight > spec.window
    wide = spec.model_copy(update={"window": spec.sight})
    windows, places = examples(wide, 2)
    found = engine.logits(windows, readouts_at(spec, places, size=spec.sight))
    wanted = reference_logits(wide, engine.state(), windows, places)
    np.testing.assert_allclose(found, wanted, atol=2e-5 * np.abs(wanted).max())
    # An average is one over the window that was trained.
    assert SPECS["torchvision"].sight == SPECS["torchvision"].window


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_types_of_intensities_do_not_matter(build: Any, dtype: str) -> None:
    engine = build(make_spec(), state=1)
    windows, places = examples(engine.spec, 2)
    readouts = readouts_at(engine.spec, places)
    np.testing.assert_allclose(
        engine.logits(windows.astype(dtype), readouts), engine.logits(windows, readouts), atol=1e-5
    )


def test_a_window_does_not_care_about_its_batch(build: Any) -> None:
    engine = build(SPECS["two zooms"], state=1)
    windows, places = examples(engine.spec, 9)
    together = engine.logits(windows, readouts_at(engine.spec, places))
    order = np.random.default_rng(0).permutation(9)
    shuffled = engine.logits(windows[order], readouts_at(engine.spec, places[order]))
    np.testing.assert_allclose(shuffled, together[order], atol=1e-5)
    for i in range(9):
        alone = engine.logits(windows[i : i + 1], readouts_at(engine.spec, places[i : i + 1]))
        np.testing.assert_allclose(alone[0], together[i], atol=1e-5)


def test_factors_of_readouts_drop_zooms(build: Any) -> None:
    engine = build(SPECS["two zooms"], state=1)
    spec = engine.spec
    windows, places = examples(spec, 4)

    def logits(*factors: float) -> NDArray[Any]:
        every = np.tile(np.array(factors, np.float32), (4, 1))
        found: NDArray[Any] = engine.logits(windows, readouts_at(spec, places, every))
        return found - engine.bias()

    np.testing.assert_allclose(logits(0, 0), 0, atol=1e-6)
    np.testing.assert_allclose(logits(1, 0) + logits(0, 1), logits(1, 1), atol=1e-4)
    np.testing.assert_allclose(logits(2, 0), 2 * logits(1, 0), atol=1e-4)


def test_class_maps_are_the_projected_trunk(build: Any, spec: NetworkSpec) -> None:
    engine = build(spec, state=2)
    rng = np.random.default_rng(0)
    tile = rng.integers(0, 255, (96, 70, 3), np.uint8)
    state = engine.state()
    # Tiles have a halo: past their edges there are zeros, whatever windows are padded with.
    cells = cells_of(state, normalised(tile, spec), spec.stages, "zeros")
    for zoom in spec.zooms:
        maps = engine.class_maps(tile, zoom)
        assert tuple(maps) == spec.stages
        for stage, found in maps.items():
            wanted = np.einsum("kc,cyx->kyx", state[spec.head_name(zoom, stage)], cells[stage])
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, wanted, atol=1e-5 * max(1, np.abs(wanted).max()))


def test_class_maps_change_with_the_parameters(build: Any) -> None:
    engine = build(make_spec(), state=2)
    tile = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    before = engine.class_maps(tile, 1)[1]
    engine.load(random_state(engine.spec, 3))
    loaded = engine.class_maps(tile, 1)[1]
    assert not np.allclose(before, loaded)
    engine.prepare(NO_REGULARISATION)
    windows, places = examples(engine.spec, 4)
    engine.train_step(windows, readouts_at(engine.spec, places), *answers(4), 0.1)
    trained, state = engine.class_maps(tile, 1)[1], engine.state()
    assert not np.allclose(loaded, trained)
    cells = cells_of(state, normalised(tile, engine.spec), (1,), "zeros")[1]
    wanted = np.einsum("kc,cyx->kyx", state[engine.spec.head_name(1, 1)], cells)
    np.testing.assert_allclose(trained, wanted, atol=1e-5 * max(1, np.abs(wanted).max()))


def answers(n: int, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    return np.random.default_rng(seed).integers(0, 3, n), np.ones(n, np.float32)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_training_learns_16_windows_by_heart(build: Any, optimizer: str) -> None:
    engine = build(TINY, seed=1)
    windows, places = examples(TINY, 16)
    readouts, (codes, weights) = readouts_at(TINY, places), answers(16)
    engine.prepare(OptimizerOptions(optimizer=optimizer))
    rate = 0.05 if optimizer == "sgd" else 0.005
    steps = [engine.train_step(windows, readouts, codes, weights, rate) for _ in range(25)]
    assert steps[0].logits.shape == (16, 3)
    assert steps[-1].loss < 0.1 * steps[0].loss
    assert (steps[-1].logits.argmax(1) == codes).all()


def cross_entropy(logits: NDArray[Any], codes: NDArray[Any]) -> NDArray[np.float64]:
    odds = np.exp(logits.astype(np.float64))
    return -np.log(odds[np.arange(len(codes)), codes] / odds.sum(1))


def test_the_loss_is_the_weighted_mean_before_the_step(build: Any) -> None:
    engine = build(TINY, state=1)
    spec = engine.spec
    windows, places = examples(spec, 6)
    codes, _ = answers(6)
    weights = np.array([1, 0, 2, 0.5, 0, 3], np.float32)
    engine.prepare(OptimizerOptions(freeze=True))
    before = engine.logits(windows, readouts_at(spec, places))
    step = engine.train_step(windows, readouts_at(spec, places), codes, weights, 0.1)
    np.testing.assert_allclose(step.logits, before, atol=1e-4)
    wanted = (cross_entropy(before, codes) * weights).sum() / weights.sum()
    assert step.loss == pytest.approx(wanted, rel=1e-4)
    assert not np.allclose(engine.logits(windows, readouts_at(spec, places)), before)


def test_an_example_of_weight_0_is_as_good_as_absent(build: Any) -> None:
    # A frozen trunk has no batch statistics through which it could be felt.
    spec = TINY
    windows, places = examples(spec, 6)
    codes, weights = answers(6)
    weights[[1, 4]] = 0
    kept = weights > 0
    states = []
    for rows in (np.ones(6, bool), kept):
        engine = build(spec, state=1)
        engine.prepare(OptimizerOptions(freeze=True))
        for _ in range(3):
            readouts = readouts_at(spec, places[rows])
            engine.train_step(windows[rows], readouts, codes[rows], weights[rows], 0.01)
        states.append(engine.state())
    for name, array in states[0].items():
        np.testing.assert_allclose(array, states[1][name], atol=1e-5)


def test_weights_count_against_each_other_only(build: Any) -> None:
    spec = TINY
    windows, places = examples(spec, 6)
    codes, weights = answers(6)
    weights[:] = [1, 2, 3, 1, 2, 3]
    losses = []
    for factor in (1, 7):
        engine = build(spec, state=1)
        engine.prepare(NO_REGULARISATION)
        step = engine.train_step(windows, readouts_at(spec, places), codes, factor * weights, 0.01)
        losses.append(step.loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_a_frozen_trunk_stays_as_it_is_to_the_bit(build: Any) -> None:
    engine = build(SPECS["two zooms"], state=1)
    spec, before = engine.spec, engine.state()
    windows, places = examples(spec, 8)
    engine.prepare(OptimizerOptions(freeze=True, weight_decay=0.1, dropout=0.3))
    for _ in range(3):
        engine.train_step(windows, readouts_at(spec, places), *answers(8), 0.01)
    after = engine.state()
    heads = {name for name in before if name.startswith("heads.")}
    assert len(heads) == 5
    for name, array in before.items():
        assert np.array_equal(after[name], array) == (name not in heads), name


def test_a_trunk_that_was_frozen_thaws(build: Any) -> None:
    engine = build(TINY, state=1)
    before = engine.state()
    windows, places = examples(engine.spec, 8)
    for freeze in (True, False):
        engine.prepare(OptimizerOptions(freeze=freeze))
        engine.train_step(windows, readouts_at(engine.spec, places), *answers(8), 0.01)
    after = engine.state()
    assert all(not np.array_equal(after[name], array) for name, array in before.items())


def test_batch_statistics_move_as_torchvision_moves_them(build: Any) -> None:
    # Momentum 0.1 and the unbiased variance; engines may store the biased one.
    engine = build(TINY, state=1)
    spec, before = engine.spec, engine.state()
    windows, places = examples(spec, 8)
    engine.prepare(NO_REGULARISATION)
    engine.train_step(windows, readouts_at(spec, places), *answers(8), 1e-9)
    images = np.concatenate([normalised(window[0], spec).numpy() for window in windows])
    images = np.pad(images, [(0, 0), (0, 0), (3, 3), (3, 3)], mode="reflect")
    patches = np.lib.stride_tricks.sliding_window_view(images, (7, 7), (2, 3))[:, :, ::2, ::2]
    found = np.einsum("nchwij,kcij->knhw", patches, before["conv1.weight"], optimize=True)
    after = engine.state()
    for name, moment in (
        ("running_mean", found.mean((1, 2, 3))),
        ("running_var", found.var((1, 2, 3))),
    ):
        wanted = 0.9 * before[f"bn1.{name}"] + 0.1 * moment
        np.testing.assert_allclose(after[f"bn1.{name}"], wanted, rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("freeze", [False, True])
def test_a_checkpoint_continues_exactly(build: Any, optimizer: str, freeze: bool) -> None:
    options = OptimizerOptions(
        optimizer=optimizer, dropout=0.4, weight_decay=1e-3, freeze=freeze, seed=4
    )
    spec = TINY
    batches = [examples(spec, 8, seed) for seed in range(4)]

    def step(engine: Engine, i: int) -> float:
        windows, places = batches[i]
        return engine.train_step(windows, readouts_at(spec, places), *answers(8, i), 0.01).loss

    first = build(spec, state=1)
    first.prepare(options)
    for i in (0, 1):
        step(first, i)
    state, moments = first.state(), first.optimizer_state()
    losses = [step(first, i) for i in (2, 3)]
    assert all(array.dtype == np.float32 for array in moments.values())

    second = build(spec, seed=77)
    second.prepare(options)
    second.load(state)
    second.load_optimizer_state(moments)
    assert [step(second, i) for i in (2, 3)] == losses
    assert same(second.state(), first.state())
    assert same(second.optimizer_state(), first.optimizer_state())


def test_a_checkpoint_before_the_first_step(build: Any) -> None:
    spec = TINY
    engine = build(spec, state=1)
    engine.prepare(OptimizerOptions(dropout=0.5, seed=1))
    start = engine.optimizer_state()
    windows, places = examples(spec, 8)
    loss = engine.train_step(windows, readouts_at(spec, places), *answers(8), 0.01).loss
    again = build(spec, state=1)
    again.prepare(OptimizerOptions(dropout=0.5, seed=2))
    again.load_optimizer_state(start)
    assert again.train_step(windows, readouts_at(spec, places), *answers(8), 0.01).loss == loss


def test_dropout_follows_its_seed(build: Any) -> None:
    spec = TINY
    windows, places = examples(spec, 8)
    codes, weights = answers(8)

    def losses(dropout: float, seed: int) -> list[float]:
        engine = build(spec, state=1)
        engine.prepare(OptimizerOptions(dropout=dropout, seed=seed))
        readouts = readouts_at(spec, places)
        return [engine.train_step(windows, readouts, codes, weights, 1e-9).loss for _ in range(2)]

    assert losses(0.5, 1) == losses(0.5, 1)
    assert losses(0.5, 1) != losses(0.5, 2)
    # Every step drops others; without dropout nothing changes at such a small rate.
    first, second = losses(0.5, 1)
    assert abs(first - second) > 1e-3
    first, second = losses(0, 1)
    assert first == pytest.approx(second, abs=1e-4)


def test_dropout_keeps_the_expectation(build: Any) -> None:
    engine = build(TINY, state=1)
    window, place = examples(TINY, 1)
    windows, places = window.repeat(256, 0), place.repeat(256, 0)
    readouts = readouts_at(TINY, places)
    before = engine.logits(windows[:1], readouts_at(TINY, place))[0]
    engine.prepare(OptimizerOptions(dropout=0.5, freeze=True))
    step = engine.train_step(windows, readouts, *answers(256), 1e-9)
    error = step.logits.std(0) / 16
    assert (error > 1e-3).all()
    assert (np.abs(step.logits.mean(0) - before) < 4 * error).all()


def test_answers_are_never_dropped_out(build: Any) -> None:
    engine = build(make_spec(), state=1)
    windows, places = examples(engine.spec, 4)
    readouts = readouts_at(engine.spec, places)
    before = engine.logits(windows, readouts)
    engine.prepare(OptimizerOptions(dropout=0.9))
    np.testing.assert_array_equal(engine.logits(windows, readouts), before)


def test_gradients_are_clipped(build: Any) -> None:
    spec = TINY
    windows, places = examples(spec, 8)
    moved = []
    for clip in (1e-3, None):
        engine = build(spec, state=1)
        engine.prepare(OptimizerOptions(optimizer="sgd", momentum=0.9, clip_norm=clip))
        before = engine.state()
        engine.train_step(windows, readouts_at(spec, places), *answers(8), 1.0)
        after = engine.state()
        learned = [name for name in before if "running" not in name]
        moved.append(np.sqrt(sum(((after[n] - before[n]) ** 2).sum() for n in learned)))
    # Nesterov's first step is (1 + momentum) times the gradient.
    assert moved[0] == pytest.approx(1.9e-3, rel=0.01)
    assert moved[1] > 100 * moved[0]


def test_training_needs_preparation(build: Any) -> None:
    engine = build(make_spec())
    windows, places = examples(engine.spec, 2)
    with pytest.raises(RuntimeError, match="prepare"):
        engine.train_step(windows, readouts_at(engine.spec, places), *answers(2), 0.1)
    with pytest.raises(RuntimeError, match="prepare"):
        engine.load_optimizer_state({})


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


@pytest.mark.gpu
def test_a_gpu_gives_the_same_answers(build: Any, spec: NetworkSpec) -> None:
    cpu, gpu = build(spec, state=1), build(spec, state=1, device="cuda")
    windows, places = examples(spec, 5)
    readouts = readouts_at(spec, places)
    np.testing.assert_allclose(
        gpu.logits(windows, readouts), cpu.logits(windows, readouts), atol=1e-3
    )
    tile = examples(make_spec(window=128), 1)[0][0, 0]
    for zoom in spec.zooms:
        for stage, found in gpu.class_maps(tile, zoom).items():
            np.testing.assert_allclose(found, cpu.class_maps(tile, zoom)[stage], atol=1e-3)


@pytest.mark.gpu
def test_a_gpu_trains(build: Any) -> None:
    engine = build(make_spec(normalisation=BYTES), seed=1, device="cuda")
    spec = engine.spec
    windows, places = examples(spec, 16)
    readouts, (codes, weights) = readouts_at(spec, places), answers(16)
    engine.prepare(OptimizerOptions(dropout=0.1))
    steps = [engine.train_step(windows, readouts, codes, weights, 0.005) for _ in range(25)]
    assert steps[-1].loss < 0.2 * steps[0].loss
    assert engine.optimizer_state()
