"""What every engine promises. A new engine registers in `ENGINES` and is tested with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari_lungcls.network.readouts import readouts_at
from numpy.typing import NDArray

from engine_examples import NO_REGULARISATION, SPECS, answers, examples, same
from known_network import cells_of, make_spec, normalised, random_state, reference_logits
from napari_lungcls.network.spec import NetworkSpec


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
    # More than once, because engines may keep what they prepared for a shape of tile.
    before = [engine.class_maps(tile, 1)[1] for _ in range(3)][-1]
    engine.load(random_state(engine.spec, 3))
    loaded = [engine.class_maps(tile, 1)[1] for _ in range(3)][-1]
    assert not np.allclose(before, loaded)
    engine.prepare(NO_REGULARISATION)
    windows, places = examples(engine.spec, 4)
    engine.train_step(windows, readouts_at(engine.spec, places), *answers(4), 0.1)
    trained, state = engine.class_maps(tile, 1)[1], engine.state()
    assert not np.allclose(loaded, trained)
    cells = cells_of(state, normalised(tile, engine.spec), (1,), "zeros")[1]
    wanted = np.einsum("kc,cyx->kyx", state[engine.spec.head_name(1, 1)], cells)
    np.testing.assert_allclose(trained, wanted, atol=1e-5 * max(1, np.abs(wanted).max()))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_only_what_sees_no_number_has_no_answer(build: Any, value: float) -> None:
    engine = build(SPECS["all stages"], state=1)
    spec = engine.spec
    windows, places = examples(spec, 4)
    readouts = readouts_at(spec, places)
    holed = windows.astype(np.float32)
    holed[1, 0, 10, 12, 1] = value
    found, whole = engine.logits(holed, readouts), engine.logits(windows, readouts)
    assert not np.isfinite(found[1]).any()
    np.testing.assert_allclose(found[[0, 2, 3]], whole[[0, 2, 3]], atol=1e-4)

    tile = np.random.default_rng(0).integers(0, 255, (250, 420, 3)).astype(np.float32)
    before = engine.class_maps(tile, spec.zooms[0])
    tile[70, 33, 2] = value
    state = engine.state()
    cells = cells_of(state, normalised(tile, spec), spec.stages, "zeros")
    for stage, found in engine.class_maps(tile, spec.zooms[0]).items():
        seen = np.isfinite(cells[stage]).all(0)
        assert 0 < seen.sum() < seen.size
        assert not np.isfinite(found[:, ~seen]).any()
        np.testing.assert_allclose(found[:, seen], before[stage][:, seen], atol=1e-3)


def test_training_on_no_numbers_does_not_pass_unnoticed(build: Any) -> None:
    engine = build(make_spec(), state=1)
    windows, places = examples(engine.spec, 4)
    holed = windows.astype(np.float32)
    holed[2, 0, 0, 0, 0] = np.nan
    engine.prepare(NO_REGULARISATION)
    step = engine.train_step(holed, readouts_at(engine.spec, places), *answers(4), 0.1)
    assert not np.isfinite(step.loss)


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
