"""Points with the tissue around them: what is read, what is cut, what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.images.geometry import reflect
from napari_lungcls.images.pyramid import ZoomedPlane
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.learning.augmentation import augmented, crop_edge, reach
from napari_lungcls.learning.dataset import BLOCK, PointSet, read_point_set
from napari_lungcls.learning.examples import Side
from napari_lungcls.learning.point_index import check_pairs, place_points
from napari_lungcls.learning.regions import Region
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.network.spec import Normalisation

SCHEME = ClassScheme.of_names(["a", "b"])
SETTINGS = TrainingSettings(zooms=(1, 3), tile=64)
RNG = np.random.default_rng(0)


def image(*shape: int, dtype: str = "uint8", **options: Any) -> ImageStack:
    array = RNG.integers(0, 255, shape).astype(dtype)
    return ImageStack(array, rgb=shape[-1] == 3, **({"source": "a.tif"} | options))


def labelled(coordinates: Any, labels: Any = None) -> Points:
    where = np.array(coordinates, float)
    return Points.build(where, labels or [("a", "b")[i % 2] for i in range(len(where))])


def read(pairs: Any, chosen: TrainingSettings = SETTINGS, size: float | None = None) -> PointSet:
    layout = place_points(pairs, SCHEME, chosen.zooms, size)
    *progress, points = read_point_set(pairs, layout, reach(chosen))
    assert isinstance(points, PointSet)
    assert [done for done, _ in progress] == list(range(1, len(points.blocks) + 1))
    assert {total for _, total in progress} == {len(points.blocks)}
    return points


def everyone(points: PointSet, *regions: Region) -> Side:
    return Side(np.arange(len(points)), regions)


def numbered(height: int, width: int, **options: Any) -> ImageStack:
    """Give every pixel a value of its own: its row, its column, and a third."""
    y, x = np.indices((height, width), dtype=np.float32)
    return ImageStack(np.stack([y, x, y + x], -1), rgb=True, **({"source": "n.tif"} | options))


def seen_at(pixels: NDArray[Any], place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolate `(y, x, 3)` at one place."""
    first = np.clip(place.astype(int), 0, len(pixels) - 2)
    (fy, fx), (i, j) = place - first, first
    four = pixels[i : i + 2, j : j + 2].reshape(-1, 3).astype(float)
    found: NDArray[np.float64] = np.outer([1 - fy, fy], [1 - fx, fx]).reshape(-1) @ four
    return found


@settings(max_examples=15)
@given(
    st.sampled_from([(1,), (1, 2), (2, 5)]),
    st.sampled_from([0.5, 0.685, 1.0]),
    st.sampled_from(["right", "any", "none"]),
    st.integers(0, 2**31),
)
def test_every_point_in_a_tile_is_learned_where_it_is(
    zooms: tuple[int, ...], size: float, rotation: Any, seed: int
) -> None:
    # Zooms are fractions where the image has other pixels than the model.
    rng = np.random.default_rng(seed)
    stack, where = numbered(300, 320, pixel_size=0.5), rng.uniform(60, 240, (40, 2))
    chosen = TrainingSettings(zooms=zooms, tile=32, rotation=rotation, colour=0.0, zoom_dropout=0.0)
    pairs = [(stack, labelled(where))]
    with pytest.warns(LungclsWarning, match="µm") if size != 0.5 else _nothing():
        points = read(pairs, chosen, size)
    crops = points.crops(
        np.arange(0, 40, 7), everyone(points), 32, crop_edge(chosen), rng
    )  # every seventh is drawn
    scale = Normalisation(mean=(0, 0, 0), std=(1, 1, 1), dtype="float32")
    tiles, rows = augmented(crops, chosen, scale, rng)
    for row, owner, place in zip(rows, tiles.owner, tiles.places, strict=True):
        for k in range(len(zooms)):
            if (place[k] < 0).any() or (place[k] > 31).any():
                continue  # in the outer half of a pixel at the edge
            found = seen_at(tiles.pixels[owner, k], place[k])
            # Pixels that a zoomed pixel covers in part have their weight at their centres.
            error = np.abs(found[:2] - where[row]).max()
            assert error < (0.02 if size == 0.5 else 0.15)
    # All that lie in the crops were found, each of them in every crop.
    effective = points.layout.effective[0][0]
    for i in range(len(crops.pixels)):
        corners = crops.pixels[i, 0, [0, -1], [0, -1], :2].astype(float)
        half = effective / 2
        low, high = corners.min(0) - half, corners.max(0) + half
        # Where pixels are covered in part, corners are known as well as points above.
        margin = 1e-3 if size == 0.5 else 0.15
        inside = ((where > low + margin) & (where < high - margin)).all(1)
        assert set(np.flatnonzero(inside)) <= set(crops.rows[crops.owner == i].tolist())


