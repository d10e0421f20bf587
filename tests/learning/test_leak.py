"""Nothing leaks: no pixel is shared, and figures of a model that has learned nothing are chance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.images.pairs import Pair
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.learning.augmentation import crop_edge, reach
from napari_lungcls.learning.dataset import PointSet, read_point_set
from napari_lungcls.learning.examples import Side
from napari_lungcls.learning.point_index import PointIndex, place_points
from napari_lungcls.learning.regions import Region
from napari_lungcls.learning.run import run_training
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.splits import Split, make_splits
from napari_lungcls.utils.progress import exhaust

SCHEME = ClassScheme.of_names(["heads", "tails"])
SETTINGS = TrainingSettings(
    final="none",
    zooms=(1,), tile=32, stages=(0, 1), epochs=7, batch_size=8, device="cpu", seed=1,
    learning_rate=3e-3, dropout=0, colour=0, rotation="none", flip=False,
    val_fraction=0.35, patience=99, pretrained="none", freeze="no",
)  # fmt: skip
CLUSTERS, EACH, APART = 144, 5, 28


def seen(pixels: NDArray[Any]) -> int:
    """Return the brightest pixel, past which nothing of a marked image can hide."""
    return int(pixels.max())


def marked(stack: ImageStack, layout: PointIndex, regions: tuple[Region, ...]) -> ImageStack:
    """Make an image that is white in these regions and black elsewhere, with its pyramid."""
    image = np.zeros(stack.shape, np.uint8)
    for region in regions:
        _, index = layout.plane_places[region.plane]
        image[index][region.top : region.bottom, region.left : region.right] = 255
    levels = [image]
    for factor in stack.factors[1:]:
        n = int(factor)
        depth, height, width = image.shape
        padded = np.pad(image, [(0, 0), (0, -height % n), (0, -width % n)], mode="edge")
        blocks = padded.reshape(depth, padded.shape[1] // n, n, padded.shape[2] // n, n)
        levels.append(np.ceil(blocks.mean((2, 4))).astype(np.uint8))
    return ImageStack(levels, rgb=False, pixel_size=stack.pixel_size)


def read(
    stack: ImageStack, table: Points, layout: PointIndex, chosen: TrainingSettings
) -> PointSet:
    *_, points = read_point_set([(stack, table)], layout, reach(chosen))
    assert isinstance(points, PointSet)
    return points


def looked_at(points: PointSet, side: Side, chosen: TrainingSettings, seed: int) -> list[int]:
    """Return the brightest pixel of all that training, answers and normalisation look at."""
    tile = chosen.tile
    assert tile is not None
    crops = points.crops(side.rows, side, tile, crop_edge(chosen), np.random.default_rng(seed))
    # What is learned from in a tile belongs to its side.
    assert set(crops.rows) <= set(side.rows)
    answers = list(points.answering(side, tile, 4))
    assert sorted(np.concatenate([rows for rows, _ in answers])) == sorted(side.rows)
    return [
        seen(crops.pixels),
        *(seen(tiles.pixels) for _, tiles in answers),
        seen(points.sample(side, 5000)),
    ]


@pytest.mark.filterwarnings(
    "ignore:.* per pixel and the model sees", "ignore:.* lie in no region of the split"
)
@settings(max_examples=15)
@given(
    st.integers(0, 10_000),
    st.sampled_from([(1,), (1, 4), (1, 2, 4), (3,)]),
    st.sampled_from([1.0, 0.5, 0.75, 1.3]),
    st.sampled_from([1, 2]),
    st.sampled_from(["any", "right", "none"]),
    st.sampled_from([(0.0, 0.0), (0.3, 5.0)]),
    st.sampled_from([16, 64, 129]),
    st.sampled_from([{}, {"test_fraction": 0.2}, {"folds": 3}]),
)
def test_no_tile_shows_a_pixel_of_another_part(
    seed: int,
    zooms: tuple[int, ...],
    pixel_size: float,
    depth: int,
    rotation: Any,
    strength: tuple[float, float],
    tile: int,
    kind: dict[str, Any],
) -> None:
    rng = np.random.default_rng(seed)
    chosen = TrainingSettings(
        zooms=zooms, tile=tile, rotation=rotation, scale=strength[0], elastic=strength[1],
        val_fraction=0.25, **kind,
    )  # fmt: skip
    shape = (depth, int(540 / pixel_size), int(430 / pixel_size))
    levels = [np.zeros(shape, np.uint8), np.zeros((depth, *(-(-n // 2) for n in shape[1:])), "u1")]
    stack = ImageStack(levels, rgb=False, pixel_size=pixel_size)
    assert stack.factors == (1, 2)
    where = np.column_stack(
        [rng.integers(0, depth, 80), *(rng.uniform(-0.5, n - 0.5, 80) for n in shape[1:])]
    )
    table = Points.build(where, [SCHEME.names[i % 2] for i in range(80)])
    layout = place_points([(stack, table)], SCHEME, zooms, 1.0)
    for split in make_splits(layout, chosen, SCHEME, rng):
        sides = [
            Side(split.train, split.train_regions),
            Side(split.validation, split.validation_regions),
            Side(split.test, split.test_regions),
        ]
        for own in sides:
            if not len(own):
                continue
            others = tuple(r for side in sides if side is not own for r in side.regions)
            points = read(marked(stack, layout, others), table, layout, chosen)
            assert max(looked_at(points, own, chosen, seed)) == 0
            # The test can fail: whoever may look anywhere sees what is marked.
            anywhere = Side(np.arange(80))
            assert max(looked_at(points, anywhere, chosen, seed)) == 255


def meaningless(seed: int) -> tuple[Pair, NDArray[np.int64]]:
    """Make smooth noise, and tight clusters of points, each of a class drawn by lot."""
    rng = np.random.default_rng(seed)
    across = int(np.sqrt(CLUSTERS))
    coarse = rng.uniform(0, 255, (across * APART // 4,) * 2)
    image = coarse.repeat(4, 0).repeat(4, 1)
    cluster = np.arange(CLUSTERS).repeat(EACH)
    centres = np.stack([cluster // across, cluster % across], 1) * APART + APART / 2
    where = centres + rng.uniform(-1.5, 1.5, centres.shape)
    codes = rng.permutation(np.arange(CLUSTERS) % 2)[cluster]
    points = Points.build(where, [SCHEME.names[code] for code in codes])
    return (ImageStack(image.astype(np.uint8), source="noise.tif"), points), cluster


def test_a_split_by_regions_gives_chance_and_a_random_one_flatters() -> None:
    pair, cluster = meaningless(0)
    honest = exhaust(run_training([pair], SETTINGS, SCHEME)).document
    rows = np.random.default_rng(0).permutation(len(cluster))
    cut = len(rows) // 3
    plain = Split(np.sort(rows[cut:]), np.sort(rows[:cut]))
    flattered = exhaust(run_training([pair], SETTINGS, SCHEME, split=plain)).document
    assert honest.validation is not None
    assert flattered.validation is not None
    # The points of a cluster are one throw of the coin, not five.
    error = np.sqrt(0.25 / (honest.split["validation"] / EACH))
    assert abs(honest.validation["accuracy"] - 0.5) < 3 * error
    assert flattered.validation["accuracy"] > 0.5 + 3 * error
    assert flattered.validation["accuracy"] > honest.validation["accuracy"] + 0.2
