"""A task: all trials have one split, and see what they would have read for themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_lungcls.errors import InputError
from napari_lungcls.hyperparameter_search.space import Space
from napari_lungcls.hyperparameter_search.task import TEST_FRACTION, Task
from napari_lungcls.learning.augmentation import crop_edge, reach
from napari_lungcls.learning.dataset import PointSet, read_point_set
from napari_lungcls.learning.examples import Side
from napari_lungcls.learning.experiment import Experiment
from napari_lungcls.learning.point_index import place_points
from napari_lungcls.learning.progress import Clock
from napari_lungcls.learning.regions import free_regions
from napari_lungcls.learning.run import run_training
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.split_search import LEAST_SIDE
from napari_lungcls.utils.progress import exhaust
from three_tissues import QUICK, SCHEME, scene

BASE = QUICK.model_copy(update={"zooms": (1,), "epochs": 1})
SPACE = Space.build({"tile": [16, 32], "zooms": ["1", "2", "1,2"], "dropout": [0.1]}, "test")


def points_of(steps: Any) -> PointSet:
    *_, points = steps
    assert isinstance(points, PointSet)
    return points


def task(*pairs: Any, base: TrainingSettings = BASE, **options: Any) -> Task:
    return Task.prepare(pairs or [scene()], SCHEME, base, "accuracy", SPACE, **options)


@pytest.mark.filterwarnings("ignore:.* per pixel and the model sees")
def test_every_trial_sees_what_it_would_have_read() -> None:
    # The second image is resampled to the pixel size of the first, by a factor that is no
    # whole number.
    ours = task(scene(pixel_size=1.0), scene(1, pixel_size=1.37, source="b.tif"))
    points = points_of(ours.read())
    side = Side(ours.split.train, ours.split.train_regions)
    rows = np.random.default_rng(0).permutation(side.rows)[:20]
    for values in ({"zooms": "2", "tile": 16}, {"zooms": "1,2"}, {"tile": 32}):
        settings = ours.settings(values)
        tile = settings.tile
        assert tile is not None
        own = place_points(ours.pairs, SCHEME, settings.zooms, ours.pixel_size)
        alone = points_of(read_point_set(ours.pairs, own, reach(settings)))
        seen = ours.material(points, settings).examples
        got, wanted = (
            each.crops(rows, side, tile, crop_edge(settings), np.random.default_rng(1))
            for each in (seen, alone)
        )
        np.testing.assert_array_equal(got.pixels, wanted.pixels)
        np.testing.assert_array_equal(got.rows, wanted.rows)
        np.testing.assert_allclose(got.places, wanted.places, atol=1e-9)
        asked = [list(each.answering(side, tile, 4)) for each in (seen, alone)]
        assert len(asked[0]) == len(asked[1])
        for (_, mine), (_, theirs) in zip(*asked, strict=True):
            np.testing.assert_array_equal(mine.pixels, theirs.pixels)
            np.testing.assert_allclose(mine.places, theirs.places, atol=1e-9)


def test_a_trial_is_the_training_of_its_settings() -> None:
    ours = task()
    settings = ours.settings({"zooms": "2", "dropout": 0.1})
    points = points_of(ours.read())
    run = Experiment(ours.material(points, settings), settings, SCHEME, ours.origin)
    exhaust(run.go(Clock(), lambda: False))
    trained = exhaust(run_training(ours.pairs, settings, SCHEME, split=ours.split))
    ((one,), (other,)) = run.document().history, trained.document.history
    assert one["val_loss"] == pytest.approx(other["val_loss"], rel=1e-6)
    assert run.document().network == trained.document.network


def test_what_is_left_to_the_program_fits_each_trial() -> None:
    given = QUICK.model_copy(update={"zooms": (1,), "batch_size": None})
    ours = task(base=given)
    assert ours.base.batch_size == 256
    assert [ours.settings({"tile": tile}).batch_size for tile in (16, 32)] == [1024, 256]
    assert task().settings({"tile": 16}).batch_size == BASE.batch_size


def test_one_split_is_wide_enough_for_all_trials() -> None:
    ours = task()
    split = ours.split
    assert len(split.test) >= TEST_FRACTION * len(ours.layout) / 2
    held = (*split.validation_regions, *split.test_regions)
    # Zoom 2 is in the space, though not in the settings that it begins with.
    assert min(min(region.shape) for region in held) >= 2 * LEAST_SIDE
    for region in split.train_regions:
        assert all(free_regions(region, [other]) == [region] for other in held)
    # Settings that say nothing about tiles leave it as it is, whatever machine computes.
    other = task(base=BASE.model_copy(update={"learning_rate": 0.01, "device": "cuda"}))
    assert other.fingerprint()["split"] == ours.fingerprint()["split"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"folds": 3}, "3 folds were asked for; search with one split"),
        ({"val_fraction": 0.0}, "judged on validation points"),
        ({"test_fraction": 0.0}, "judged on a test part"),
        ({"stages": (1, 2, 3, 4)}, "tile of 16 is too small"),
        ({"freeze": "yes"}, "only the heads are fitted, so that dropout would change nothing"),
    ],
)
def test_what_no_trial_can_be_judged_by_is_refused(change: Any, reason: str) -> None:
    fixed = ["tile", "zooms"] if "freeze" in change else []
    with pytest.raises(InputError, match=reason):
        task(
            base=TrainingSettings.check(**BASE.model_dump(exclude={"test_fraction"}) | change),
            fixed=fixed,
        )


def test_a_search_for_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="nothing is left to search"):
        task(fixed=["tile", "zooms", "dropout"])
    plain = BASE.model_copy(update={"colour": 0.0})
    factor = Space.build({"augmentation": {"low": 0, "high": 2}}, "test")
    with pytest.raises(InputError, match="all strengths are 0"):
        task(base=plain, search=factor)