class _nothing:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


def test_a_tile_holds_the_point_it_was_drawn_for_and_its_own_pixels() -> None:
    stack = image(500, 400, 3)
    where = RNG.uniform(0, 399, (60, 2))
    points = read([(stack, labelled(where))])
    rows = RNG.permutation(60)
    crops = points.crops(rows, everyone(points), 64, 64, np.random.default_rng(1))
    pixels = np.asarray(stack.levels[0])
    for i, row in enumerate(rows):
        own = (crops.owner == i) & (crops.rows == row)
        assert own.sum() == 1
        place = crops.places[own][0, 0]
        corner = np.rint(where[row] - place).astype(int)
        np.testing.assert_allclose(corner, where[row] - place, atol=1e-9)
        y, x = corner
        # Inside the image, so that nothing is reflected.
        np.testing.assert_array_equal(crops.pixels[i, 0], pixels[y : y + 64, x : x + 64])
    # Away from the image's edges a point lies anywhere but at the edge of its tile.
    own = crops.rows == rows[crops.owner]
    central = own & ((where[crops.rows] > 64) & (where[crops.rows] < 335)).all(1)
    assert crops.places[central, 0].min() > 7
    assert crops.places[central, 0].max() < 64 - 7
    assert np.ptp(crops.places[central, 0], axis=0).min() > 35


