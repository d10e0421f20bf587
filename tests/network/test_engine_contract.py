"""What every engine promises. A new engine registers in `ENGINES` and is tested with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine_examples import NO_REGULARISATION, SPECS, answers, examples, same, some
from known_network import (
    cells_of,
    hidden_logits,
    make_spec,
    normalised,
    random_state,
    reference_logits,
)
from napari_lungcls.network.spec import NetworkSpec
from napari_lungcls.network.state import Heads
from napari_lungcls.network.tiles import Tiles


@pytest.fixture(params=SPECS, ids=list(SPECS))
def spec(request: pytest.FixtureRequest) -> NetworkSpec:
    return SPECS[request.param]


def test_the_state_has_the_arrays_of_the_network(build: Any, spec: NetworkSpec) -> None:
    shapes = {name: array.shape for name, array in build(spec).state().items()}
    assert shapes == spec.shapes()


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
    tiles = examples(spec, 3)
    np.testing.assert_array_equal(other.logits(tiles), engine.logits(tiles))


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
    engine = build(SPECS["two zooms"])
    state = random_state(engine.spec)
    tiles = replace(examples(engine.spec, 2), factors=np.ones((2, 2), np.float32))
    for array in (*state.values(), tiles.pixels, tiles.owner, tiles.places, tiles.factors):
        array.flags.writeable = False
    engine.load(state)
    assert np.isfinite(engine.logits(tiles)).all()


def test_a_seed_names_one_state(build: Any) -> None:
    spec = make_spec()
    assert same(build(spec, seed=5).state(), build(spec, seed=5).state())
    assert not same(build(spec, seed=5).state(), build(spec, seed=6).state())


def test_random_parameters_are_scaled_so_that_signals_pass(build: Any) -> None:
    spec = SPECS["all stages"]
    logits = build(spec, seed=1).logits(examples(spec, 16))
    assert 0.05 < logits.std() < 20


def test_logits_follow_the_formula(build: Any, spec: NetworkSpec) -> None:
    engine = build(spec, state=1)
    tiles = examples(spec, 5)
    found = engine.logits(tiles)
    assert found.shape == (5, spec.classes)
    assert found.dtype == np.float32
    wanted = reference_logits(spec, engine.state(), tiles)
    np.testing.assert_allclose(found, wanted, atol=2e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("shape", [(64, 40), (33, 90)])
def test_tiles_may_have_another_shape_than_in_training(build: Any, shape: tuple[int, int]) -> None:
    spec = SPECS["two zooms"]
    engine, tiles = build(spec, state=1), examples(spec, 4)
    pixels = np.random.default_rng(0).integers(0, 255, (2, 2, *shape, 3), np.uint8)
    tiles = replace(tiles, pixels=pixels)
    wanted = reference_logits(spec, engine.state(), tiles)
    np.testing.assert_allclose(engine.logits(tiles), wanted, atol=2e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_types_of_intensities_do_not_matter(build: Any, dtype: str) -> None:
    engine = build(make_spec(), state=1)
    tiles = examples(engine.spec, 2)
    other = replace(tiles, pixels=tiles.pixels.astype(dtype))
    np.testing.assert_allclose(engine.logits(other), engine.logits(tiles), atol=1e-5)


@pytest.mark.parametrize("name", ["two zooms", "mean"])
def test_a_point_does_not_care_about_its_batch(build: Any, name: str) -> None:
    engine = build(SPECS[name], state=1)
    tiles = examples(engine.spec, 9)
    together = engine.logits(tiles)
    order = np.random.default_rng(0).permutation(9)
    np.testing.assert_allclose(engine.logits(some(tiles, order)), together[order], atol=5e-5)
    for i in range(9):
        own = tiles.owner[i]
        alone = Tiles(tiles.pixels[own : own + 1], np.zeros(1, np.intp), tiles.places[i : i + 1])
        np.testing.assert_allclose(engine.logits(alone)[0], together[i], atol=5e-5)


@pytest.mark.parametrize("name", ["two zooms", "linear"])
def test_factors_drop_zooms(build: Any, name: str) -> None:
    engine = build(SPECS[name], state=1)
    spec, state = engine.spec, engine.state()
    plain = examples(spec, 4)
    factors = np.array([[0, 0], [1, 0], [0, 1], [2, 0.5]], np.float32)
    tiles = replace(plain, factors=factors)
    wanted = reference_logits(spec, state, tiles)
    found = engine.logits(tiles)
    np.testing.assert_allclose(found, wanted, atol=2e-5 * np.abs(wanted).max())
    nothing = hidden_logits(spec, state, state[spec.bias_name][np.newaxis].astype(np.float64))
    np.testing.assert_allclose(found[:1], nothing, atol=1e-5)
    features, every = engine.features(tiles), engine.features(plain)
    for stage, vectors in features.items():
        share = factors[:, : vectors.shape[1], np.newaxis]
        np.testing.assert_allclose(vectors, every[stage] * share, atol=1e-5)


def projected(spec: NetworkSpec, state: Any, tile: NDArray[Any], zoom: int) -> dict[int, Any]:
    """Give the maps of a tile by the plain implementation."""
    stages = tuple(stage for z, stage in spec.reads if z == zoom)
    # Tiles have a halo: past their edges there are zeros, whatever is learned from is padded with.
    cells = cells_of(state, normalised(tile, spec), stages, "zeros")
    weights = Heads.of(spec, state).weights
    return {
        stage: np.einsum("kc,cyx->kyx", weights[zoom, stage], found)
        for stage, found in cells.items()
    }


def test_head_maps_are_the_projected_cells(build: Any, spec: NetworkSpec) -> None:
    engine = build(spec, state=2)
    rng = np.random.default_rng(0)
    tile = rng.integers(0, 255, (96, 70, 3), np.uint8)
    for zoom in spec.zooms:
        maps, wanted = engine.head_maps(tile, zoom), projected(spec, engine.state(), tile, zoom)
        assert maps.keys() == wanted.keys()
        for stage, found in maps.items():
            assert found.dtype == np.float32
            limit = 1e-5 * max(1, np.abs(wanted[stage]).max())
            np.testing.assert_allclose(found, wanted[stage], atol=limit)


@pytest.mark.parametrize("name", ["all stages", "linear"])
def test_head_maps_add_up_to_logits(build: Any, name: str) -> None:
    # Zeros past the edge in both, so that one tile is seen alike.
    spec = SPECS[name].model_copy(update={"padding": "zeros", "zooms": (1,)})
    engine = build(spec, state=2)
    tile = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    maps = engine.head_maps(tile, 1)
    heads = Heads.of(spec, engine.state())
    # The centre of a cell in every stage.
    places = np.array([[32, 0], [32, 32], [0, 32]])
    summed = heads.bias[:, np.newaxis] + sum(
        found[:, places[:, 0] // 2 ** (stage + 1), places[:, 1] // 2 ** (stage + 1)]
        for stage, found in maps.items()
    )
    tiles = Tiles(tile[np.newaxis, np.newaxis], np.zeros(3, np.intp), places[:, np.newaxis] * 1.0)
    wanted = engine.logits(tiles)
    found = heads.logits(summed).T
    np.testing.assert_allclose(found, wanted, atol=2e-5 * np.abs(wanted).max())


def test_head_maps_change_with_the_parameters(build: Any) -> None:
    engine = build(make_spec(hidden=8), state=2)
    tile = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    # More than once, because engines may keep what they prepared for a shape of tile.
    before = [engine.head_maps(tile, 1)[1] for _ in range(3)][-1]
    engine.load(random_state(engine.spec, 3))
    loaded = [engine.head_maps(tile, 1)[1] for _ in range(3)][-1]
    assert not np.allclose(before, loaded)
    engine.prepare(NO_REGULARISATION)
    engine.train_step(examples(engine.spec, 4), *answers(4), 0.1)
    trained = engine.head_maps(tile, 1)[1]
    assert not np.allclose(loaded, trained)
    wanted = projected(engine.spec, engine.state(), tile, 1)[1]
    np.testing.assert_allclose(trained, wanted, atol=1e-5 * max(1, np.abs(wanted).max()))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_only_what_sees_no_number_has_no_answer(build: Any, value: float) -> None:
    engine = build(SPECS["all stages"], state=1)
    spec = engine.spec
    tiles = examples(spec, 8)
    holed = tiles.pixels.astype(np.float32)
    holed[1, 0, 10, 12, 1] = value
    found, whole = engine.logits(replace(tiles, pixels=holed)), engine.logits(tiles)
    seeing = tiles.owner == 1
    assert not np.isfinite(found[seeing]).any()
    np.testing.assert_allclose(found[~seeing], whole[~seeing], atol=1e-4)

    tile = np.random.default_rng(0).integers(0, 255, (250, 420, 3)).astype(np.float32)
    before = engine.head_maps(tile, spec.zooms[0])
    tile[70, 33, 2] = value
    cells = cells_of(engine.state(), normalised(tile, spec), spec.stages, "zeros")
    for stage, maps in engine.head_maps(tile, spec.zooms[0]).items():
        seen = np.isfinite(cells[stage]).all(0)
        assert 0 < seen.sum() < seen.size
        assert not np.isfinite(maps[:, ~seen]).any()
        np.testing.assert_allclose(maps[:, seen], before[stage][:, seen], atol=1e-3)


@pytest.mark.parametrize("padding", ["reflect", "zeros"])
def test_points_of_one_tile_see_a_hole_or_not(build: Any, padding: str) -> None:
    spec = make_spec(stages=(-1, 0, 1), tile=64, padding=padding)
    engine = build(spec, state=1)
    y, x = (axis.ravel() for axis in np.mgrid[0:64:1.5, 0:64:2.5])
    places = np.column_stack([y, x])[:, np.newaxis]
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (1, 1, 64, 64, 3)).astype(np.float32)
    tiles = Tiles(pixels, np.zeros(len(places), np.intp), places)
    whole = engine.features(tiles)
    holed = pixels.copy()
    holed[0, 0, 2, 20, 1] = np.nan
    tiles = replace(tiles, pixels=holed)
    wanted = np.isfinite(reference_logits(spec, engine.state(), tiles)).all(1)
    assert 0.2 < wanted.mean() < 0.9
    np.testing.assert_array_equal(np.isfinite(engine.logits(tiles)).all(1), wanted)
    for stage, vectors in engine.features(tiles).items():
        seen = np.isfinite(vectors).all((1, 2))
        assert seen[wanted].all()
        np.testing.assert_allclose(vectors[seen], whole[stage][seen], atol=1e-4)


def test_training_on_no_numbers_does_not_pass_unnoticed(build: Any) -> None:
    engine = build(make_spec(), state=1)
    tiles = examples(engine.spec, 4)
    holed = tiles.pixels.astype(np.float32)
    holed[1, 0, 0, 0, 0] = np.nan
    engine.prepare(NO_REGULARISATION)
    step = engine.train_step(replace(tiles, pixels=holed), *answers(4), 0.1)
    assert not np.isfinite(step.loss)


@pytest.mark.gpu
def test_a_gpu_gives_the_same_answers(build: Any, spec: NetworkSpec) -> None:
    cpu, gpu = build(spec, state=1), build(spec, state=1, device="cuda")
    tiles = examples(spec, 5)
    np.testing.assert_allclose(gpu.logits(tiles), cpu.logits(tiles), atol=1e-3)
    tile = examples(make_spec(tile=128), 1).pixels[0, 0]
    for zoom in spec.zooms:
        for stage, found in gpu.head_maps(tile, zoom).items():
            np.testing.assert_allclose(found, cpu.head_maps(tile, zoom)[stage], atol=1e-3)
