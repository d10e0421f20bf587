"""Training runs: repeatable, honest, cancellable, and complete in what they leave."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import save_file
from scipy.special import log_softmax

from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.evaluation.calibration import Prior
from napari_lungcls.images.pairs import Pair
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.inference.at_points import predictions_at
from napari_lungcls.learning.dataset import PointSet, read_point_set
from napari_lungcls.learning.examples import Side
from napari_lungcls.learning.point_index import place_points
from napari_lungcls.learning.progress import Clock
from napari_lungcls.learning.run import Trained, TrainingProgress, run_training
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.splits import make_splits
from napari_lungcls.learning.trainer import class_weights, draw_epoch, logits_of
from napari_lungcls.network.engines import create_engine
from napari_lungcls.network.engines.torch.engine import TorchEngine
from napari_lungcls.network.model_file import write_model
from napari_lungcls.network.parameters import backbone_shapes, stage_of
from napari_lungcls.network.predictor import Predictor
from three_tissues import QUICK, READS, SCHEME, exhausted, run, same, scene


def timeless(trained: Trained) -> list[dict[str, Any]]:
    return [record | {"seconds": 0} for record in trained.document.history]


def examples_of(pair: Pair) -> PointSet:
    layout = place_points([pair], SCHEME, QUICK.zooms, None)
    *_, points = read_point_set([pair], layout, 64)
    assert isinstance(points, PointSet)
    return points


def logits_in(trained: Trained, examples: PointSet, side: Side) -> NDArray[np.float64]:
    """Answer points with a trained model."""
    engine = create_engine("torch", trained.document.network, device="cpu")
    engine.load(trained.state)
    return logits_of(engine, examples, side).astype(float)


@pytest.fixture(scope="module")
def trained() -> tuple[list[TrainingProgress], Trained]:
    return run([scene()])


def test_a_seed_repeats_a_run_to_the_bit(trained: Any) -> None:
    again = run([scene()])[1]
    assert same(again, trained[1])
    assert timeless(again) == timeless(trained[1])
    assert again.document.validation == trained[1].document.validation
    other = run([scene()], QUICK.model_copy(update={"seed": 2}))[1]
    assert not same(other, trained[1])
    assert timeless(other) != timeless(trained[1])


def test_nothing_else_s_random_numbers_are_used_or_changed(trained: Any) -> None:
    import random

    import torch

    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    random.seed(5)
    before = (torch.random.get_rng_state(), np.random.get_state()[1].copy(), random.getstate())  # noqa: NPY002
    assert same(run([scene()])[1], trained[1])
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert random.getstate() == before[2]


def test_progress_goes_from_reading_to_the_last_epoch(trained: Any) -> None:
    steps, result = trained
    reading = [step for step in steps if step.phase == "reading"]
    training = [step for step in steps if step.phase == "training"]
    assert steps == reading + training
    assert (reading[-1].done, reading[-1].total) == (READS, READS)
    assert [step.done for step in training] == list(range(1, training[0].total + 1))
    assert [step.epoch for step in training if step.record] == [1, 2, 3]
    assert training[-1].epochs == 3
    assert training[-1].remaining == pytest.approx(0)
    assert all(step.loss is not None and math.isfinite(step.loss) for step in training)
    assert all(a.seconds <= b.seconds for a, b in itertools.pairwise(steps))
    assert "epoch 3/3, loss" in training[-1].words
    assert "validation" in training[-1].words
    assert [r["epoch"] for r in result.document.history] == [1, 2, 3]


def test_the_document_says_everything(trained: Any) -> None:
    document, state = trained[1].document, trained[1].state
    assert document.network.zooms == (1, 2)
    assert (document.network.tile, document.network.stages) == (32, (-1, 1))
    assert document.scheme == SCHEME
    assert TrainingSettings.model_validate(document.settings) == QUICK.resolved(90)
    assert (document.engine, document.device, document.pretrained) == ("torch", "cpu", "none")
    assert document.pixel_size is None
    split = document.split
    assert split["train"] + split["validation"] + split["n_buffered"] == 90
    assert split["val_fraction"] == 0.2
    assert split["by"] == "blocks"
    assert document.validation is not None
    assert document.validation["n"] == split["validation"]
    assert document.validation["classes"] == list(SCHEME.names)
    assert document.network.normalisation.dtype == "uint8"
    shapes = document.network.shapes()
    assert {name: array.shape for name, array in state.items()} == shapes
    best = min(document.history, key=lambda record: record["val_loss"])
    assert document.validation["accuracy"] == pytest.approx(best["val_accuracy"])


def test_it_learns_what_can_be_learned() -> None:
    settings = QUICK.model_copy(update={"epochs": 15, "learning_rate": 3e-3})
    trained = run([scene()], settings)[1]
    assert trained.document.validation is not None
    assert trained.document.validation["accuracy"] > 0.9
    history = trained.document.history
    assert history[-1]["train_loss"] < 0.5 * history[0]["train_loss"]
    # And it holds for another image of the same kind.
    other = examples_of(scene(7))
    found = logits_in(trained, other, Side(np.arange(90)))
    assert (found.argmax(1) == other.codes).mean() > 0.9


def test_validation_figures_are_those_of_tissue_of_the_points_own_regions(trained: Any) -> None:
    result, examples = trained[1], examples_of(scene())
    # The split is drawn from the seed before anything else.
    (split,) = make_splits(examples.layout, QUICK, SCHEME, np.random.default_rng(QUICK.seed))
    side = Side(split.validation, split.validation_regions)
    # The loss of an epoch knows nothing of the temperature that is fitted in the end.
    found = log_softmax(logits_in(result, examples, side), axis=1)
    codes = examples.codes[split.validation]
    right = (found.argmax(1) == codes).mean()
    assert right == pytest.approx(result.document.validation["accuracy"])
    loss = -found[np.arange(len(codes)), codes].mean()
    best = min(record["val_loss"] for record in result.document.history)
    assert loss == pytest.approx(best, rel=1e-3)


def test_validation_answers_are_those_of_regions_painted_for_themselves(trained: Any) -> None:
    result, examples = trained[1], examples_of(scene())
    (split,) = make_splits(examples.layout, QUICK, SCHEME, np.random.default_rng(QUICK.seed))
    rows = np.sort(split.validation)
    engine = create_engine("torch", result.document.network, device="cpu")
    engine.load(result.state)
    (region,) = split.validation_regions
    # Nothing but the region's own pixels: an image of its own.
    pixels = scene()[0].levels[0][region.top : region.bottom, region.left : region.right]
    places = examples.layout.coordinates[rows] - (region.top, region.left)
    found = np.empty((len(rows), 3))
    alone = ImageStack(np.ascontiguousarray(pixels))
    for here, probabilities in predictions_at(Predictor(engine, result.document), alone, places):
        found[here] = probabilities
    differences = abs(found - result.predictions.probabilities).max(1)
    # Cells lie on other pixels where a tile begins elsewhere than the region.
    assert np.median(differences) < 0.01
    assert differences.max() < 0.05


def test_without_validation_the_last_epoch_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    steps, trained = run([scene()], QUICK.model_copy(update={"val_fraction": 0}))
    document = trained.document
    assert document.validation is None
    assert [(r["val_loss"], r["val_accuracy"]) for r in document.history] == [(None, None)] * 3
    assert document.split["train"] == 90
    assert document.split["validation"] == document.split["n_buffered"] == 0
    assert "validation" not in steps[-1].words
    # Nothing to fit a temperature on: that which such labels usually need.
    assert document.temperature == Prior.of_smoothing(QUICK.label_smoothing, 3).centre
    assert document.temperature != 1


def test_all_labelled_points_in_a_tile_are_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Any, ...]] = []
    original = TorchEngine.train_step

    def step(self: Any, tiles: Any, codes: Any, weights: Any, rate: float) -> Any:
        seen.append((len(tiles.pixels), len(tiles), codes, weights))
        return original(self, tiles, codes, weights, rate)

    monkeypatch.setattr(TorchEngine, "train_step", step)
    chosen = QUICK.model_copy(
        update={"val_fraction": 0, "tile": 96, "epochs": 1, "prior": (0.5, 0.2, 0.3)}
    )
    pair = scene()
    run([pair], chosen)
    assert [tiles for tiles, *_ in seen] == [16] * chosen.steps_per_epoch(90)
    # About 2.4 × 2.4 squares of tissue in a tile, nearly all with a point.
    assert np.mean([points / tiles for tiles, points, *_ in seen]) > 4
    weights = class_weights(pair[1].codes(SCHEME), chosen, 3)
    for _, points, codes, given_weights in seen:
        assert len(codes) == points
        np.testing.assert_array_equal(given_weights, weights[codes])


@settings(max_examples=40)
@given(
    st.lists(st.integers(1, 50), min_size=2, max_size=5),
    st.sampled_from(["points", "equal", "numbers"]),
    st.integers(0, 99),
)
def test_classes_weigh_as_much_as_the_tissue_has_of_them(
    counts: list[int], prior: str, seed: int
) -> None:
    codes = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    numbers = tuple(float(v) for v in np.random.default_rng(seed).uniform(0.1, 9, len(counts)))
    given_prior: Any = numbers if prior == "numbers" else prior
    weights = class_weights(codes, TrainingSettings(prior=given_prior), len(counts))
    share = np.bincount(codes, weights[codes]) / weights[codes].sum()
    wanted = {"points": counts, "equal": [1] * len(counts), "numbers": numbers}[prior]
    np.testing.assert_allclose(share, np.array(wanted) / sum(wanted), rtol=1e-5)
    # On average a point weighs one, whatever the prior, so that rates mean the same.
    assert weights[codes].mean() == pytest.approx(1, rel=1e-5)


def test_a_prior_for_other_classes_is_refused() -> None:
    with pytest.raises(InputError, match="there are 3 classes, and 2 class frequencies"):
        run([scene()], QUICK.model_copy(update={"prior": (0.5, 0.5)}))


def test_every_point_is_drawn_equally_often() -> None:
    examples, rows = examples_of(scene()), np.arange(70)
    chosen = TrainingSettings(batch_size=8, epochs=1)
    rng = np.random.default_rng(0)
    drawn = [draw_epoch(examples, rows, chosen, rng) for _ in range(3)]
    for epoch in drawn:
        assert [len(step) for step in epoch] == [8] * chosen.steps_per_epoch(70)
        counts = np.bincount(np.concatenate(epoch), minlength=90)
        assert counts[70:].max() == 0
        assert np.ptp(counts[:70]) <= 1
    assert not np.array_equal(np.concatenate(drawn[0]), np.concatenate(drawn[1]))


@pytest.mark.parametrize("after", [0, 1, 7])
def test_a_cancelled_run_returns_the_best_so_far(after: int) -> None:
    calls = []

    def cancelled() -> bool:
        calls.append(1)
        return len(calls) > READS + after

    steps, trained = run([scene()], QUICK.model_copy(update={"epochs": 50}), cancelled=cancelled)
    done = [step for step in steps if step.phase == "training"]
    assert len(done) == after
    per_epoch = QUICK.steps_per_epoch(trained.document.split["train"])
    assert len(trained.document.history) == after // per_epoch
    assert trained.document.network.shapes().keys() == trained.state.keys()
    if after == 7:
        assert trained.document.validation is not None
        reference = run(
            [scene()], QUICK.model_copy(update={"epochs": 50}), cancelled=stop(per_epoch)
        )
        assert same(reference[1], trained)
    else:
        assert trained.document.validation is None
        assert trained.document.history == []


def stop(after: int) -> Any:
    left = iter([False] * (READS + after) + [True] * 99)
    return lambda: next(left)


def test_a_run_cancelled_while_reading_leaves_nothing() -> None:
    with pytest.raises(InputError, match="cancelled before the first step"):
        run([scene()], cancelled=lambda: True)


@pytest.fixture
def _as_training_left_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays are compared as training leaves them, before they are written down for adapting."""
    monkeypatch.setattr("napari_lungcls.learning.run.rebased_on", lambda d, state, _: (d, state))


