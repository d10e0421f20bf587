"""Heads that are fitted to the features of a trunk that stays as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari_lungcls.learning.heads import poses_for

from napari_lungcls import downloads
from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.errors import InputError
from napari_lungcls.learning.preview import preview_settings
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.training import run_training
from napari_lungcls.network.engines import create_engine
from napari_lungcls.network.weight_sources import IMAGENET
from three_tissues import QUICK, exhausted, run, scene

FROZEN = QUICK.model_copy(update={"freeze": True})


@pytest.mark.parametrize("balance", ["sampling", "none"])
def test_they_are_right_though_the_trunk_is_random(balance: str) -> None:
    steps, trained = run([scene()], FROZEN.model_copy(update={"balance": balance}))
    assert trained.document.validation is not None
    assert trained.document.validation["accuracy"] > 0.9
    fresh = create_engine("torch", trained.document.network, device="cpu", seed=1).state()
    for name, array in trained.state.items():
        assert np.array_equal(fresh[name], array) == (not name.startswith("heads.")), name
    # Reported batch by batch, and one epoch in all.
    assert [step.epoch for step in steps if step.record] == [1]
    assert steps[-1].done == steps[-1].total


def test_two_classes_and_a_seed() -> None:
    stack, points = scene()
    assert points.labels is not None
    labels = np.where(points.labels == "dark", "dark", "light")
    pairs = [(stack, Points.build(points.coordinates, labels))]
    scheme = ClassScheme.of_names(["dark", "light"])
    first, again = (exhausted(run_training(pairs, FROZEN, scheme)) for _ in range(2))
    assert first.document.validation is not None
    assert first.document.validation["accuracy"] > 0.9
    for name, array in first.state.items():
        np.testing.assert_array_equal(array, again.state[name])


def test_cancelled_there_is_nothing() -> None:
    asked = iter(range(99))
    with pytest.raises(InputError, match="before the heads were fitted"):
        run([scene()], FROZEN, cancelled=lambda: next(asked) > 0)


@pytest.mark.parametrize(("n", "poses"), [(1, 8), (100, 8), (1000, 4), (10**6, 1)])
def test_few_points_are_seen_in_many_poses(n: int, poses: int) -> None:
    assert poses_for(n) == poses


def test_a_preview_downloads_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(downloads, "cache_folder", lambda: tmp_path)
    for given in ("none", "imagenet"):
        chosen = preview_settings(TrainingSettings(pretrained=given, folds=3, final="anew"))
        assert (chosen.freeze, chosen.pretrained, chosen.val_fraction) == (True, "none", 0)
        assert (chosen.folds, chosen.final) == (1, "none")
    (tmp_path / IMAGENET[1].file_name).touch()
    assert preview_settings(TrainingSettings()).pretrained == "imagenet"
    assert preview_settings(TrainingSettings(pretrained="x.pth")).pretrained == "x.pth"