@settings(max_examples=20)
@given(
    st.integers(20, 300), st.integers(20, 300), st.sampled_from([1, 2, 3.7]),
    st.sampled_from(["right", "any"]), st.integers(0, 2**31),
)  # fmt: skip
def test_no_pixel_beyond_a_side_s_regions_is_read(
    height: int, width: int, coarse: float, rotation: Any, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    stack = numbered(340, 360, pixel_size=1.0)
    top, left = int(rng.integers(0, 340 - height)), int(rng.integers(0, 360 - width))
    region = Region(0, top, left, top + height, left + width)
    margin = 2 * coarse
    if min(height, width) <= 2 * margin + 2:
        return
    inside = rng.uniform(
        [top + margin, left + margin],
        [top + height - margin - 1, left + width - margin - 1],
        (8, 2),
    )
    where = np.concatenate([inside, rng.uniform(0, 339, (8, 2))])
    chosen = TrainingSettings(zooms=(1, 2), tile=64, rotation=rotation)
    layout = place_points([(stack, labelled(where))], SCHEME, (1, 2), 1.0)
    layout = replace(layout, effective=((coarse, 2 * coarse),))
    *_, points = read_point_set([(stack, labelled(where))], layout, reach(chosen))
    assert isinstance(points, PointSet)
    side = Side(np.arange(8), (region,))
    crops = points.crops(side.rows, side, 64, crop_edge(chosen), rng)
    answered = [*points.answering(side, 64, 3)]
    assert sorted(np.concatenate([rows for rows, _ in answered]).tolist()) == list(range(8))
    half = [(zoom - 1) / 2 for zoom in (coarse, 2 * coarse)]
    for pixels in (crops.pixels, *(tiles.pixels for _, tiles in answered)):
        for k in range(2):
            # A zoomed pixel is the mean of rows and columns that lie half of it around.
            y, x = pixels[:, k, ..., 0], pixels[:, k, ..., 1]
            off = half[k] - 1e-3
            assert y.min() - off >= top
            assert y.max() + off <= top + height - 1
            assert x.min() - off >= left
            assert x.max() + off <= left + width - 1
    for rows, tiles in answered:
        for row, owner, place in zip(rows, tiles.owner, tiles.places, strict=True):
            if (place[0] >= 0).all() and (place[0] <= tiles.pixels.shape[2] - 1).all():
                np.testing.assert_allclose(
                    seen_at(tiles.pixels[owner, 0], place[0])[:2], where[row],
                    atol=0.02 if coarse == 1 else coarse,
                )  # fmt: skip


def test_only_a_region_smaller_than_a_tile_is_reflected() -> None:
    stack, where = numbered(300, 300), np.full((2, 2), 60.0)
    points = read([(stack, labelled(where))], TrainingSettings(zooms=(1,), tile=64))
    for region, wanted in ((Region(0, 30, 30, 94, 94), 64), (Region(0, 40, 40, 90, 90), 50)):
        side = everyone(points, region)
        crops = points.crops(side.rows, side, 64, 64, np.random.default_rng(0))
        assert len(np.unique(crops.pixels[0, 0, ..., 0])) == wanted
        first = int(crops.pixels[0, 0, 0, 0, 0])
        lines = np.arange(64) + region.top - (64 - wanted) // 2
        folded = region.top + reflect(lines - region.top, wanted)
        np.testing.assert_array_equal(crops.pixels[0, 0, :, 0, 0], folded)
        assert first == folded[0]


def test_points_of_other_regions_and_sides_are_not_learned_from() -> None:
    stack = image(300, 300)
    where = RNG.uniform(100, 160, (40, 2))
    points = read([(stack, labelled(where))], TrainingSettings(zooms=(1,), tile=64))
    ours, region = np.arange(20), Region(0, 90, 90, 180, 128)
    inside = region.contains(where)
    side = Side(ours[inside[:20]], (region,))
    crops = points.crops(side.rows, side, 64, 64, np.random.default_rng(0))
    # Reflected at the region's edge, tiles show places at which other points seem to lie.
    assert set(crops.rows.tolist()) == set(side.rows.tolist())


def test_tissue_far_from_points_is_not_read() -> None:
    keys: list[Any] = []

    class Watched(np.ndarray):
        def __getitem__(self, key: Any) -> Any:
            keys.append(key)
            return np.asarray(self)[key]

    array = RNG.integers(0, 255, (4000, 4000), np.uint8).view(Watched)
    where = np.array([[500.0, 600], [520, 640], [3300, 3400]])
    points = read(
        [(ImageStack(array, source="w.tif"), labelled(where))],
        TrainingSettings(zooms=(1,), tile=64),
    )
    rows = [key[0] for key in keys if isinstance(key, tuple)]
    assert rows
    lines = {line for part in rows for line in range(part.start, part.stop)}
    assert not lines & set(range(1400, 2500)), "nothing between the two places"
    assert len(points.blocks) * BLOCK**2 < 0.3 * array.size
    (index,) = points.index.values()
    assert (index < 0).any()
    pixels = np.asarray(array)
    for number, (i, j) in enumerate(np.argwhere(index >= 0)):
        block = pixels[i * BLOCK : (i + 1) * BLOCK, j * BLOCK : (j + 1) * BLOCK]
        found = points.blocks[number, : block.shape[0], : block.shape[1], 0]
        np.testing.assert_array_equal(found, block)


def test_every_point_is_answered_once_with_tissue_around_it() -> None:
    stack = image(700, 500)
    where = RNG.uniform(-0.5, 499.5, (80, 2))
    points = read([(stack, labelled(where))], SETTINGS)
    levels = [ZoomedPlane(stack.plane(()), zoom) for zoom in (1, 3)]
    answered = []
    for rows, tiles in points.answering(everyone(points), 64, 2):
        assert len(tiles.pixels) <= 2
        edge = tiles.pixels.shape[2]
        answered += rows.tolist()
        for row, owner, place in zip(rows, tiles.owner, tiles.places, strict=True):
            for k, level in enumerate(levels):
                at = (where[row] + 0.5) / level.zoom - 0.5
                corner = np.rint(at - place[k]).astype(int)
                np.testing.assert_allclose(at - place[k], corner, atol=1e-9)
                wanted = level.read(*corner, edge, edge)
                np.testing.assert_array_equal(tiles.pixels[owner, k], wanted)
            # An eighth of the tile around it, unless the image ends.
            far = (where[row] > edge / 8) & (where[row] < np.array([700, 500]) - edge / 8)
            assert (place[0][far] >= edge / 8 - 1).all()
            assert (place[0][far] <= edge * 7 / 8).all()
    assert sorted(answered) == list(range(80))


def test_several_images_keep_the_order_of_their_points() -> None:
    first, second = image(2, 80, 90), image(60, 70, source="b.tif")
    # Planes are mixed, so that reading order is not the order of the points.
    z = np.array([1, 0, 1, 0, 0.4, 1.5])
    ours = np.column_stack([z, RNG.uniform(0, 60, (6, 2))])
    theirs = RNG.uniform(0, 60, (4, 2))
    points = read([(first, labelled(ours)), (second, labelled(theirs))])
    planes = points.layout.planes
    assert planes[0] == planes[2] == planes[5]
    assert planes[1] == planes[3] == planes[4]
    assert len({planes[0], planes[1], planes[6]}) == 3
    assert set(planes[6:]) == {planes[6]}
    level = {
        planes[0]: first.plane((1,)), planes[1]: first.plane((0,)), planes[6]: second.plane(()),
    }  # fmt: skip
    crops = points.crops(np.arange(10), everyone(points), 16, 16, np.random.default_rng(0))
    for i in range(10):
        own = np.flatnonzero(crops.owner == i)
        assert set(planes[crops.rows[own]]) == {planes[i]}
        k = own[0]
        where = points.layout.coordinates[crops.rows[k]]
        corner = np.rint(where - crops.places[k, 0]).astype(int)
        wanted = ZoomedPlane(level[planes[i]]).read(*corner, 16, 16)
        np.testing.assert_array_equal(crops.pixels[i, 0], wanted)


def test_an_image_that_is_given_twice_is_one_image() -> None:
    # Two observers, two tables: a point of one may lie in a tile of the other.
    array = RNG.integers(0, 255, (80, 90), np.uint8)
    table = labelled(RNG.uniform(0, 79, (4, 2)))
    pairs = [(ImageStack(array), table), (ImageStack(array), table)]
    assert set(read(pairs).layout.planes) == {0}
    file = {"name": "a", "source": "x/a.tif"}
    pairs = [
        (ImageStack(array, **file), table),
        (ImageStack(array.copy(), **(file | {"source": "./x/../x/a.tif"})), table),
        (ImageStack(array.copy(), **(file | {"source": "y/a.tif"})), table),
    ]
    assert read(pairs).layout.planes.tolist() == [0] * 8 + [1] * 4
    # Arrays without a name of their own are told apart.
    pairs = [(ImageStack(array), table), (ImageStack(array.copy()), table)]
    assert read(pairs).layout.planes.tolist() == [0] * 4 + [1] * 4


def test_images_of_up_to_six_axes_have_planes() -> None:
    stack = image(2, 2, 2, 2, 30, 30)
    index = np.array(list(np.ndindex(2, 2, 2, 2)), float)
    where = np.column_stack([index, np.full((16, 2), 15.0)])
    points = read([(stack, labelled(where))])
    assert sorted(points.layout.planes) == list(range(16))


@pytest.mark.filterwarnings("ignore:.* per pixel and the model sees")
def test_other_pixel_sizes_are_resampled_to_one() -> None:
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 255, (60, 60)).astype(np.float32)
    fine = coarse.repeat(2, 0).repeat(2, 1)
    # The same places: pixel p of the coarse one covers pixels 2p and 2p + 1 of the fine one.
    where = rng.uniform(20, 40, (6, 2))
    pairs = [
        (ImageStack(fine, pixel_size=0.25), labelled(2 * where + 0.5)),
        (ImageStack(coarse, pixel_size=0.5), labelled(where)),
    ]
    points = read(pairs, TrainingSettings(zooms=(2, 6), tile=16), 0.25)
    first, second = (
        points.crops(rows, everyone(points), 16, 16, np.random.default_rng(0))
        for rows in (np.arange(6), np.arange(6, 12))
    )
    np.testing.assert_allclose(first.pixels, second.pixels, atol=0.01)
    np.testing.assert_allclose(first.places, second.places, atol=1e-9)