@pytest.mark.usefixtures("_as_training_left_it")
def test_an_epoch_is_kept_and_patience_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    # At a loss of 2 every point is wrong.
    losses = iter([1.0, 0.5, 0.7, 2.0, 2.0, 0.4])
    states: list[Any] = []

    def logits(engine: Any, examples: Any, side: Side) -> NDArray[np.float64]:
        """Answer as if the loss of every point were the next of `losses`."""
        states.append(engine.state())
        loss, codes = next(losses), examples.codes[side.rows]
        rest = np.log((1 - np.exp(-loss)) / 2)
        found = np.full((len(codes), 3), rest)
        found[np.arange(len(codes)), codes] = -loss
        return found

    monkeypatch.setattr("napari_lungcls.learning.trainer.logits_of", logits)
    settings = QUICK.model_copy(update={"epochs": 50, "patience": 3})
    trained = run([scene()], settings)[1]
    found = [record["val_loss"] for record in trained.document.history]
    assert found == pytest.approx([1.0, 0.5, 0.7, 2.0, 2.0])
    for name, array in trained.state.items():
        np.testing.assert_array_equal(array, states[2][name])


def test_learning_rates_follow_the_schedule() -> None:
    settings = QUICK.model_copy(
        update={"schedule": "step", "step_epochs": 1, "step_factor": 0.5, "learning_rate": 0.01}
    )
    history = run([scene()], settings)[1].document.history
    assert [record["learning_rate"] for record in history] == [0.01, 0.005, 0.0025]


