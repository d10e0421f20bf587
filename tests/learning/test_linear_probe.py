"""Heads that are fitted to the features of a backbone that stays as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.errors import InputError
from napari_lungcls.evaluation.calibration import Prior
from napari_lungcls.learning.augmentation import places_in_tiles, posed, right_pose
from napari_lungcls.learning.dataset import read_point_set
from napari_lungcls.learning.examples import Crops, Side
from napari_lungcls.learning.initialization import Initialization, start_network
from napari_lungcls.learning.linear_probe import USUAL_STRENGTH, fit_linear_probe, poses_for
from napari_lungcls.learning.point_index import place_points
from napari_lungcls.learning.preview import preview_settings
from napari_lungcls.learning.progress import Clock
from napari_lungcls.learning.run import run_training
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.trainer import TrainingPart, class_weights, logits_of
from napari_lungcls.network.engines import create_engine
from napari_lungcls.network.pretrained import IMAGENET
from napari_lungcls.network.tiles import Tiles
from napari_lungcls.utils import downloads
from napari_lungcls.utils.progress import exhaust
from three_tissues import QUICK, READS, exhausted, run, scene

FROZEN = QUICK.model_copy(update={"freeze": "yes"})


def two_classes() -> tuple[Any, ClassScheme]:
    stack, points = scene()
    assert points.labels is not None
    labels = np.where(points.labels == "dark", "dark", "light")
    return (stack, Points.build(points.coordinates, labels)), ClassScheme.of_names(
        ["dark", "light"]
    )


@pytest.mark.parametrize("prior", ["points", "equal"])
def test_they_are_right_though_the_backbone_is_random(prior: str) -> None:
    steps, trained = run([scene()], FROZEN.model_copy(update={"prior": prior}))
    assert trained.document.validation is not None
    assert trained.document.validation["accuracy"] > 0.9
    fresh = create_engine("torch", trained.document.network, device="cpu", seed=1).state()
    for name, array in trained.state.items():
        if not name.startswith("heads."):
            np.testing.assert_array_equal(fresh[name], array, err_msg=name)
    # Reported batch by batch, and one epoch in all.
    assert [step.epoch for step in steps if step.record] == [1]
    assert steps[-1].done == steps[-1].total


@pytest.mark.parametrize(("classes", "hidden"), [(2, 0), (2, 32), (3, 0), (3, 32)])
def test_the_network_gives_scikit_learn_s_own_probabilities(classes: int, hidden: int) -> None:
    pair, scheme = two_classes()
    if classes == 3:
        pair, scheme = scene(), ClassScheme.of_names(["dark", "grey", "bright"])
    settings = FROZEN.model_copy(update={"hidden": hidden, "val_fraction": 0.0, "prior": "equal"})
    layout = place_points([pair], scheme, settings.zooms, None)
    *_, examples = read_point_set([pair], layout, 64)
    side = Side(np.arange(len(layout)))
    engine = start_network(examples, side, settings, classes, "uint8", Initialization())
    assert engine.spec.hidden == (hidden and max(hidden, 2 * classes))
    fit = fit_linear_probe(
        engine, examples, TrainingPart("", side, Side()), settings, _clock(), 0, 1, lambda: False
    )
    exhaust(fit)
    features, codes, asked = [], [], []
    for rows, tiles in examples.answering(side, engine.spec.tile, 4):
        asked.append((rows, _flat(engine, tiles)))
        crops = Crops(tiles.pixels, rows, tiles.owner, tiles.places)
        for number in range(8):
            pose, edge = right_pose(number, len(tiles.pixels)), tiles.pixels.shape[2]
            turned = Tiles(
                posed(tiles.pixels, pose, edge), tiles.owner, places_in_tiles(crops, pose, edge)
            )
            features.append(_flat(engine, turned))
            codes.append(examples.codes[rows])
    codes = np.concatenate(codes)
    reference = make_pipeline(StandardScaler(), LogisticRegression(C=USUAL_STRENGTH, max_iter=200))
    weights = class_weights(examples.codes, settings, classes)[codes]
    reference.fit(np.concatenate(features), codes, logisticregression__sample_weight=weights)
    rows = np.concatenate([rows for rows, _ in asked])
    wanted = reference.predict_proba(np.concatenate([found for _, found in asked]))
    found = softmax(logits_of(engine, examples, side)[rows].astype(float), axis=1)
    np.testing.assert_allclose(found, wanted, atol=2e-3)
    assert (found.argmax(1) == wanted.argmax(1)).all()
    if hidden:
        # What is not taken by the map is there to be learned, and has no say yet.
        out = engine.state()["heads.out.weight"]
        assert (out[:, 2 * classes :] == 0).all()
        head = engine.state()[engine.spec.head_name(1, 1)]
        assert (np.abs(head[2 * classes :]).max(1, initial=0) > 0).all()


def _flat(engine: Any, tiles: Tiles) -> Any:
    found, zooms = engine.features(tiles), engine.spec.zooms
    return np.concatenate([found[s][:, zooms.index(z)] for z, s in engine.spec.reads], 1)


def _clock() -> Clock:
    clock = Clock()
    clock.start(1)
    return clock


def test_training_can_begin_from_them() -> None:
    pair, scheme = scene(), ClassScheme.of_names(["dark", "grey", "bright"])
    layout = place_points([pair], scheme, FROZEN.zooms, None)
    *_, examples = read_point_set([pair], layout, 64)
    side = Side(np.arange(len(layout)))
    engine = start_network(examples, side, FROZEN, 3, "uint8", Initialization())
    part = TrainingPart("", side, Side())
    exhaust(fit_linear_probe(engine, examples, part, FROZEN, _clock(), 0, 1, lambda: False))
    engine.prepare(QUICK.optimizer_options)
    for rows, tiles in examples.answering(side, 32, 2):
        codes = examples.codes[rows]
        before = engine.state()
        step = engine.train_step(tiles, codes, np.ones(len(codes), np.float32), 1e-3)
        assert np.isfinite(step.loss)
    moved = [n for n, a in engine.state().items() if not np.array_equal(a, before[n])]
    assert {"conv1.weight", "heads.out.weight", "heads.bias"} <= set(moved)


def test_two_classes_and_a_seed() -> None:
    pair, scheme = two_classes()
    first, again = (exhausted(run_training([pair], FROZEN, scheme)) for _ in range(2))
    assert first.document.validation is not None
    assert first.document.validation["accuracy"] > 0.9
    for name, array in first.state.items():
        np.testing.assert_array_equal(array, again.state[name])


def test_labels_that_were_not_smoothed_need_no_usual_temperature() -> None:
    settings = FROZEN.model_copy(update={"val_fraction": 0.0})
    trained = run([scene()], settings)[1]
    assert trained.document.temperature == Prior.of_smoothing(0.0, 3).centre


def test_cancelled_there_is_nothing() -> None:
    asked = iter(range(99))
    with pytest.raises(InputError, match="before the heads were fitted"):
        run([scene()], FROZEN, cancelled=lambda: next(asked) > READS)


@pytest.mark.parametrize(("n", "poses"), [(1, 8), (1500, 8), (3000, 4), (12_001, 1), (10**6, 1)])
def test_few_points_are_seen_in_many_poses(n: int, poses: int) -> None:
    assert poses_for(n) == poses


def test_a_preview_downloads_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(downloads, "cache_folder", lambda: tmp_path)
    for given in ("none", "imagenet", "auto"):
        chosen = preview_settings(TrainingSettings(pretrained=given, folds=3, final="anew"))
        assert (chosen.freeze, chosen.pretrained, chosen.val_fraction) == ("yes", "none", 0)
        assert (chosen.folds, chosen.final) == (1, "none")
    (tmp_path / IMAGENET[1].file_name).touch()
    assert preview_settings(TrainingSettings()).pretrained == "imagenet"
    assert preview_settings(TrainingSettings(pretrained="x.pth")).pretrained == "x.pth"
