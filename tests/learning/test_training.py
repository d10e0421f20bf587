"""Training runs: repeatable, honest, cancellable, and complete in what they leave."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.imaging.stack import ImageStack
from napari_lungcls.learning.layout import Pair, place_points
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.splits import make_splits
from napari_lungcls.learning.training import Trained, TrainingProgress, run_training
from napari_lungcls.network.engines import create_engine
from napari_lungcls.network.engines.torch_engine import TorchEngine
from napari_lungcls.network.modelfile import parameter_shapes, write_model
from napari_lungcls.painting.classify import classify_points
from three_tissues import QUICK, SCHEME, exhausted, run, same, scene


def timeless(trained: Trained) -> list[dict[str, Any]]:
    return [record | {"seconds": 0} for record in trained.document.history]


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
    assert (reading[-1].done, reading[-1].total) == (90, 90)
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
    assert (document.network.window, document.network.stages) == (16, (1,))
    assert document.scheme == SCHEME
    assert TrainingSettings.model_validate(document.settings) == QUICK
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
    shapes = parameter_shapes(document.network)
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
    # And it holds for another image of the same kind, through windows.
    stack, points = scene(7)
    engine = create_engine("torch", trained.document.network, device="cpu")
    engine.load(trained.state)
    found = np.concatenate(
        [odds for _, odds in classify_points(engine, trained.document, stack, points.coordinates)]
    )
    assert (found.argmax(1) == points.codes(SCHEME)).mean() > 0.9


def test_validation_figures_are_those_of_answers_through_windows(trained: Any) -> None:
    result = trained[1]
    stack, points = scene()
    engine = create_engine("torch", result.document.network, device="cpu")
    engine.load(result.state)
    # The loss of an epoch knows nothing of the temperature that is fitted in the end.
    plain = result.document.model_copy(update={"temperature": 1.0})
    found = np.concatenate(
        [odds for _, odds in classify_points(engine, plain, stack, points.coordinates)]
    )
    # The split is drawn from the seed before anything else.
    layout = place_points([(stack, points)], SCHEME, QUICK.zooms, None)
    (split,) = make_splits(layout, QUICK, SCHEME, np.random.default_rng(QUICK.seed))
    codes = points.codes(SCHEME)[split.validation]
    right = (found[split.validation].argmax(1) == codes).mean()
    assert right == pytest.approx(result.document.validation["accuracy"])
    loss = -np.log(found[split.validation, :][np.arange(len(codes)), codes]).mean()
    best = min(record["val_loss"] for record in result.document.history)
    assert loss == pytest.approx(best, rel=1e-3)


def test_without_validation_the_last_epoch_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    steps, trained = run([scene()], QUICK.model_copy(update={"val_fraction": 0}))
    document = trained.document
    assert document.validation is None
    assert [(r["val_loss"], r["val_accuracy"]) for r in document.history] == [(None, None)] * 3
    assert document.split["train"] == 90
    assert document.split["validation"] == document.split["n_buffered"] == 0
    assert "validation" not in steps[-1].words


def spy_on_steps(monkeypatch: pytest.MonkeyPatch) -> list[NDArray[np.int64]]:
    drawn: list[NDArray[np.int64]] = []
    original = TorchEngine.train_step

    def step(self: Any, windows: Any, readouts: Any, codes: Any, *rest: Any) -> Any:
        drawn.append(codes)
        return original(self, windows, readouts, codes, *rest)

    monkeypatch.setattr(TorchEngine, "train_step", step)
    return drawn


def unbalanced() -> Pair:
    stack, points = scene()
    codes = points.codes(SCHEME)
    keep = np.concatenate([np.flatnonzero(codes == 0), np.flatnonzero(codes == 1)[:9],
                           np.flatnonzero(codes == 2)[:4]])  # fmt: skip
    return stack, points.select(np.sort(keep))


@pytest.mark.parametrize("balance", ["sampling", "none"])
def test_classes_are_drawn_equally_often(monkeypatch: pytest.MonkeyPatch, balance: str) -> None:
    drawn = spy_on_steps(monkeypatch)
    stack, points = unbalanced()
    settings = QUICK.model_copy(
        update={"val_fraction": 0, "balance": balance, "epochs": 2, "batch_size": 10}
    )
    run([(stack, points)], settings)
    steps = settings.steps_per_epoch(len(points))
    assert steps * 10 % 3
    assert [len(codes) for codes in drawn] == [10] * 2 * steps
    there = Counter(points.codes(SCHEME).tolist())
    for epoch in (drawn[:steps], drawn[steps:]):
        counts = Counter(np.concatenate(epoch).tolist())
        if balance == "sampling":
            assert max(counts.values()) - min(counts.values()) <= 1
        else:
            # Every point about once: as often as it occurs.
            for code, n in there.items():
                assert abs(counts[code] - n) <= 10 / 2
    assert not np.array_equal(np.concatenate(drawn[:steps]), np.concatenate(drawn[steps:]))


@pytest.mark.parametrize("after", [0, 1, 7])
def test_a_cancelled_run_returns_the_best_so_far(after: int) -> None:
    calls = []

    def cancelled() -> bool:
        calls.append(1)
        # Asked once while the points are read.
        return len(calls) > 1 + after

    steps, trained = run([scene()], QUICK.model_copy(update={"epochs": 50}), cancelled=cancelled)
    done = [step for step in steps if step.phase == "training"]
    assert len(done) == after
    per_epoch = round(trained.document.split["train"] / 16)
    assert len(trained.document.history) == after // per_epoch
    assert parameter_shapes(trained.document.network).keys() == trained.state.keys()
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
    left = iter([False] * (1 + after) + [True] * 99)
    return lambda: next(left)


def test_a_run_cancelled_while_reading_leaves_nothing() -> None:
    with pytest.raises(InputError, match="cancelled before the first step"):
        run([scene()], cancelled=lambda: True)


def test_an_epoch_is_kept_and_patience_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    # At a loss of 2 every point is wrong.
    losses = iter([1.0, 0.5, 0.7, 2.0, 2.0, 0.4])
    states: list[Any] = []

    def logits(engine: Any, examples: Any, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Answer as if the loss of every point were the next of `losses`."""
        states.append(engine.state())
        loss, codes = next(losses), examples.codes[rows]
        rest = np.log((1 - np.exp(-loss)) / 2)
        found = np.full((len(rows), 3), rest)
        found[np.arange(len(rows)), codes] = -loss
        return found

    monkeypatch.setattr("napari_lungcls.learning.loop.logits_of", logits)
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


def test_a_frozen_trunk_is_the_one_it_started_from() -> None:
    settings = QUICK.model_copy(update={"freeze": True})
    trained = run([scene()], settings)[1]
    fresh = create_engine("torch", trained.document.network, device="cpu", seed=1).state()
    for name, array in trained.state.items():
        assert np.array_equal(array, fresh[name]) == (not name.startswith("heads.")), name


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
    assert trained.document.validation["n"] == sum(f["validation"] for f in split["folds"]) == 90
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
    left = [18]

    def cancelled() -> bool:
        left[0] -= 1
        return left[0] < 0

    settings = QUICK.model_copy(update={"final": "finish"})
    steps, trained = run([scene()], settings, cancelled=cancelled)
    assert any(step.part == "all points" for step in steps)
    assert trained.document.split["final"] == 0
    for name, array in trained.state.items():
        np.testing.assert_array_equal(array, split_only.state[name])