@pytest.mark.usefixtures("_as_training_left_it")
def test_a_backbone_that_stays_frozen_is_the_one_it_started_from() -> None:
    trained = run([scene()], QUICK.model_copy(update={"unfreeze_after": 9}))[1]
    fresh = create_engine("torch", trained.document.network, device="cpu", seed=1).state()
    for name, array in trained.state.items():
        learns = name.startswith(("heads.", "detail."))
        assert np.array_equal(array, fresh[name]) == (not learns), name


def test_progress_with_weights_never_runs_backwards(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        name: rng.normal(0, 0.05, shape) + name.endswith(("running_var", "bn1.weight"))
        for name, shape in backbone_shapes().items()
        if stage_of(name) <= 1
    }
    path = tmp_path / "w.safetensors"
    save_file({n: abs(a).astype(np.float32) for n, a in arrays.items()}, path)
    # A linear map, an epoch of the split, and some with all points.
    chosen = QUICK.model_copy(
        update={"pretrained": str(path), "epochs": 1, "final": "finish", "zooms": (1,)}
    )
    steps, trained = run([scene()], chosen)
    training = [step for step in steps if step.phase == "training"]
    done = [step.done for step in training]
    assert done == sorted(done)
    assert {step.total for step in training} == {done[-1]}
    assert [record["epoch"] for record in trained.document.history] == [1]


