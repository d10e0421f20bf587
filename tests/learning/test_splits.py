"""Splits: no pixel that validation sees is ever seen in training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.errors import InputError
from napari_lungcls.imaging.geometry import reflect
from napari_lungcls.imaging.pixelsize import effective_zooms
from napari_lungcls.imaging.stack import ImageStack
from napari_lungcls.imaging.windows import plane_indices, read_windows
from napari_lungcls.learning.augmentation import Pose, random_pose, reach, sample_windows
from napari_lungcls.learning.buffers import buffer_width
from napari_lungcls.learning.layout import Layout, place_points
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.splits import Split, make_splits
from napari_lungcls.network.spec import phase, sight


def scheme_of(count: int) -> ClassScheme:
    return ClassScheme.of_names([f"c{i}" for i in range(count)])


def scattered(
    rng: np.random.Generator, n: int, extent: float, classes: int = 2, planes: int = 1
) -> Layout:
    """Scatter points without an image: splits need none."""
    return Layout(
        rng.uniform(0, extent, (n, 2)),
        rng.integers(0, planes, n),
        rng.integers(0, classes, n),
        np.zeros(n, np.int64),
    )


def split_of(points: Layout, chosen: TrainingSettings, classes: int, seed: int = 0) -> Split:
    (split,) = make_splits(points, chosen, scheme_of(classes), np.random.default_rng(seed))
    return split


@settings(max_examples=40)
@given(
    st.integers(0, 10_000),
    st.integers(2, 4),
    st.integers(1, 3),
    st.sampled_from([0.1, 0.2, 0.5]),
    st.sampled_from([(1,), (1, 4), (2,)]),
)
def test_every_split_keeps_its_promises(
    seed: int, classes: int, planes: int, fraction: float, zooms: tuple[int, ...]
) -> None:
    points = scattered(np.random.default_rng(seed), 200, 3000, classes, planes)
    chosen = TrainingSettings(zooms=zooms, window=32, val_fraction=fraction)
    split = split_of(points, chosen, classes)
    # Every point is used once or lies between.
    both = np.concatenate([split.train, split.validation])
    assert len(both) == len(set(both)) == 200 - split.n_buffered
    for part in (split.train, split.validation):
        assert set(points.codes[part]) == set(range(classes))
    # Neither part comes nearer to the other than the buffer, on the same plane.
    assert split.buffer == buffer_width(chosen)
    off = points.coordinates[split.train][:, None] - points.coordinates[split.validation]
    near = np.abs(off).max(-1) < split.buffer
    assert not (
        near & (points.planes[split.train][:, None] == points.planes[split.validation])
    ).any()
    # Those left out have a reason.
    out = np.setdiff1d(np.arange(200), both)
    off = points.coordinates[out][:, None] - points.coordinates[split.validation]
    near = np.abs(off).max(-1) < split.buffer
    assert (near & (points.planes[out][:, None] == points.planes[split.validation])).any(1).all()
    assert split.describe() == {
        "train": len(split.train),
        "validation": len(split.validation),
        "test": 0,
        "n_buffered": split.n_buffered,
        "buffer": split.buffer,
        "full_buffer": split.buffer,
        "buffer_relaxed": False,
        "by": "blocks",
    }


def test_the_share_is_about_what_was_wanted() -> None:
    points = scattered(np.random.default_rng(0), 1000, 5000)
    for fraction in (0.1, 0.2, 0.3):
        split = split_of(points, TrainingSettings(zooms=(1,), val_fraction=fraction), 2)
        assert len(split.validation) / 1000 == pytest.approx(fraction, abs=0.1)
        assert split.n_buffered < 250


def test_a_seed_names_one_split() -> None:
    points = scattered(np.random.default_rng(0), 300, 3000)
    chosen = TrainingSettings(zooms=(1,))
    first, again = (split_of(points, chosen, 2, 1) for _ in range(2))
    np.testing.assert_array_equal(first.validation, again.validation)
    np.testing.assert_array_equal(first.train, again.train)


def test_without_validation_everyone_trains() -> None:
    points = scattered(np.random.default_rng(0), 50, 10)
    split = split_of(points, TrainingSettings(zooms=(1,), val_fraction=0), 2)
    assert split.train.tolist() == list(range(50))
    assert (len(split.validation), split.n_buffered, split.buffer) == (0, 0, 0)


def test_whole_planes_need_no_buffer() -> None:
    # Too close together on each plane, but there are several.
    points = scattered(np.random.default_rng(0), 120, 20, planes=6)
    split = split_of(points, TrainingSettings(zooms=(1,)), 2)
    assert split.n_buffered == 0
    assert not set(points.planes[split.train]) & set(points.planes[split.validation])


def test_points_too_close_together_are_refused_with_the_remedy() -> None:
    points = scattered(np.random.default_rng(0), 100, 300)
    with pytest.raises(InputError) as caught:
        split_of(points, TrainingSettings(zooms=(1, 16)), 2)
    message = str(caught.value)
    assert f"buffer of {buffer_width(TrainingSettings(zooms=(1, 16))):.0f} pixels" in message
    assert "window of 64 at zoom 16" in message
    for remedy in ("farther apart", "another image", "use --zooms 1,", "--val-fraction 0"):
        assert remedy in message


def test_a_class_with_one_point_cannot_be_on_both_sides() -> None:
    points = scattered(np.random.default_rng(0), 200, 5000)
    points.codes[:] = 0
    points.codes[3] = 1
    with pytest.raises(InputError, match="no split keeps every class on both sides"):
        split_of(points, TrainingSettings(zooms=(1,)), 2)


def seen_by_validation(
    stack: ImageStack, where: NDArray[np.float64], zooms: tuple[float, ...], edge: int
) -> NDArray[np.bool_]:
    """Mark all pixels that any of the windows shows at any zoom, by counting them out."""
    seen = np.zeros(stack.shape, bool)
    for point, plane in zip(where, plane_indices(stack, where), strict=True):
        for zoom in zooms:
            pixels = []
            for axis, position in enumerate(point[-2:]):
                first = np.floor((position + 0.5) / zoom - 0.5 - (edge - 1) / 2)
                size = stack.plane_shape[axis]
                levels = reflect(first + np.arange(edge), int(np.ceil(size / zoom - 1e-9)))
                if zoom < 1:
                    centre = np.clip((levels + 0.5) * zoom - 0.5, 0, size - 1)
                    found = {int(c) for c in centre} | {int(np.ceil(c)) for c in centre}
                else:
                    found = {
                        pixel
                        for j in levels
                        for pixel in range(
                            int(j * zoom + 1e-9), int(np.ceil((j + 1) * zoom - 1e-9))
                        )
                    }
                pixels.append(sorted(pixel for pixel in found if pixel < size))
            seen[(*plane, *np.ix_(*pixels))] = True
    return seen


def widest_poses(chosen: TrainingSettings, n: int, zooms: int, rng: np.random.Generator) -> Any:
    """Yield random poses, and those that look farthest in each direction."""
    for _ in range(3):
        yield random_pose(chosen, n, zooms, rng)
    size, shift = chosen.window, phase(chosen.window) if chosen.random_phase else 0
    for degrees in (0, 45, 135, 225, 315) if chosen.rotation == "any" else (0,):
        c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        for sign in (-1, 1):
            turn = (1 + chosen.scale) * np.array([[c, -s], [s, c]])
            place = np.full((n, zooms, 2), (size - 1) / 2 + sign * shift)
            # All pixels are bent away from the point, as far as a bend may be long.
            longest = chosen.elastic * (np.sqrt(0.5) if degrees % 90 else 1.0)
            away = np.sign(np.stack(np.indices((size, size))) - place[..., None, None])
            yield Pose(np.broadcast_to(turn, (n, zooms, 2, 2)), place, longest * away)


SEEN = (
    st.integers(0, 10_000),
    st.sampled_from([(1,), (1, 3), (2, 5)]),
    st.sampled_from(["any", "right", "none"]),
    st.booleans(),
    st.sampled_from([1.0, 0.5, 2.0, 0.75, 1.3]),
    st.sampled_from(["point", "mean"]),
    st.sampled_from([(0.0, 0.0), (0.2, 0.0), (0.0, 2.0), (0.2, 3.0)]),
)


def check_nothing_is_seen_twice(
    stack: ImageStack,
    train: NDArray[np.float64],
    validation: NDArray[np.float64],
    chosen: TrainingSettings,
    rng: np.random.Generator,
) -> None:
    """Make NaN of what validation sees; training, however turned, must not notice."""
    zooms = effective_zooms(chosen.zooms, 1.0, stack)
    seen = seen_by_validation(stack, validation, zooms, sight(chosen.window, chosen.readout))
    marked = ImageStack(np.where(seen, np.nan, 1).astype(np.float32), rgb=False)
    squares, places = read_windows(marked, train, zooms, 2 * reach(chosen) + 2)
    for pose in widest_poses(chosen, len(train), len(zooms), rng):
        assert np.isfinite(sample_windows(squares, places, pose, chosen.window)).all()
    # The test can fail: validation itself sees what it sees.
    own, _ = read_windows(marked, validation, zooms, chosen.window)
    assert np.isnan(own).all()


@pytest.mark.filterwarnings("ignore:.* per pixel and the model sees")
@settings(max_examples=25)
@given(*SEEN)
def test_no_training_window_shows_a_pixel_that_validation_shows(
    seed: int,
    zooms: Any,
    rotation: Any,
    random_phase: bool,
    pixel_size: float,
    readout: Any,
    bent: tuple[float, float],
) -> None:
    rng = np.random.default_rng(seed)
    chosen = TrainingSettings(
        zooms=zooms,
        window=16,
        rotation=rotation,
        random_phase=random_phase,
        readout=readout,
        scale=bent[0],
        elastic=bent[1],
    )
    # The model's pixels are those of 1 µm, the image's are not.
    shape = (2, int(700 / pixel_size), int(300 / pixel_size))
    stack = ImageStack(np.zeros(shape, np.float32), pixel_size=pixel_size)
    where = np.column_stack(
        [rng.integers(0, 2, 60), *(rng.uniform(-0.5, n - 0.5, 60) for n in shape[1:])]
    )
    table = Points.build(where, [f"c{i % 2}" for i in range(60)])
    points = place_points([(stack, table)], scheme_of(2), chosen.zooms, 1.0)
    split = split_of(points, chosen, 2, seed)
    check_nothing_is_seen_twice(stack, where[split.train], where[split.validation], chosen, rng)


@pytest.mark.filterwarnings("ignore:.* per pixel and the model sees")
@settings(max_examples=40)
@given(*SEEN)
def test_the_buffer_is_wide_enough_where_points_lie_just_that_far_apart(
    seed: int,
    zooms: Any,
    rotation: Any,
    random_phase: bool,
    pixel_size: float,
    readout: Any,
    bent: tuple[float, float],
) -> None:
    rng = np.random.default_rng(seed)
    chosen = TrainingSettings(
        zooms=zooms, window=16, rotation=rotation, random_phase=random_phase, readout=readout,
        val_fraction=0.5, scale=bent[0], elastic=bent[1],
    )  # fmt: skip
    stack = ImageStack(
        np.zeros((int(99 / pixel_size), int(600 / pixel_size)), np.float32), pixel_size=pixel_size
    )
    resampled = not all(z.is_integer() for z in effective_zooms(zooms, 1.0, stack))
    apart = (buffer_width(chosen, pixel_size if resampled else 0) + 1e-6) / pixel_size
    x = rng.uniform(200, 210) / pixel_size
    y = rng.uniform(0, 95, 4) / pixel_size
    where = np.column_stack([y, [x, x, x + apart, x + apart]])
    table = Points.build(where, ["c0", "c1", "c0", "c1"])
    points = place_points([(stack, table)], scheme_of(2), chosen.zooms, 1.0)
    split = split_of(points, chosen, 2, seed)
    assert len(split.train) == len(split.validation) == 2
    check_nothing_is_seen_twice(stack, where[split.train], where[split.validation], chosen, rng)
