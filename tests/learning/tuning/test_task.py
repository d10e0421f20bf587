"""A task: all trials have one split, and see what they would have read for themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.generators import exhaust
from napari_lungcls.learning.augmentation import crop_edge, reach
from napari_lungcls.learning.dataset import PointSet, read_point_set
from napari_lungcls.learning.examples import Side
from napari_lungcls.learning.layout import place_points
from napari_lungcls.learning.progress import Clock
from napari_lungcls.learning.runs import Run
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.settings_run import PIXELS
from napari_lungcls.learning.splits import make_splits
from napari_lungcls.learning.training import run_training
from napari_lungcls.learning.tuning.space import Space
from napari_lungcls.learning.tuning.task import TEST_FRACTION, Task
from three_tissues import QUICK, SCHEME, scene

BASE = QUICK.model_copy(update={"zooms": (1,), "epochs": 1})
SPACE = Space.build({"tile": [32, 48], "zooms": ["1", "2", "1,2"], "dropout": [0.1]}, "test")


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
    for values in ({"zooms": "2", "tile": 32}, {"zooms": "1,2"}, {"tile": 48}):
        settings = ours.settings(values)
        own = place_points(ours.pairs, SCHEME, settings.zooms, ours.pixel_size)
        alone = points_of(read_point_set(ours.pairs, own, reach(settings)))
        seen, edge = ours.material(points, settings).examples, crop_edge(settings)
        got, wanted = (
            examples.crops(rows, side, settings.tile, edge, np.random.default_rng(1))
            for examples in (seen, alone)
        )
        np.testing.assert_array_equal(got.pixels, wanted.pixels)
        np.testing.assert_array_equal(got.rows, wanted.rows)
        np.testing.assert_allclose(got.places, wanted.places, atol=1e-9)
        for (asked, got_tiles), (same, wanted_tiles) in zip(
            seen.answering(side, settings.tile, 4), alone.answering(side, settings.tile, 4),
            strict=True,
        ):  # fmt: skip
            np.testing.assert_array_equal(asked, same)
            np.testing.assert_array_equal(got_tiles.pixels, wanted_tiles.pixels)
            np.testing.assert_allclose(got_tiles.places, wanted_tiles.places, atol=1e-9)


def test_a_trial_is_the_training_of_its_settings() -> None:
    ours = task()
    settings = ours.settings({"zooms": "2", "dropout": 0.1})
    points = points_of(ours.read())
    run = Run(ours.material(points, settings), settings, SCHEME, ours.origin)
    exhaust(run.go(Clock(), lambda: False))
    trained = exhaust(run_training(ours.pairs, settings, SCHEME, split=ours.split))
    ((one,), (other,)) = run.document().history, trained.document.history
    assert one["val_loss"] == pytest.approx(other["val_loss"], rel=1e-6)
    assert run.document().network == trained.document.network


def test_one_split_is_wide_enough_for_all_trials() -> None:
    ours = task()
    split = ours.split
    assert len(split.test) >= TEST_FRACTION * len(ours.layout) / 2
    sides = (split.train_regions, split.validation_regions, split.test_regions)
    assert all(sides)
    # As for a training that looks at every zoom of the space.
    widest = ours.settings({"zooms": "1,2", "tile": 48})
    layout = place_points(ours.pairs, SCHEME, (1, 2), None)
    (wanted,) = make_splits(layout, widest, SCHEME, np.random.default_rng(BASE.seed))
    assert sides == (wanted.train_regions, wanted.validation_regions, wanted.test_regions)
    np.testing.assert_array_equal(split.train, wanted.train)
    # Other settings leave it as it is, whatever machine computes.
    other = task(base=BASE.model_copy(update={"learning_rate": 0.01, "device": "cuda"}))
    assert other.fingerprint()["split"] == ours.fingerprint()["split"]


def test_what_is_left_to_the_program_is_chosen_for_each_trial() -> None:
    auto = BASE.model_copy(update={"batch_size": None, "tile": None})
    ours = task(base=auto)
    for tile in (32, 48):
        assert ours.settings({"tile": tile}).batch_size == PIXELS // tile**2
    assert ours.base.batch_size == PIXELS // ours.base.tile**2
    assert ours.settings({}) == ours.base


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"folds": 3}, "3 folds were asked for"),
        ({"val_fraction": 0.0}, "judged on validation points"),
        ({"test_fraction": 0.0}, "judged on a test part"),
        ({"stages": (1, 2, 3, 4)}, "tile of 32 is too small"),
    ],
)
def test_what_no_trial_can_be_judged_by_is_refused(change: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        task(base=TrainingSettings.check(**BASE.model_dump(exclude={"test_fraction"}) | change))


def test_a_search_for_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="nothing is left to search"):
        task(fixed=["tile", "zooms", "dropout"])
    plain = BASE.model_copy(update={"colour": 0.0})
    factor = Space.build({"augmentation": {"low": 0, "high": 2}}, "test")
    with pytest.raises(InputError, match="all strengths are 0"):
        task(base=plain, search=factor)


def test_a_search_that_a_frozen_trunk_would_not_feel_is_refused() -> None:
    frozen = BASE.model_copy(update={"freeze": "yes"})
    with pytest.raises(InputError, match="dropout would change nothing"):
        task(base=frozen, fixed=["tile", "zooms"])
    assert task(base=frozen).settings({}).freezes
    both = Space.build({"freeze": ["yes", "no"]}, "test")
    assert (
        not task(base=frozen, fixed=["tile", "zooms"], search=both)
        .settings({"freeze": "no"})
        .freezes
    )


def test_a_search_that_costs_many_points_says_so() -> None:
    wide = Space.build({"zooms": ["1,6"]}, "test")
    with pytest.warns(LungclsWarning, match="lie in no region of the split .* fewer zooms"):
        task(search=wide)
