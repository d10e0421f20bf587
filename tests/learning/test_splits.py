"""Splits: no pixel that validation or test may read is ever read in training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import real_section
from napari_lungcls.annotation import ClassScheme, Points, read_points
from napari_lungcls.errors import InputError
from napari_lungcls.images.opening import open_image
from napari_lungcls.images.pairs import Pair
from napari_lungcls.images.pyramid import ZoomedPlane
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.learning.point_index import PointIndex, place_points
from napari_lungcls.learning.regions import Region, region_of
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.split_search import LEAST_SIDE
from napari_lungcls.learning.splits import Split, make_splits
from scattered import scattered


def scheme_of(count: int) -> ClassScheme:
    return ClassScheme.of_names([f"c{i}" for i in range(count)])


def split_of(points: PointIndex, chosen: TrainingSettings, classes: int, seed: int = 0) -> Split:
    (split,) = make_splits(points, chosen, scheme_of(classes), np.random.default_rng(seed))
    return split


def overlap(one: Region, other: Region) -> bool:
    return (
        one.plane == other.plane
        and max(one.top, other.top) < min(one.bottom, other.bottom)
        and max(one.left, other.left) < min(one.right, other.right)
    )


def check_promises(layout: PointIndex, split: Split, classes: int, least: float) -> None:
    """Check all that holds of any split of points that were not chosen by hand."""
    parts = (split.train, split.validation, split.test)
    rows = np.concatenate(parts)
    assert len(rows) == len(set(rows)) == len(layout) - split.n_buffered
    regions = (split.train_regions, split.validation_regions, split.test_regions)
    for part, own in zip(parts, regions, strict=True):
        planes, where = layout.planes[part], layout.coordinates[part]
        assert (region_of(own, planes, where) >= 0).all()
        for region in own:
            for side, whole in zip(region.shape, layout.plane_shapes[region.plane], strict=True):
                assert min(least, whole) <= side <= whole
    assert set(layout.codes[split.train]) == set(range(classes))
    for held in (*split.validation_regions, *split.test_regions):
        assert not any(overlap(held, region) for region in split.train_regions)
    for held in split.validation_regions:
        assert not any(overlap(held, region) for region in split.test_regions)


@settings(max_examples=40)
@given(
    st.integers(0, 10_000),
    st.integers(2, 4),
    st.integers(1, 3),
    st.sampled_from([0.1, 0.2, 0.5]),
    st.sampled_from([(1,), (1, 4), (2,)]),
    st.sampled_from([1, 16]),
)
def test_every_split_keeps_its_promises(
    seed: int, classes: int, planes: int, fraction: float, zooms: tuple[int, ...], step: int
) -> None:
    points = scattered(
        seed, 200, 1000, classes, planes, cut_steps=(step,) * planes, cut_gaps=(0,) * planes
    )
    chosen = TrainingSettings(zooms=zooms, val_fraction=fraction)
    split = split_of(points, chosen, classes)
    check_promises(points, split, classes, LEAST_SIDE * max(zooms))
    assert set(points.codes[split.validation]) == set(range(classes))
    assert len(split.validation) / 200 == pytest.approx(fraction, abs=0.08)
    assert split.n_buffered <= 4
    for region in (*split.train_regions, *split.validation_regions):
        assert all(edge % step == 0 or edge == 1000 for edge in (
            region.top, region.left, region.bottom, region.right))  # fmt: skip
    assert split.describe() == {
        "train": len(split.train),
        "validation": len(split.validation),
        "test": 0,
        "n_buffered": split.n_buffered,
        "by": "blocks",
    }


def test_a_seed_names_one_split() -> None:
    points = scattered(0, 300, 3000)
    chosen = TrainingSettings(zooms=(1,))
    first, again = (split_of(points, chosen, 2, 1) for _ in range(2))
    np.testing.assert_array_equal(first.validation, again.validation)
    np.testing.assert_array_equal(first.train, again.train)
    assert first.validation_regions == again.validation_regions


def test_without_validation_everyone_trains_on_whole_planes() -> None:
    points = scattered(0, 50, 10, n_planes=2)
    split = split_of(points, TrainingSettings(zooms=(1,), val_fraction=0), 2)
    assert split.train.tolist() == list(range(50))
    assert (len(split.validation), split.n_buffered, split.by) == (0, 0, "none")
    assert split.train_regions == (Region(0, 0, 0, 10, 10), Region(1, 0, 0, 10, 10))
    assert split.validation_regions == split.test_regions == ()


def test_rows_chosen_by_hand_get_whole_planes() -> None:
    points = scattered(0, 50, 10, n_planes=2)
    split = Split(np.arange(40), np.arange(40, 50)).in_whole_planes(points)
    whole = (Region(0, 0, 0, 10, 10), Region(1, 0, 0, 10, 10))
    assert split.train_regions == split.validation_regions == whole
    assert split.in_whole_planes(scattered(0, 50, 20)) is split


def test_planes_too_small_to_be_cut_are_held_out_whole() -> None:
    points = scattered(0, 120, 20, n_planes=6)
    split = split_of(points, TrainingSettings(zooms=(1,)), 2)
    assert split.n_buffered == 0
    assert not set(points.planes[split.train]) & set(points.planes[split.validation])


def test_what_cannot_be_cut_is_refused_with_the_remedy() -> None:
    points = scattered(0, 100, 300)
    with pytest.raises(InputError) as caught:
        split_of(points, TrainingSettings(zooms=(1, 16)), 2)
    message = str(caught.value)
    assert "regions of at least 512 pixels (32 at zoom 16)" in message
    for remedy in (
        "use zooms=(1,)",
        "farther apart",
        "another image",
        "use val_fraction=0.0",
    ):
        assert remedy in message
    assert "--" not in message


def test_a_class_with_one_point_cannot_be_on_both_sides() -> None:
    points = scattered(0, 200, 5000)
    points.codes[:] = 0
    points.codes[3] = 1
    with pytest.raises(InputError, match="1 point of 'c1' cannot be learned from and held out"):
        split_of(points, TrainingSettings(zooms=(1,)), 2)
    points.codes[4] = 1
    with pytest.raises(InputError, match=r"2 points of 'c1' .* every class needs 3"):
        split_of(points, TrainingSettings(zooms=(1,), test_fraction=0.2), 2)


def stored(image: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Shrink an image as the levels of a pyramid are; NaN stays in every pixel it touches."""
    level = ZoomedPlane(ImageStack(image, rgb=False).plane(), factor)
    shrunk = level.read(0, 0, *(int(n // factor) for n in image.shape))[..., 0]
    return np.asarray(shrunk)


def readable(
    stack: ImageStack, layout: PointIndex, regions: tuple[Region, ...]
) -> list[tuple[Region, float]]:
    """List what a side may read: zoomed pixels of each of its regions, at each zoom."""
    assert len(stack.leading) == 0
    return [
        (region.level(zoom, layout.plane_shapes[region.plane]), zoom)
        for region in regions
        for zoom in layout.plane_zooms(region.plane)
    ]


@pytest.mark.filterwarnings(
    "ignore:.* per pixel and the model sees", "ignore:.* lie in no region of the split"
)
@settings(max_examples=60)
@given(
    st.integers(0, 10_000),
    st.sampled_from([(1,), (1, 3), (2, 4), (1, 2, 4)]),
    st.sampled_from([1.0, 0.5, 2.0, 0.75, 1.3]),
    st.sampled_from([(), (2, 4), (1.43,), (3,)]),
    st.sampled_from([0.0, 0.2]),
    st.sampled_from([1, 3]),
)
def test_no_pixel_is_read_by_training_and_by_another_part(
    seed: int,
    zooms: tuple[int, ...],
    pixel_size: float,
    factors: tuple[float, ...],
    test: float,
    folds: int,
) -> None:
    """Make NaN of what is held out and shrink that to a pyramid; training must not notice."""
    rng = np.random.default_rng(seed)
    # The model's pixels are those of 1 µm, the image's are not.
    image = np.zeros((int(640 / pixel_size), int(430 / pixel_size)), np.float32)
    where = np.column_stack([rng.uniform(-0.5, n - 0.5, 120) for n in image.shape])
    table = Points.build(where, [f"c{i % 2}" for i in range(120)])

    def pyramid(finest: NDArray[np.float32]) -> ImageStack:
        levels = [finest, *(stored(finest, factor) for factor in factors)]
        found = ImageStack(levels, rgb=False, pixel_size=pixel_size)
        assert len(found.factors) == len(levels)
        return found

    stack = pyramid(image)
    layout = place_points([(stack, table)], scheme_of(2), zooms, 1.0)
    chosen = TrainingSettings(zooms=zooms, test_fraction=test, folds=folds, val_fraction=0.25)
    for split in make_splits(layout, chosen, scheme_of(2), rng):
        check_promises(layout, split, 2, LEAST_SIDE * max(layout.effective[0]))
        # Three parts beside a fourth leave narrow ends in an image as small as this.
        assert split.n_buffered <= (40 if test and folds > 1 else 12)
        held = readable(stack, layout, split.validation_regions + split.test_regions)
        for own, other in (
            (readable(stack, layout, split.train_regions), held),
            (readable(stack, layout, split.validation_regions),
             readable(stack, layout, split.test_regions)),
        ):  # fmt: skip
            marked = np.zeros_like(image)
            for part, zoom in other:
                marked[pixels_read(part, zoom, image.shape)] = np.nan
            seen = pyramid(marked).plane()
            for part, zoom in own:
                level = ZoomedPlane(seen, zoom)
                assert np.isfinite(level.read(part.top, part.left, *part.shape)).all()
        # The test can fail: what is held out reads what was marked.
        part, zoom = held[0]
        level = ZoomedPlane(pyramid(np.full_like(image, np.nan)).plane(), zoom)
        assert np.isnan(level.read(part.top, part.left, *part.shape)).all()


def pixels_read(part: Region, zoom: float, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Count out the image pixels that zoomed pixels are computed from without a pyramid."""
    slices = []
    for first, stop, size in zip(
        (part.top, part.left), (part.bottom, part.right), shape, strict=True
    ):
        if zoom >= 1:
            low, high = int(first * zoom + 1e-9), int(np.ceil(stop * zoom - 1e-9))
        else:
            centres = np.clip((np.array([first, stop - 1]) + 0.5) * zoom - 0.5, 0, size - 1)
            low, high = int(centres[0]), int(np.ceil(centres[1])) + 1
        slices.append(slice(low, min(high, size)))
    return slices[0], slices[1]


def test_the_lines_keep_to_what_is_stored_together() -> None:
    def steps(shape: tuple[int, int], factors: tuple[float, ...], zooms: Any) -> tuple[int, int]:
        image = np.zeros(shape, np.uint8)
        levels = [image, *(np.zeros([int(n // f) for n in shape], np.uint8) for f in factors)]
        pair: Pair = (
            ImageStack(levels, rgb=False),
            Points.build(np.array([[1.0, 1.0], [9.0, 9.0]]), ["c0", "c1"]),
        )
        layout = place_points([pair], scheme_of(2), zooms, None)
        return layout.cut_steps[0], layout.cut_gaps[0]

    assert steps((200, 300), (), (1,)) == (1, 0)
    assert steps((200, 300), (), (1, 4)) == (4, 0)
    assert steps((600, 900), (), (1, 4)) == (16, 0)
    # Coarser levels than the zoom are not read.
    assert steps((200, 304), (2, 8), (1, 4)) == (4, 0)
    assert steps((2048, 2048), (32,), (1, 64)) == (64, 0)
    assert steps((300, 300), (3,), (3,)) == (3, 0)
    # Neighbours in a level that is no whole number of times smaller share pixels.
    assert steps((300, 300), (1.43,), (2,)) == (2, 2)


@pytest.mark.parametrize("n", [90, 900])
@pytest.mark.parametrize("zooms", [(1,), (1, 4), (1, 2, 4)])
def test_the_real_section_splits_almost_without_loss(n: int, zooms: tuple[int, ...]) -> None:
    scheme = ClassScheme.of_names(["alveoli", "septa", "duct"])
    stack = open_image(real_section.IMAGE).with_pixel_size(real_section.MICROMETRES_PER_PIXEL)
    points = read_points(real_section.POINTS)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        drawn = points.select(np.sort(rng.permutation(900)[:n]))
        layout = place_points([(stack, drawn)], scheme, zooms, stack.pixel_size)
        for kind in ({}, {"test_fraction": 0.2}, {"folds": 5}):
            chosen = TrainingSettings(zooms=zooms, **kind)
            for split in make_splits(layout, chosen, scheme, rng):
                check_promises(layout, split, 3, LEAST_SIDE * max(zooms))
                assert split.n_buffered <= n // 50
                assert len(split.validation) == pytest.approx(0.2 * n, abs=0.06 * n)


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(60, 400), st.sampled_from([(1,), (1, 2)]))
def test_points_in_tight_clusters_are_split_between_them(
    seed: int, n: int, zooms: tuple[int, ...]
) -> None:
    layout = scattered(seed, n, 800)
    rng = np.random.default_rng(seed)
    centres = rng.uniform(50, 750, (12, 2))
    layout.coordinates[:] = centres[np.arange(n) % 12] + rng.uniform(-20, 20, (n, 2))
    assume(len(np.unique(layout.codes)) == 2)
    split = split_of(layout, TrainingSettings(zooms=zooms), 2, seed)
    check_promises(layout, split, 2, LEAST_SIDE * max(zooms))