def test_several_images_of_different_pixel_sizes() -> None:
    first, second = scene(0, pixel_size=0.5), scene(1, pixel_size=0.25, source="b.tif")
    with pytest.warns(LungclsWarning, match="0.5 µm per pixel and the model sees 0.25"):
        trained = run([first, second], QUICK.model_copy(update={"zooms": (2,)}))[1]
    # The finest of them is what the model knows; the other is resampled to it.
    assert trained.document.pixel_size == 0.25
    split = trained.document.split
    assert split["train"] + split["validation"] + split["n_buffered"] == 180


def test_grey_stacks_of_other_types() -> None:
    stack, points = scene()
    grey = np.asarray(stack.levels[0])[..., 0].astype(np.uint16) * 200
    volume = ImageStack(np.stack([grey, grey]), rgb=False)
    z = np.arange(90) % 2
    flat = Points.build(np.column_stack([z, points.coordinates]), points.labels)
    document = run([(volume, flat)], QUICK.model_copy(update={"epochs": 1}))[1].document
    assert document.network.normalisation.dtype == "uint16"
    assert 5_000 < document.network.normalisation.mean[0] < 40_000
    assert document.rgb is False


def test_a_model_knows_whether_it_was_trained_on_colours() -> None:
    quick = QUICK.model_copy(update={"epochs": 1})
    (stack, points), (second, others) = scene(), scene(1, source="b.tif")
    assert run([(stack, points)], quick)[1].document.rgb is True
    grey = ImageStack(np.asarray(second.levels[0])[..., 0], rgb=False, source="b.tif")
    assert run([(stack, points), (grey, others)], quick)[1].document.rgb is None


