"""Points with the squares around them: what is read, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.imaging.stack import ImageStack
from napari_lungcls.imaging.windows import read_windows
from napari_lungcls.learning.augmentation import reach
from napari_lungcls.learning.dataset import PointSet, read_point_set
from napari_lungcls.learning.layout import check_pairs, place_points
from napari_lungcls.learning.settings import TrainingSettings

SCHEME = ClassScheme.of_names(["a", "b"])
SETTINGS = TrainingSettings(zooms=(1, 3), window=16)
RNG = np.random.default_rng(0)


def image(*shape: int, dtype: str = "uint8", **options: Any) -> ImageStack:
    array = RNG.integers(0, 255, shape).astype(dtype)
    return ImageStack(array, rgb=shape[-1] == 3, **({"source": "a.tif"} | options))


def labelled(coordinates: Any, labels: Any = None) -> Points:
    where = np.array(coordinates, float)
    return Points.build(where, labels or [("a", "b")[i % 2] for i in range(len(where))])


def read(pairs: Any, settings: TrainingSettings = SETTINGS, size: float | None = None) -> PointSet:
    layout = place_points(pairs, SCHEME, settings.zooms, size)
    *progress, points = read_point_set(pairs, layout, settings)
    assert isinstance(points, PointSet)
    assert [done for done, _ in progress][-1] == len(points)
    assert {total for _, total in progress} == {len(points)}
    return points


def test_squares_are_wide_enough_for_any_turn_and_know_their_points() -> None:
    stack = image(200, 220, 3)
    where = RNG.uniform(0, 199, (20, 2))
    points = read([(stack, labelled(where))])
    edge = 2 * reach(SETTINGS) + 2
    assert points.squares.shape == (20, 2, edge, edge, 3)
    wanted, places = read_windows(stack, where, (1, 3), edge)
    np.testing.assert_array_equal(points.squares, wanted)
    np.testing.assert_array_equal(points.places, places)
    np.testing.assert_array_equal(points.codes, np.arange(20) % 2)
    np.testing.assert_array_equal(points.layout.coordinates, where)
    assert set(points.layout.planes) == {0}


@pytest.mark.parametrize("window", [16, 17, 24])
def test_centred_windows_are_what_is_read_at_the_points(window: int) -> None:
    stack = image(90, 100)
    where = RNG.uniform(-0.5, 89.5, (30, 2))
    points = read([(stack, labelled(where))])
    rows = np.array([3, 29, 0, 3])
    windows, places = points.centred(rows, window)
    wanted, where_in = read_windows(stack, where[rows], (1, 3), window)
    np.testing.assert_array_equal(windows, wanted)
    np.testing.assert_allclose(places, where_in, atol=1e-9)


def test_several_images_keep_the_order_of_their_points() -> None:
    first, second = image(2, 80, 90), image(60, 70, source="b.tif")
    # Planes are mixed, so that reading order is not the order of the points.
    z = np.array([1, 0, 1, 0, 0.4, 1.5])
    ours = np.column_stack([z, RNG.uniform(0, 60, (6, 2))])
    theirs = RNG.uniform(0, 60, (4, 2))
    points = read([(first, labelled(ours)), (second, labelled(theirs))])
    edge = points.squares.shape[2]
    for rows, stack, where in ((slice(0, 6), first, ours), (slice(6, 10), second, theirs)):
        wanted, places = read_windows(stack, where, (1, 3), edge)
        np.testing.assert_array_equal(points.squares[rows], wanted)
        np.testing.assert_array_equal(points.places[rows], places)
    planes = points.layout.planes
    assert planes[0] == planes[2] == planes[5]
    assert planes[1] == planes[3] == planes[4]
    assert len({planes[0], planes[1], planes[6]}) == 3
    assert set(planes[6:]) == {planes[6]}


def test_an_image_that_is_given_twice_is_one_image() -> None:
    # Two observers, two tables: a point of one may lie in a window of the other.
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
    layout = read(pairs).layout
    assert layout.planes.tolist() == [0] * 8 + [1] * 4
    # It is read from the first that has it.
    assert layout.plane_places == ((0, ()), (2, ()))
    # Arrays without a name of their own are told apart.
    pairs = [(ImageStack(array), table), (ImageStack(array.copy()), table)]
    assert read(pairs).layout.planes.tolist() == [0] * 4 + [1] * 4


@pytest.mark.filterwarnings("ignore:.* per pixel and the model sees")
def test_an_image_that_is_given_twice_is_read_in_one_way() -> None:
    array = RNG.integers(0, 255, (80, 90), np.uint8)
    table = labelled(RNG.uniform(0, 79, (4, 2)))
    pairs = [(ImageStack(array, pixel_size=size), table) for size in (0.5, 0.25)]
    with pytest.raises(InputError, match="given twice with different pixel sizes; give it once"):
        place_points(pairs, SCHEME, (1,), 0.25)
    colours = RNG.integers(0, 255, (80, 90, 3), np.uint8)
    pairs = [
        (ImageStack(colours, source="a.tif", name="a", channels=channel), table) for channel in "01"
    ]
    with pytest.raises(InputError, match="given twice with different channels"):
        place_points(pairs, SCHEME, (1,), None)


def test_images_of_up_to_six_axes_have_planes() -> None:
    stack = image(2, 2, 2, 2, 30, 30)
    index = np.array(list(np.ndindex(2, 2, 2, 2)), float)
    where = np.column_stack([index, np.full((16, 2), 15.0)])
    points = read([(stack, labelled(where))])
    assert sorted(points.layout.planes) == list(range(16))
    assert points.layout.plane_places == tuple((0, i) for i in np.ndindex(2, 2, 2, 2))
    assert points.layout.plane_shapes.tolist() == [[30, 30]] * 16


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
    points = read(pairs, TrainingSettings(zooms=(2, 6), window=16), 0.25)
    np.testing.assert_allclose(points.squares[:6], points.squares[6:], atol=0.01)
    np.testing.assert_allclose(points.places[:6], points.places[6:], atol=1e-9)
    # Where they lie is said in pixels of each image.
    np.testing.assert_array_equal(points.layout.coordinates[:6], 2 * where + 0.5)
    np.testing.assert_array_equal(points.layout.coordinates[6:], where)
    assert points.layout.plane_shapes.tolist() == [[120, 120], [60, 60]]
    assert [points.layout.plane_zooms(plane) for plane in (0, 1)] == [(2, 6), (1, 3)]


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
    monkeypatch.setattr("napari_lungcls.memory.SCRATCH_BYTES", 1000)
    found = read([(stack, table)])
    assert isinstance(found.squares, np.memmap)
    np.testing.assert_array_equal(found.squares, wanted.squares)
    np.testing.assert_array_equal(
        found.centred(np.arange(20), 16)[0], wanted.centred(np.arange(20), 16)[0]
    )


def test_progress_counts_every_point() -> None:
    stack = image(40, 40)
    table = labelled(RNG.uniform(0, 39, (600, 2)))
    layout = place_points([(stack, table)], SCHEME, SETTINGS.zooms, None)
    steps = [*read_point_set([(stack, table)], layout, SETTINGS)]
    assert steps[:-1] == [(256, 600), (512, 600), (600, 600)]


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
        ([(image(60, 60), labelled(TWO, ["a", "x"]))], "class 'x' is unknown.*--classes FILE"),
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
    with pytest.raises(InputError, match=r"no point is labelled c; .*--classes a scheme without"):
        check_pairs([(image(60, 60), table)], three)


def test_points_are_checked_before_anything_is_read() -> None:
    class Locked:
        shape, dtype = (60, 60), np.dtype("uint8")

        def __getitem__(self, key: Any) -> Any:
            raise AssertionError("read too early")

    pairs = [(ImageStack(Locked()), labelled(TWO, ["a", "x"]))]
    with pytest.raises(InputError, match="'x' is unknown"):
        place_points(pairs, SCHEME, SETTINGS.zooms, None)
