"""What every engine promises about training, see `test_engine_contract`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine_examples import (
    LINEAR,
    NO_REGULARISATION,
    SPECS,
    TINY,
    answers,
    examples,
    same,
    some,
)
from known_network import BYTES, hidden_logits, make_spec, normalised
from napari_lungcls.errors import InputError
from napari_lungcls.network.engines import Engine, OptimizerOptions, create_engine
from napari_lungcls.network.parameters import PARTS
from napari_lungcls.network.tiles import Tiles


def of_backbone(name: str) -> bool:
    return name.partition(".")[0] in PARTS


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "rmsprop"])
def test_training_learns_16_points_by_heart(build: Any, optimizer: str) -> None:
    spec = TINY.model_copy(update={"hidden": 32})
    engine = build(spec, seed=1)
    tiles = examples(spec, 16)
    codes, weights = answers(16)
    engine.prepare(OptimizerOptions(optimizer=optimizer))
    rate = {"sgd": 0.05, "rmsprop": 0.001}.get(optimizer, 0.005)
    steps = [engine.train_step(tiles, codes, weights, rate) for _ in range(40)]
    assert steps[0].logits.shape == (16, 3)
    assert steps[-1].loss < 0.1 * steps[0].loss
    assert (steps[-1].logits.argmax(1) == codes).all()


def cross_entropy(logits: NDArray[Any], codes: NDArray[Any]) -> NDArray[np.float64]:
    probabilities = np.exp(logits.astype(np.float64))
    return -np.log(probabilities[np.arange(len(codes)), codes] / probabilities.sum(1))


def test_the_loss_is_the_weighted_mean_before_the_step(build: Any) -> None:
    # Without detail nothing takes statistics beside a frozen backbone.
    engine = build(LINEAR, state=1)
    tiles = examples(LINEAR, 6)
    codes, _ = answers(6)
    weights = np.array([1, 0, 2, 0.5, 0, 3], np.float32)
    engine.prepare(OptimizerOptions(freeze=True))
    before = engine.logits(tiles)
    step = engine.train_step(tiles, codes, weights, 0.1)
    np.testing.assert_allclose(step.logits, before, atol=1e-4)
    wanted = (cross_entropy(before, codes) * weights).sum() / weights.sum()
    assert step.loss == pytest.approx(wanted, rel=1e-4)
    assert not np.allclose(engine.logits(tiles), before)


def test_a_point_of_weight_0_is_as_good_as_absent(build: Any) -> None:
    # A frozen backbone has no batch statistics through which it could be felt.
    spec = LINEAR
    tiles = examples(spec, 6)
    codes, weights = answers(6)
    weights[[1, 4]] = 0
    kept = weights > 0
    states = []
    for rows in (np.ones(6, bool), kept):
        engine = build(spec, state=1)
        engine.prepare(OptimizerOptions(freeze=True))
        for _ in range(3):
            engine.train_step(some(tiles, rows), codes[rows], weights[rows], 0.01)
        states.append(engine.state())
    for name, array in states[0].items():
        np.testing.assert_allclose(array, states[1][name], atol=1e-5)


def test_weights_count_against_each_other_only(build: Any) -> None:
    spec = TINY
    tiles = examples(spec, 6)
    codes, weights = answers(6)
    weights[:] = [1, 2, 3, 1, 2, 3]
    losses = []
    for factor in (1, 7):
        engine = build(spec, state=1)
        engine.prepare(NO_REGULARISATION)
        step = engine.train_step(tiles, codes, factor * weights, 0.01)
        losses.append(step.loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_a_frozen_backbone_stays_as_it_is_to_the_bit(build: Any) -> None:
    engine = build(SPECS["two zooms"], state=1)
    spec, before = engine.spec, engine.state()
    tiles = examples(spec, 8)
    engine.prepare(OptimizerOptions(freeze=True, weight_decay=0.1, dropout=0.3))
    for _ in range(3):
        engine.train_step(tiles, *answers(8), 0.01)
    after = engine.state()
    assert sum(not of_backbone(name) for name in before) == 18
    for name, array in before.items():
        assert np.array_equal(after[name], array) == of_backbone(name), name


def test_a_frozen_backbone_is_unfrozen(build: Any) -> None:
    engine = build(TINY, state=1)
    before = engine.state()
    tiles = examples(engine.spec, 8)
    for freeze in (True, False):
        engine.prepare(OptimizerOptions(freeze=freeze))
        engine.train_step(tiles, *answers(8), 0.01)
    after = engine.state()
    for name, array in before.items():
        assert not np.array_equal(after[name], array), name


def test_unfreezing_keeps_what_the_heads_have_learned(build: Any) -> None:
    engine = build(TINY, state=1)
    tiles = examples(TINY, 8)
    backbone = {name for name in engine.state() if of_backbone(name)}
    engine.prepare(OptimizerOptions(freeze=True))
    before = engine.state()
    engine.train_step(tiles, *answers(8), 0.01)
    frozen = engine.state()
    assert all(np.array_equal(frozen[name], before[name]) for name in backbone)
    assert not any(of_backbone(name) for name in engine.optimizer_state())
    engine.unfreeze()
    engine.train_step(tiles, *answers(8), 0.01)
    moments, after = engine.optimizer_state(), engine.state()
    assert not any(np.array_equal(after[name], before[name]) for name in backbone)
    # The heads' moments went on, those of the backbone began.
    assert float(moments["heads.out.bias.step"]) == 2
    assert float(moments["conv1.weight.step"]) == 1


def test_the_backbone_learns_at_its_own_rate(build: Any) -> None:
    moved = []
    for share in (1.0, 0.1):
        engine = build(TINY, state=1)
        tiles = examples(TINY, 8)
        before = engine.state()
        engine.prepare(OptimizerOptions(optimizer="sgd", backbone_lr_factor=share, clip_norm=None))
        engine.train_step(tiles, *answers(8), 0.01)
        after = engine.state()
        moved.append({name: after[name] - before[name] for name in before})
    for name, whole in moved[0].items():
        if "running" not in name:
            factor = 0.1 if of_backbone(name) else 1.0
            np.testing.assert_allclose(
                moved[1][name], factor * whole, atol=1e-3 * np.abs(whole).max() + 1e-7
            )


def test_label_smoothing_is_a_mixture_of_losses(build: Any) -> None:
    engine = build(LINEAR, state=1)
    tiles = examples(LINEAR, 6)
    codes, weights = answers(6)
    logits = engine.logits(tiles).astype(np.float64)
    probabilities = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    wanted = -0.8 * probabilities[np.arange(6), codes].mean() - 0.2 * probabilities.mean()
    engine.prepare(OptimizerOptions(freeze=True, label_smoothing=0.2))
    found = engine.train_step(tiles, codes, weights, 0.01).loss
    assert found == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("name", ["two zooms", "linear", "mean"])
def test_features_are_what_the_heads_read(build: Any, name: str) -> None:
    engine = build(SPECS[name], state=1)
    spec, state = engine.spec, engine.state()
    tiles = examples(spec, 3)
    features = engine.features(tiles)
    assert tuple(features) == spec.stages
    summed = np.tile(state[spec.bias_name].astype(np.float64), (3, 1))
    for zoom, stage in spec.reads:
        read = features[stage][:, spec.zooms.index(zoom)]
        summed += read @ state[spec.head_name(zoom, stage)].T
    wanted = hidden_logits(spec, state, summed)
    np.testing.assert_allclose(engine.logits(tiles), wanted, atol=1e-4)
    for stage, none in engine.features(some(tiles, slice(0))).items():
        assert none.shape == (0, *features[stage].shape[1:])


def test_a_precision_that_the_device_lacks_is_refused_at_the_start(build: Any) -> None:
    if build(TINY).device == "cpu":
        with pytest.raises(InputError, match=r"^precision: .*fp16"):
            build(TINY).prepare(OptimizerOptions(precision="fp16"))


@pytest.mark.parametrize(("name", "reach", "stride"), [("conv1", 3, 2), ("detail.conv1", 1, 1)])
def test_batch_statistics_move_as_torchvision_moves_them(
    build: Any, name: str, reach: int, stride: int
) -> None:
    # Momentum 0.1 and the unbiased variance; engines may store the biased one.
    engine = build(make_spec(stages=(-1, 0, 1), zooms=(1, 2), tile=16), state=1)
    spec, before = engine.spec, engine.state()
    tiles = examples(spec, 4)
    engine.prepare(NO_REGULARISATION)
    engine.train_step(tiles, *answers(4), 1e-9)
    seen = tiles.pixels if name == "conv1" else tiles.pixels[:, :1]
    images = np.concatenate([normalised(each, spec).numpy() for tile in seen for each in tile])
    images = np.pad(images, [(0, 0), (0, 0), (reach, reach), (reach, reach)], mode="reflect")
    edge = 2 * reach + 1
    patches = np.lib.stride_tricks.sliding_window_view(images, (edge, edge), (2, 3))
    patches = patches[:, :, ::stride, ::stride]
    found = np.einsum("nchwij,kcij->knhw", patches, before[f"{name}.weight"], optimize=True)
    after, norm = engine.state(), name.replace("conv", "bn")
    for moment, value in (
        ("running_mean", found.mean((1, 2, 3))),
        ("running_var", found.var((1, 2, 3), ddof=1)),
    ):
        wanted = 0.9 * before[f"{norm}.{moment}"] + 0.1 * value
        np.testing.assert_allclose(after[f"{norm}.{moment}"], wanted, rtol=1e-4, atol=1e-5)


def test_statistics_of_a_file_stay_in_training(build: Any) -> None:
    engine = build(SPECS["linear"], state=1)
    spec, before = engine.spec, engine.state()
    tiles = examples(spec, 8)
    # The network ends before layer3.
    fixed = ("bn1", "layer1", "layer3")
    engine.prepare(OptimizerOptions(fixed_statistics=fixed))
    for _ in range(2):
        engine.train_step(tiles, *answers(8), 1e-3)
    after = engine.state()
    for name, array in before.items():
        stays = "running" in name and name.partition(".")[0] in fixed
        assert np.array_equal(after[name], array) == stays, name
    # Where all are fixed, training sees what an answer sees.
    plain = build(LINEAR, state=1)
    plain.prepare(OptimizerOptions(fixed_statistics=("bn1", "layer1")))
    tiles = examples(LINEAR, 8)
    before = plain.logits(tiles)
    np.testing.assert_allclose(plain.train_step(tiles, *answers(8), 1e-3).logits, before, atol=1e-4)


def test_statistics_of_a_file_stay_when_the_backbone_is_unfrozen(build: Any) -> None:
    engine = build(LINEAR, state=1)
    before, tiles = engine.state(), examples(LINEAR, 8)
    engine.prepare(OptimizerOptions(freeze=True, fixed_statistics=("bn1",)))
    engine.train_step(tiles, *answers(8), 1e-3)
    engine.unfreeze()
    engine.train_step(tiles, *answers(8), 1e-3)
    after = engine.state()
    same_as_before = {n for n in before if np.array_equal(after[n], before[n])}
    assert same_as_before == {"bn1.running_mean", "bn1.running_var"}


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("freeze", [False, True])
def test_a_checkpoint_continues_exactly(build: Any, optimizer: str, freeze: bool) -> None:
    options = OptimizerOptions(
        optimizer=optimizer, dropout=0.4, weight_decay=1e-3, freeze=freeze, seed=4
    )
    spec = TINY
    batches = [examples(spec, 8, seed) for seed in range(4)]

    def step(engine: Engine, i: int) -> float:
        return engine.train_step(batches[i], *answers(8, i), 0.01).loss

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
    tiles = examples(spec, 8)
    loss = engine.train_step(tiles, *answers(8), 0.01).loss
    again = build(spec, state=1)
    again.prepare(OptimizerOptions(dropout=0.5, seed=2))
    again.load_optimizer_state(start)
    assert again.train_step(tiles, *answers(8), 0.01).loss == loss


def test_dropout_follows_its_seed(build: Any) -> None:
    spec = TINY
    tiles = examples(spec, 8)
    codes, weights = answers(8)

    def losses(dropout: float, seed: int) -> list[float]:
        engine = build(spec, state=1)
        engine.prepare(OptimizerOptions(dropout=dropout, seed=seed))
        return [engine.train_step(tiles, codes, weights, 1e-9).loss for _ in range(2)]

    assert losses(0.5, 1) == losses(0.5, 1)
    assert losses(0.5, 1) != losses(0.5, 2)
    # Every step drops others; without dropout nothing changes at such a small rate.
    first, second = losses(0.5, 1)
    assert abs(first - second) > 1e-3
    first, second = losses(0, 1)
    assert first == pytest.approx(second, abs=1e-4)


def test_dropout_keeps_the_expectation(build: Any) -> None:
    engine = build(LINEAR, state=1)
    one = examples(LINEAR, 1)
    tiles = Tiles(one.pixels, one.owner.repeat(256), one.places.repeat(256, 0))
    before = engine.logits(one)[0]
    engine.prepare(OptimizerOptions(dropout=0.5, freeze=True))
    step = engine.train_step(tiles, *answers(256), 1e-9)
    error = step.logits.std(0) / 16
    assert (error > 1e-3).all()
    assert (np.abs(step.logits.mean(0) - before) < 4 * error).all()


def test_dropped_zooms_are_not_learned_from(build: Any) -> None:
    spec = SPECS["linear"]
    engine = build(spec, state=1)
    before = engine.state()
    factors = np.tile(np.array([1, 0], np.float32), (6, 1))
    engine.prepare(OptimizerOptions(optimizer="sgd", clip_norm=None))
    engine.train_step(replace(examples(spec, 6), factors=factors), *answers(6), 0.01)
    after = engine.state()
    for zoom, stage in spec.reads:
        name = spec.head_name(zoom, stage)
        assert np.array_equal(after[name], before[name]) == (zoom == 2)


def test_answers_are_never_dropped_out(build: Any) -> None:
    engine = build(make_spec(), state=1)
    tiles = examples(engine.spec, 4)
    before = engine.logits(tiles)
    engine.prepare(OptimizerOptions(dropout=0.9))
    np.testing.assert_array_equal(engine.logits(tiles), before)


def test_gradients_are_clipped(build: Any) -> None:
    spec = TINY
    tiles = examples(spec, 8)
    moved = []
    for clip in (1e-3, None):
        engine = build(spec, state=1)
        engine.prepare(OptimizerOptions(optimizer="sgd", momentum=0.9, clip_norm=clip))
        before = engine.state()
        engine.train_step(tiles, *answers(8), 1.0)
        after = engine.state()
        learned = [name for name in before if "running" not in name]
        moved.append(np.sqrt(sum(((after[n] - before[n]) ** 2).sum() for n in learned)))
    # Nesterov's first step is (1 + momentum) times the gradient.
    assert moved[0] == pytest.approx(1.9e-3, rel=0.01)
    assert moved[1] > 100 * moved[0]


def test_training_needs_preparation(build: Any) -> None:
    engine = build(make_spec())
    tiles = examples(engine.spec, 2)
    with pytest.raises(RuntimeError, match="prepare"):
        engine.train_step(tiles, *answers(2), 0.1)
    with pytest.raises(RuntimeError, match="prepare"):
        engine.load_optimizer_state({})


@pytest.mark.gpu
def test_a_gpu_trains(build: Any) -> None:
    engine = build(make_spec(normalisation=BYTES), seed=1, device="cuda")
    spec = engine.spec
    tiles = examples(spec, 16)
    codes, weights = answers(16)
    engine.prepare(OptimizerOptions(dropout=0.1))
    steps = [engine.train_step(tiles, codes, weights, 0.005) for _ in range(25)]
    assert steps[-1].loss < 0.2 * steps[0].loss
    assert engine.optimizer_state()


def test_bf16_on_the_processor_learns_like_float32() -> None:
    # Every processor computes it; those without instructions for it do so slowly.
    engine_losses = []
    for precision in ("fp32", "bf16"):
        engine = create_engine("torch", TINY, device="cpu", seed=1)
        tiles = examples(TINY, 16)
        engine.prepare(OptimizerOptions(precision=precision))
        steps = [engine.train_step(tiles, *answers(16), 0.005) for _ in range(20)]
        engine_losses.append([step.loss for step in steps])
        assert all(array.dtype == np.float32 for array in engine.state().values())
    assert engine_losses[0] != engine_losses[1]
    assert engine_losses[1][0] == pytest.approx(engine_losses[0][0], rel=0.01)
    assert engine_losses[1][-1] < 0.2 * engine_losses[1][0]