def test_going_on_with_a_colour_model_on_grey_images_is_said(tmp_path: Path) -> None:
    quick = QUICK.model_copy(update={"epochs": 1})
    stack, points = scene()
    trained = run([(stack, points)], quick)[1]
    path = write_model(tmp_path / "m.safetensors", trained.document, trained.state)
    grey = ImageStack(np.asarray(stack.levels[0])[..., 0], rgb=False, source="grey.tif")
    with pytest.warns(LungclsWarning, match="RGB images and grey.tif is grey"):
        run([(grey, points)], quick.model_copy(update={"pretrained": str(path)}))


@pytest.mark.gpu
def test_a_gpu_learns_the_same() -> None:
    settings = QUICK.model_copy(update={"epochs": 15, "learning_rate": 3e-3, "device": "cuda"})
    trained = run([scene()], settings)[1]
    assert trained.document.device.startswith("cuda")
    assert trained.document.validation is not None
    assert trained.document.validation["accuracy"] > 0.9


def test_what_is_chosen_on_the_validation_points_stands_in_the_model() -> None:
    stack, points = scene()
    assert points.labels is not None
    labels = np.where(points.labels == "dark", "dark", "light")
    pairs = [(stack, Points.build(points.coordinates, labels))]
    scheme = ClassScheme.of_names(["dark", "light"])
    settings = QUICK.model_copy(update={"aim": "recall", "recall": 0.9, "test_fraction": 0.2})
    document = exhausted(run_training(pairs, settings, scheme)).document
    assert document.calibration is not None
    assert document.temperature == document.calibration["temperature"] != 1
    assert document.operating_point is not None
    assert document.threshold == document.operating_point["value"]
    assert document.validation is not None
    assert document.validation["per_class"]["light"]["recall"] >= 0.9
    assert document.test is not None
    assert document.test["n"] == document.split["test"] > 0
    assert sum(document.split["class_counts"]["test"]) == document.split["test"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"aim": "balanced"}, "is for two classes, and the scheme .* has 3"),
        ({"aim": "recall", "val_fraction": 0}, "is for two classes"),
    ],
)
def test_an_aim_needs_two_classes(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run([scene()], QUICK.model_copy(update=changes))


def test_cross_validation_judges_every_point_and_ends_with_all() -> None:
    steps, trained = run([scene()], QUICK.model_copy(update={"folds": 3, "epochs": 1}))
    split = trained.document.split
    assert split["final"] == 90
    assert trained.document.validation is not None
    assert trained.document.validation["n"] == sum(f["validation"] for f in split["folds"]) > 80
    assert list(dict.fromkeys(s.part for s in steps if s.phase == "training")) == [
        "fold 1 of 3", "fold 2 of 3", "fold 3 of 3", "all points",
    ]  # fmt: skip


def test_after_the_split_the_network_goes_on_with_all_points() -> None:
    split_only = run([scene()], QUICK)[1]
    steps, trained = run([scene()], QUICK.model_copy(update={"final": "finish"}))
    parts = list(dict.fromkeys(s.part for s in steps if s.phase == "training"))
    assert parts == ["", "all points"]
    before, after = split_only.document, trained.document
    assert (after.split["final"], before.split["final"]) == (90, 0)
    # Figures and normalisation are those of the split, the arrays have moved on from its best.
    assert (after.validation, after.temperature) == (before.validation, before.temperature)
    assert after.network == before.network
    weights = [run.state["conv1.weight"].ravel() for run in (split_only, trained)]
    assert 0.9 < np.corrcoef(weights)[0, 1] < 1 - 1e-6


def test_a_cancelled_finish_leaves_the_network_of_the_split() -> None:
    split_only = run([scene()], QUICK)[1]
    left = [READS + 17]

    def cancelled() -> bool:
        left[0] -= 1
        return left[0] < 0

    settings = QUICK.model_copy(update={"final": "finish"})
    steps, trained = run([scene()], settings, cancelled=cancelled)
    assert any(step.part == "all points" for step in steps)
    assert trained.document.split["final"] == 0
    for name, array in trained.state.items():
        np.testing.assert_array_equal(array, split_only.state[name])


def test_the_time_left_is_told_after_twenty_steps():
    clock = Clock()
    clock.start(120, done=20)
    assert clock.remaining(20) is None
    assert clock.remaining(39) is None
    assert clock.remaining(40) > 0
    clock.start(3)
    assert clock.remaining(2) is None
    assert clock.remaining(3) == 0
