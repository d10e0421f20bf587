"""Splits by animal, by image, in folds, with a test part, and with a buffer that is too small."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.errors import InputError
from napari_lungcls.imaging.stack import ImageStack
from napari_lungcls.learning.buffers import buffer_width
from napari_lungcls.learning.layout import Layout, place_points
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.splits import Split, make_splits

SCHEME = ClassScheme.of_names(["c0", "c1"])


def scattered(seed: int, n: int = 300, extent: float = 4000, **fields: Any) -> Layout:
    rng = np.random.default_rng(seed)
    zeros = np.zeros(n, np.int64)
    given = {"planes": zeros, "images": zeros, "codes": rng.integers(0, 2, n)}
    return Layout(rng.uniform(0, extent, (n, 2)), **(given | fields))


def splits_of(layout: Layout, seed: int = 0, **fields: Any) -> list[Split]:
    chosen = TrainingSettings(**({"zooms": (1,), "window": 32} | fields))
    return make_splits(layout, chosen, SCHEME, np.random.default_rng(seed))


def distance(layout: Layout, one: Any, other: Any) -> float:
    """Least distance along y or x of two parts on one plane."""
    off = np.abs(layout.coordinates[one][:, None] - layout.coordinates[other]).max(-1)
    same = layout.planes[one][:, None] == layout.planes[other]
    return float(np.where(same, off, np.inf).min(initial=np.inf))


@settings(max_examples=8)
@given(
    st.integers(0, 10_000),
    st.sampled_from([1, 3, 5]),
    st.sampled_from([0.0, 0.2]),
    st.sampled_from([None, 0.0, 20.0]),
)
def test_parts_never_meet(seed: int, folds: int, test: float, buffer: float | None) -> None:
    layout = scattered(seed)
    found = splits_of(layout, seed, folds=folds, test_fraction=test, buffer=buffer)
    full = buffer_width(TrainingSettings(zooms=(1,), window=32))
    assert len(found) == folds
    for split in found:
        parts = (split.train, split.validation, split.test)
        assert sum(map(len, parts)) + split.n_buffered == len(set(np.concatenate(parts))) + (
            split.n_buffered
        )
        assert (len(split.test) > 0) == (test > 0)
        assert split.buffer == (full if buffer is None else buffer)
        assert split.relaxed == (buffer is not None)
        assert distance(layout, split.train, split.validation) >= split.buffer
        assert distance(layout, split.train, split.test) >= split.buffer
        assert distance(layout, split.validation, split.test) >= split.buffer
        np.testing.assert_array_equal(split.test, found[0].test)
        assert set(layout.codes[split.train]) == {0, 1}
    judged = np.concatenate([split.validation for split in found])
    assert len(judged) == len(set(judged)), "a point validates once"
    if folds > 1 and not test:
        assert len(judged) == len(layout)


@pytest.mark.parametrize(("name", "by"), [("groups", "group"), ("images", "image")])
def test_animals_and_images_stay_together(name: str, by: str) -> None:
    # Each animal's points lie all over one plane: only its number keeps them together.
    numbers = np.random.default_rng(1).integers(0, 8, 300)
    layout = scattered(2, planes=numbers, **{name: numbers})
    (split,) = splits_of(layout, test_fraction=0.2)
    assert split.by == by
    parts = [set(numbers[part]) for part in (split.train, split.validation, split.test)]
    assert min(map(len, parts)) > 0
    assert len(set.union(*parts)) == sum(map(len, parts))
    for fold in splits_of(layout, folds=4):
        assert not set(numbers[fold.train]) & set(numbers[fold.validation])


def test_animals_on_one_slide_are_kept_apart_by_the_buffer_too() -> None:
    layout = scattered(3, groups=np.random.default_rng(1).integers(0, 3, 300))
    (split,) = splits_of(layout)
    assert split.by == "group"
    assert split.n_buffered > 0
    assert distance(layout, split.train, split.validation) >= split.buffer


def test_images_that_lack_a_class_are_cut_into_blocks() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2, 300)
    images = np.where(codes == 0, 0, rng.integers(0, 2, 300))
    layout = scattered(4, codes=codes, images=images, planes=images)
    assert splits_of(layout)[0].by == "blocks"
    with pytest.raises(InputError, match="no split keeps every class"):
        splits_of(layout, split_by="image")


@pytest.mark.parametrize(
    ("by", "message"),
    [("group", "needs a column 'group'.*--split-by blocks"), ("image", "at least two images")],
)
def test_what_the_points_do_not_have_cannot_split_them(by: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        splits_of(scattered(0), split_by=by)


def test_classes_keep_their_proportions() -> None:
    codes = (np.random.default_rng(0).random(1000) < 0.15).astype(np.int64)
    layout = scattered(0, 1000, 6000, codes=codes)
    (split,) = splits_of(layout)
    assert layout.codes[split.validation].mean() == pytest.approx(codes.mean(), abs=0.05)


def test_the_largest_context_that_fits_is_offered() -> None:
    layout = scattered(0, extent=500)
    with pytest.raises(InputError) as caught:
        splits_of(layout, zooms=(1, 16), window=64)
    said = str(caught.value)
    words = said.split("use ")[1].split(",  ")[0].split()
    given = dict(zip(words[::2], (w.rstrip(",") for w in words[1::2]), strict=False))
    offered = TrainingSettings.check(
        zooms=given.get("--zooms", "1,16"), window=int(given.get("--window", 64))
    )
    found = make_splits(layout, offered, SCHEME, np.random.default_rng(0))
    assert len(found[0].validation)


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