def test_an_unknown_pixel_size_is_said_aloud() -> None:
    pairs = [
        (image(60, 60, pixel_size=0.5), labelled([[20, 20], [30, 30]])),
        (image(60, 60, source="b.tif"), labelled([[20, 20], [30, 30]])),
    ]
    with pytest.warns(LungclsWarning, match=r"b.tif does not tell its pixel size"):
        read(pairs, size=0.5)


def test_what_does_not_fit_in_memory_goes_to_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    stack, table = image(90, 90), labelled(RNG.uniform(0, 89, (20, 2)))
    wanted = read([(stack, table)])
    monkeypatch.setattr("napari_lungcls.utils.memory.SCRATCH_BYTES", 1000)
    found = read([(stack, table)])
    assert isinstance(found.blocks, np.memmap)
    np.testing.assert_array_equal(found.blocks, wanted.blocks)


def test_fewer_zooms_can_be_seen_of_what_was_read() -> None:
    pairs = [(image(200, 200), labelled(RNG.uniform(20, 180, (9, 2))))]
    both, coarse = read(pairs), read(pairs, SETTINGS.model_copy(update={"zooms": (3,)}))
    rows = np.arange(9)
    seen, wanted = (
        points.crops(rows, everyone(points), 64, 64, np.random.default_rng(0))
        for points in (both.at([1]), coarse)
    )
    np.testing.assert_array_equal(seen.pixels, wanted.pixels)
    np.testing.assert_array_equal(seen.rows, wanted.rows)
    np.testing.assert_allclose(seen.places, wanted.places)


