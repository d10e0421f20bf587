"""Windows sampled from squares: turned, scaled and bent, and never from beyond the reach."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_lungcls.imaging.stack import ImageStack
from napari_lungcls.imaging.windows import read_windows
from napari_lungcls.learning.augmentation import (
    Pose,
    drop_zooms,
    random_pose,
    reach,
    sample_windows,
)
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.network.spec import phase

SIZE = 16
RNG = np.random.default_rng(0)


def pose_of(matrix: Any, place: Any, n: int = 1) -> Pose:
    """One turn and place for `n` windows of one zoom."""
    turn = np.broadcast_to(np.array(matrix, float), (n, 1, 2, 2))
    return Pose(turn, np.broadcast_to(np.array(place, float), (n, 1, 2)))


def squares(n: int = 1, edge: int = 40) -> NDArray[np.float32]:
    return RNG.uniform(0, 255, (n, 1, edge, edge, 3)).astype(np.float32)


def test_the_identity_is_the_window_that_painting_reads() -> None:
    image = RNG.integers(0, 255, (90, 90, 3), np.uint8)
    points = RNG.uniform(30, 60, (6, 2))
    stack = ImageStack(image)
    square, where = read_windows(stack, points, [1, 2], 40)
    window, place = read_windows(stack, points, [1, 2], SIZE)
    pose = Pose(np.broadcast_to(np.eye(2), (6, 2, 2, 2)), place)
    np.testing.assert_allclose(sample_windows(square, where, pose, SIZE), window, atol=1e-3)


TURNS = {
    "none": (np.eye(2), lambda w: w),
    "a quarter": ([[0, 1], [-1, 0]], lambda w: np.rot90(w, 1)),
    "a half": ([[-1, 0], [0, -1]], lambda w: np.rot90(w, 2)),
    "three quarters": ([[0, -1], [1, 0]], lambda w: np.rot90(w, 3)),
    "left to right": ([[1, 0], [0, -1]], lambda w: w[:, ::-1]),
    "up and down": ([[-1, 0], [0, 1]], lambda w: w[::-1]),
    "transposed": ([[0, 1], [1, 0]], lambda w: w.swapaxes(0, 1)),
}


@pytest.mark.parametrize("name", TURNS)
def test_right_angles_and_flips_are_numpy_s(name: str) -> None:
    matrix, turn = TURNS[name]
    square = squares()
    middle = (SIZE - 1) / 2
    # The point in the middle of the square, between pixels, and of the window.
    pose = pose_of(matrix, (middle, middle))
    found = sample_windows(square, np.full((1, 1, 2), 19.5), pose, SIZE)[0, 0]
    np.testing.assert_allclose(found, turn(square[0, 0, 12:28, 12:28]), atol=1e-3)


@pytest.mark.parametrize("rotation", ["any", "right", "none"])
@pytest.mark.parametrize("flip", [True, False])
def test_poses_are_turns_and_flips_of_all_zooms_alike(rotation: Any, flip: bool) -> None:
    chosen = TrainingSettings(rotation=rotation, flip=flip, window=32)
    pose = random_pose(chosen, 400, 3, np.random.default_rng(1))
    assert pose.matrix.shape == (400, 3, 2, 2)
    assert pose.place.shape == (400, 3, 2)
    np.testing.assert_allclose(
        pose.matrix @ pose.matrix.swapaxes(-1, -2), np.broadcast_to(np.eye(2), (400, 3, 2, 2)),
        atol=1e-12,
    )  # fmt: skip
    assert (pose.matrix == pose.matrix[:, :1]).all()
    handed = np.linalg.det(pose.matrix[:, 0])
    assert set(np.rint(handed)) == ({-1, 1} if flip else {1})
    angle = np.rad2deg(np.arctan2(pose.matrix[:, 0, 1, 0], pose.matrix[:, 0, 0, 0])) % 360
    if rotation == "any":
        assert np.histogram(angle, 8, (0, 360))[0].min() > 20
    else:
        wanted = {0, 90, 180, 270} if rotation == "right" else {0}
        assert {round(a) % 360 for a in angle} == wanted
    # Each zoom has its own phase.
    assert not np.allclose(pose.place[:, 0], pose.place[:, 1])


def test_the_phase_is_uniform_around_the_middle_or_not_at_all() -> None:
    chosen = TrainingSettings(window=64)
    assert phase(64) == 16
    shift = random_pose(chosen, 2000, 1, np.random.default_rng(1)).place - 31.5
    assert np.abs(shift).max() <= 16
    assert np.histogram(shift, 8, (-16, 16))[0].min() > 400
    still = TrainingSettings(window=64, random_phase=False)
    assert (random_pose(still, 9, 2, np.random.default_rng(1)).place == 31.5).all()


GEOMETRY = st.fixed_dictionaries(
    {
        "rotation": st.sampled_from(["any", "right", "none"]),
        "flip": st.booleans(),
        "random_phase": st.booleans(),
        "scale": st.sampled_from([0, 0.2, 0.5]),
        "elastic": st.sampled_from([0, 1, 4, 8]),
        "window": st.integers(16, 40),
    }
)
SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=40)
@given(GEOMETRY, SEEDS)
def test_the_point_s_own_pixel_lands_at_its_place(values: Any, seed: int) -> None:
    chosen = TrainingSettings(zooms=(1,), **values)
    rng = np.random.default_rng(seed)
    edge = 2 * reach(chosen) + 2
    where = rng.uniform((edge - 1) / 2, (edge + 1) / 2, (4, 1, 2))
    # How far each pixel is from the point, along y and x: bilinear sampling keeps it exactly.
    y, x = np.indices((edge, edge))
    offset = (
        np.stack([y, x, 0 * y], -1) - np.concatenate([where, np.zeros((4, 1, 1))], 2)[..., None, :]
    )
    square = offset[:, None]
    pose = random_pose(chosen, 4, 1, rng)
    found = sample_windows(square.astype(np.float32), where, pose, chosen.window)
    for window, (row, column) in zip(found[:, 0], pose.place[:, 0], strict=True):
        top, left = int(row), int(column)
        fy, fx = row - top, column - left
        four = window[top : top + 2, left : left + 2, :2].reshape(-1, 2)
        between = np.outer([1 - fy, fy], [1 - fx, fx]).reshape(-1)[: len(four)] @ four
        # Exact without a bend; within a pixel a bend is nearly straight.
        assert np.abs(between).max() <= (1e-3 if chosen.elastic == 0 else 0.15)


@settings(max_examples=40)
@given(GEOMETRY, SEEDS, st.floats(0, 0.999), st.floats(0, 0.999))
def test_nothing_beyond_the_reach_is_ever_sampled(
    values: Any, seed: int, fy: float, fx: float
) -> None:
    chosen = TrainingSettings(zooms=(1,), **values)
    distance = reach(chosen)
    # One pixel more than training keeps, on every side, and all beyond the reach is NaN.
    edge = 2 * distance + 4
    where = np.array([[[edge / 2 - 0.5 + fy, edge / 2 - 0.5 + fx]]])
    off = np.abs(np.indices((edge, edge)) - where.reshape(2, 1, 1)).max(0)
    square = np.where(off > distance, np.nan, 1.0).astype(np.float32)
    square = np.repeat(square[None, None, ..., None], 3, -1)
    assert np.isnan(square).any()
    for pose in extremes(chosen):
        assert (sample_windows(square, where, pose, chosen.window) == 1).all()
    pose = random_pose(chosen, 30, 1, np.random.default_rng(seed))
    many = np.repeat(square, 30, 0)
    assert (sample_windows(many, np.repeat(where, 30, 0), pose, chosen.window) == 1).all()


def test_the_reach_is_used_up_by_the_widest_pose() -> None:
    # Else the test above could not fail: one pixel less would be too little.
    for values in ({}, {"scale": 0.3}, {"elastic": 8.0}, {"scale": 0.3, "elastic": 8.0}):
        chosen = TrainingSettings(zooms=(1,), window=32, **values)
        edge = 2 * reach(chosen) + 2
        where = np.full((1, 1, 2), (edge - 1) / 2)
        off = np.abs(np.indices((edge, edge)) - where.reshape(2, 1, 1)).max(0)
        square = np.repeat(off.astype(np.float32)[None, None, ..., None], 3, -1)
        seen = max(sample_windows(square, where, p, 32).max() for p in extremes(chosen))
        assert reach(chosen) - 3 < seen <= reach(chosen)


def extremes(chosen: TrainingSettings) -> Iterator[Pose]:
    """Yield the poses that look farthest: the point in a corner, all bent away from it."""
    size = chosen.window
    shift = phase(size) if chosen.random_phase else 0
    for signs in ((-1, -1), (1, 1), (-1, 1)):
        place = (size - 1) / 2 + shift * np.array(signs)
        away = np.sign(np.stack(np.indices((size, size))) - place[:, None, None])
        for degrees in (0, 45, 90, 135, 225, 315) if chosen.rotation == "any" else (0,):
            # A bend is at most `elastic` long: diagonal where the window is, else along axes.
            longest = chosen.elastic * (np.sqrt(0.5) if degrees % 90 else 1.0)
            c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
            turn = (1 + chosen.scale) * np.array([[c, -s], [s, c]])
            bend = (longest * away)[None, None] if chosen.elastic else None
            yield Pose(turn[None, None], place[None, None], bend)


def test_the_reach_wastes_little() -> None:
    # Half a window and the phase, at 45 degrees; two pixels are for rounding.
    assert reach(TrainingSettings(window=64)) <= np.sqrt(2) * 48 + 2
    assert reach(TrainingSettings(window=64, rotation="right")) <= 48 + 2
    assert reach(TrainingSettings(window=64, rotation="none", scale=0.5, elastic=4)) <= 78 + 2


def test_a_turn_by_any_angle_keeps_a_ramp_a_ramp() -> None:
    edge, window = 60, 16
    y, x = np.indices((edge, edge), dtype=np.float32)
    square = np.stack([y, x, 2 * y - x + 200], -1)[None, None]
    where = np.array([[[29.8, 30.4]]])
    c, s = np.cos(0.7), np.sin(0.7)
    matrix, place = np.array([[c, s], [s, -c]]), np.array([5.25, 9.5])
    found = sample_windows(square, where, pose_of(matrix, place), window)[0, 0]
    steps = np.stack(np.indices((window, window)), -1) - place
    wanted = where[0, 0] + steps @ matrix.T
    np.testing.assert_allclose(found[..., :2], wanted, atol=1e-4)
    np.testing.assert_allclose(found[..., 2], 2 * wanted[..., 0] - wanted[..., 1] + 200, atol=1e-3)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_types_become_float32_in_the_same_intensities(dtype: str) -> None:
    square = RNG.integers(0, 255, (2, 1, 40, 40, 3)).astype(dtype)
    pose = pose_of(np.eye(2), (7.5, 7.5), 2)
    found = sample_windows(square, np.full((2, 1, 2), 19.5), pose, SIZE)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, square[:, :, 12:28, 12:28].astype(np.float32))


@given(st.integers(1, 5), st.floats(0, 0.95), st.integers(0, 99))
@settings(max_examples=40)
def test_dropping_zooms_keeps_the_sum(zooms: int, probability: float, seed: int) -> None:
    factors = drop_zooms(50, zooms, probability, np.random.default_rng(seed))
    assert factors.shape == (50, zooms)
    assert factors.dtype == np.float32
    np.testing.assert_allclose(factors.sum(1), zooms, rtol=1e-6)
    assert (factors.max(1) >= 1).all()


def test_dropping_zooms_keeps_the_expectation_and_the_rate() -> None:
    factors = drop_zooms(40_000, 3, 0.3, np.random.default_rng(0))
    np.testing.assert_allclose(factors.mean(0), 1, atol=0.02)
    # One that is drawn to stay cannot be dropped: 2 of 3 are dropped with p.
    assert (factors == 0).mean() == pytest.approx(0.3 * 2 / 3, abs=0.01)
    assert (drop_zooms(9, 3, 0, np.random.default_rng(0)) == 1).all()
    assert (drop_zooms(9, 1, 0.9, np.random.default_rng(0)) == 1).all()
