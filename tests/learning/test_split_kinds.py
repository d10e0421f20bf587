"""Splits by animal, by image, by plane, in folds, and with a test part."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.learning.point_index import PointIndex, place_points
from napari_lungcls.learning.regions import Region, free_regions, region_of
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.splits import Split, make_splits
from scattered import scattered

SCHEME = ClassScheme.of_names(["c0", "c1"])


def splits_of(layout: PointIndex, seed: int = 0, **fields: Any) -> list[Split]:
    chosen = TrainingSettings(**({"zooms": (1,)} | fields))
    return make_splits(layout, chosen, SCHEME, np.random.default_rng(seed))


def check_apart(layout: PointIndex, split: Split) -> None:
    """Check that parts have points and pixels of their own."""
    parts = (
        (split.train, split.train_regions),
        (split.validation, split.validation_regions),
        (split.test, split.test_regions),
    )
    rows = np.concatenate([part for part, _ in parts])
    assert len(rows) == len(set(rows)) == len(layout) - split.n_buffered
    for i, (part, own) in enumerate(parts):
        index = region_of(own, layout.planes[part], layout.coordinates[part])
        assert (index >= 0).all()
        for _, other in parts[:i]:
            for region in own:
                assert free_regions(region, other) == [region]


@settings(max_examples=20)
@given(
    st.integers(0, 10_000),
    st.sampled_from([1, 3, 5, 7]),
    st.sampled_from([0.0, 0.2]),
    st.sampled_from([1, 2, 9]),
    st.sampled_from([(1,), (1, 4)]),
)
def test_parts_never_meet(
    seed: int, folds: int, test: float, planes: int, zooms: tuple[int, ...]
) -> None:
    layout = scattered(seed, n_planes=planes)
    found = splits_of(layout, seed, folds=folds, test_fraction=test, zooms=zooms)
    assert len(found) == folds
    for split in found:
        check_apart(layout, split)
        assert (len(split.test) > 0) == (test > 0)
        np.testing.assert_array_equal(split.test, found[0].test)
        assert split.test_regions == found[0].test_regions
        assert set(layout.codes[split.train]) == {0, 1}
        if folds > 1:
            assert len(split.validation) / (300 * (1 - test)) == pytest.approx(1 / folds, abs=0.1)
    judged = np.concatenate([split.validation for split in found])
    assert len(judged) == len(set(judged)), "a point validates once"
    if folds > 1 and not test:
        assert len(judged) == len(layout)


@pytest.mark.parametrize(("name", "by"), [("groups", "group"), ("images", "image")])
def test_animals_and_images_stay_together(name: str, by: str) -> None:
    # Each animal's points lie all over one plane: only its number keeps them together.
    numbers = np.random.default_rng(1).integers(0, 8, 300)
    layout = scattered(2, **{"planes": numbers, name: numbers})
    (split,) = splits_of(layout, test_fraction=0.2)
    assert split.by == by
    parts = [set(numbers[part]) for part in (split.train, split.validation, split.test)]
    assert min(map(len, parts)) > 0
    assert len(set.union(*parts)) == sum(map(len, parts)) == 8
    for regions, planes in zip(
        (split.train_regions, split.validation_regions, split.test_regions), parts, strict=True
    ):
        assert set(regions) == {Region.whole(plane, (4000, 4000)) for plane in planes}
    for fold in splits_of(layout, folds=4):
        assert not set(numbers[fold.train]) & set(numbers[fold.validation])


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.sampled_from([{}, {"test_fraction": 0.3}, {"folds": 3}]))
def test_animals_on_one_slide_get_rectangles_of_it(seed: int, kind: Any) -> None:
    # Four sections on a slide, with glass between them.
    groups = np.random.default_rng(seed).integers(0, 4, 300)
    layout = scattered(seed, groups=groups)
    layout.coordinates[:] = layout.coordinates * 0.4 + 200
    layout.coordinates[:] += np.stack([groups // 2, groups % 2], axis=1) * 2000
    for split in splits_of(layout, seed, **kind):
        assert (split.by, split.n_buffered) == ("group", 0)
        check_apart(layout, split)
        parts = [set(groups[part]) for part in (split.train, split.validation, split.test)]
        assert len(set.union(*parts)) == sum(map(len, parts)) == 4


def test_animals_whose_points_are_mixed_are_refused() -> None:
    layout = scattered(3, groups=np.random.default_rng(1).integers(0, 3, 300))
    with pytest.raises(InputError, match=r"out to test on.*; use split_by='blocks' or "):
        splits_of(layout)
    assert splits_of(layout, split_by="blocks")[0].n_buffered == 0


def test_images_that_lack_a_class_are_cut_into_blocks() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2, 300)
    images = np.where(codes == 0, 0, rng.integers(0, 2, 300))
    layout = scattered(4, codes=codes, images=images, planes=images)
    (split,) = splits_of(layout)
    assert (split.by, split.n_buffered) == ("blocks", 0)
    check_apart(layout, split)
    with pytest.raises(InputError, match=r"out to test on.*; use split_by='blocks' or "):
        splits_of(layout, split_by="image")


def test_classes_that_lie_on_planes_of_their_own_are_cut_on_each() -> None:
    codes = np.random.default_rng(0).integers(0, 2, 300)
    layout = scattered(5, codes=codes, planes=codes, images=codes)
    for kind in ({}, {"folds": 4}, {"test_fraction": 0.2}):
        for split in splits_of(layout, **kind):
            check_apart(layout, split)
            assert {region.plane for region in split.validation_regions} == {0, 1}


@pytest.mark.parametrize(
    ("by", "message"),
    [("group", "needs a column 'group'.*use split_by='blocks'"), ("image", "at least two images")],
)
def test_what_the_points_do_not_have_cannot_split_them(by: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        splits_of(scattered(0), split_by=by)


def test_a_split_that_loses_many_points_says_so() -> None:
    # A third of the points of one animal lie among those of the other.
    groups = np.arange(300) % 2
    layout = scattered(0, groups=groups)
    layout.coordinates[:, 0] = layout.coordinates[:, 0] / 2 + 1200 * groups
    with pytest.warns(LungclsWarning, match="of 300 points lie in no region of the split"):
        (split,) = splits_of(layout, val_fraction=0.4)
    assert split.n_buffered > 30
    check_apart(layout, split)


def test_classes_keep_their_proportions() -> None:
    codes = (np.random.default_rng(0).random(1000) < 0.15).astype(np.int64)
    layout = scattered(0, 1000, 6000, codes=codes)
    (split,) = splits_of(layout)
    assert layout.codes[split.validation].mean() == pytest.approx(codes.mean(), abs=0.05)


def test_the_most_zooms_that_fit_are_offered() -> None:
    layout = scattered(0, extent=500)
    with pytest.raises(InputError, match=r"use zooms=\(1, 4\) or ") as caught:
        splits_of(layout, zooms=(1, 4, 16))
    assert "512 pixels (32 at zoom 16)" in str(caught.value)
    assert len(splits_of(layout, zooms=(1, 4))[0].validation)


def test_groups_come_from_the_points() -> None:
    rng = np.random.default_rng(0)
    stacks = [ImageStack(np.zeros((900, 900), np.uint8), source=f"{n}.tif") for n in "ab"]
    named = Points.build(
        rng.uniform(0, 899, (40, 2)), ["c0", "c1"] * 20, group=["x", "y", "z", ""] * 10
    )
    bare = Points.build(rng.uniform(0, 899, (10, 2)), ["c0", "c1"] * 5)
    layout = place_points([(stacks[0], named), (stacks[1], bare)], SCHEME, (1,), None)
    assert layout.groups is not None
    # Three animals, the points of a.tif without one, and those of b.tif.
    assert len(set(layout.groups)) == 5
    assert len(set(layout.groups[40:])) == 1
    plain = place_points([(stacks[1], bare)], SCHEME, (1,), None)
    assert plain.groups is None