def test_the_sample_is_of_the_side_s_own_tissue() -> None:
    array = np.zeros((300, 300), np.uint8)
    array[:, 150:] = 200
    where = np.column_stack(
        [RNG.uniform(0, 299, 20), np.r_[np.full(10, 140.0), np.full(10, 160.0)]]
    )
    points = read([(ImageStack(array, source="a.tif"), labelled(where))])
    left, right = Region(0, 0, 0, 300, 150), Region(0, 0, 150, 300, 300)
    assert (points.sample(Side(np.arange(10), (left,)), 4000) == 0).all()
    assert (points.sample(Side(np.arange(10, 20), (right,)), 4000) == 200).all()


def bad(value: float) -> NDArray[np.float32]:
    array = np.zeros((60, 60), np.float32)
    array[30, 30] = value
    return array


TWO = [[10, 10], [40, 40]]


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([], "at least one image"),
        ([(image(60, 60), labelled([[10, 10], [60, 40]]))], r"points: point 2 at \(60, 40\) lies"),
        ([(image(60, 60), labelled([[0, 1, 1], [0, 2, 2]]))], "have 3 axes, but a.tif has 2"),
        ([(image(60, 60), labelled(TWO, ["a", "x"]))], "class 'x' is unknown.*use classes="),
        ([(image(60, 60), labelled(TWO, ["a", ""]))], "class is empty"),
        ([(image(60, 60), Points.build(TWO))], "no column 'class'"),
        ([(image(60, 60), labelled([[9, 9]]))], "1 points are fewer than the 2 classes"),
        ([(image(60, 60), labelled(TWO, ["a", "a"]))], "all points are 'a'; label at least two"),
        (
            [(image(60, 60), labelled(TWO)), (image(60, 60, dtype="uint16"), labelled(TWO))],
            r"different types \(uint16, uint8\)",
        ),
        (
            [(image(60, 60, dtype=t), labelled(TWO)) for t in ("int32", "float32")],
            r"different types \(float32, int32\)",
        ),
        ([(image(60, 20), labelled([[9, 9], [10, 10]]))], "zoom 3 is larger than the image allows"),
        ([(ImageStack(bad(np.nan), source="n.tif"), labelled(TWO))], "n.tif holds NaN or infinite"),
        ([(ImageStack(bad(np.inf), source="n.tif"), labelled(TWO))], "n.tif holds NaN or infinite"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(pairs: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(pairs)


def test_a_class_without_points_is_named() -> None:
    three = ClassScheme.of_names(["a", "b", "c"])
    table = labelled([[1, 1], [2, 2], [3, 3]])
    with pytest.raises(InputError, match=r"labelled c; .*use classes=.* for a scheme without"):
        check_pairs([(image(60, 60), table)], three)


def test_points_are_checked_before_anything_is_read() -> None:
    class Locked:
        shape, dtype = (60, 60), np.dtype("uint8")

        def __getitem__(self, key: Any) -> Any:
            raise AssertionError("read too early")

    pairs = [(ImageStack(Locked()), labelled(TWO, ["a", "x"]))]
    with pytest.raises(InputError, match="'x' is unknown"):
        place_points(pairs, SCHEME, SETTINGS.zooms, None)
