"""Windows sampled from squares: turns, flips, phases, and never from beyond the square."""

from __future__ import annotations

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
    recolour,
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


@settings(max_examples=40)
@given(
    st.sampled_from(["any", "right", "none"]),
    st.booleans(),
    st.booleans(),
    st.integers(16, 33),
    st.integers(0, 2**32 - 1),
)
def test_the_point_s_own_pixel_lands_at_its_place(
    rotation: Any, flip: bool, random_phase: bool, window: int, seed: int
) -> None:
    chosen = TrainingSettings(
        rotation=rotation, flip=flip, random_phase=random_phase, window=window
    )
    rng = np.random.default_rng(seed)
    edge = 2 * reach(chosen) + 2
    where = rng.uniform((edge - 1) / 2, (edge + 1) / 2, (4, 1, 2))
    # A smooth hill with its top at the point, to fractions of a pixel.
    y, x = np.indices((edge, edge))
    offset = np.stack([y, x])[None] - where.reshape(4, 2, 1, 1)
    hill = np.exp(-(offset**2).sum(1) / (2 * 3.0**2)).astype(np.float32)
    square = np.repeat(hill[:, None, ..., None], 3, -1)
    pose = random_pose(chosen, 4, 1, rng)
    found = sample_windows(square, where, pose, window)[:, 0, ..., 0]
    total = found.sum((1, 2))
    i = np.arange(window)
    centre = np.stack([(found.sum(2) * i).sum(1), (found.sum(1) * i).sum(1)], -1) / total[:, None]
    # Where the hill is not cut off by the window's edge its centre is its top.
    whole = (np.abs(pose.place[:, 0] - (window - 1) / 2) < window / 2 - 9.5).all(1)
    np.testing.assert_allclose(centre[whole], pose.place[whole, 0], atol=0.1)
    top = np.stack(np.unravel_index(found.reshape(4, -1).argmax(1), (window, window)), -1)
    assert (np.abs(top - pose.place[:, 0]) <= 0.85).all()


@settings(max_examples=40)
@given(
    st.sampled_from(["any", "right", "none"]),
    st.booleans(),
    st.integers(16, 40),
    st.integers(0, 2**32 - 1),
    st.floats(0, 0.999),
    st.floats(0, 0.999),
)
def test_nothing_beyond_the_reach_is_ever_sampled(
    rotation: Any, random_phase: bool, window: int, seed: int, fy: float, fx: float
) -> None:
    chosen = TrainingSettings(rotation=rotation, random_phase=random_phase, window=window)
    distance = reach(chosen)
    # One pixel more than training keeps, on every side, and all beyond the reach is NaN.
    edge = 2 * distance + 4
    where = np.array([[[edge / 2 - 0.5 + fy, edge / 2 - 0.5 + fx]]])
    off = np.abs(np.indices((edge, edge)) - where.reshape(2, 1, 1)).max(0)
    square = np.where(off > distance, np.nan, 1.0).astype(np.float32)
    square = np.repeat(square[None, None, ..., None], 3, -1)
    assert np.isnan(square).any()
    rng = np.random.default_rng(seed)
    pose = random_pose(chosen, 30, 1, rng)
    # The extremes: the point in each corner of its range, at angles that reach farthest.
    shift = phase(window) if random_phase else 0
    corners = (window - 1) / 2 + np.array([[-shift, -shift], [shift, shift], [-shift, shift]])
    angles = np.deg2rad([0, 45, 90, 135, 225, 315] if rotation == "any" else [0])
    for corner in corners:
        for angle in angles:
            c, s = np.cos(angle), np.sin(angle)
            found = sample_windows(square, where, pose_of([[c, -s], [s, c]], corner), window)
            assert (found == 1).all()
    many = np.repeat(square, 30, 0)
    assert (sample_windows(many, np.repeat(where, 30, 0), pose, window) == 1).all()


def test_the_reach_wastes_little() -> None:
    # Half a window and the phase, at 45 degrees; two pixels are for rounding.
    assert reach(TrainingSettings(window=64)) <= np.sqrt(2) * 48 + 2
    assert reach(TrainingSettings(window=64, rotation="right")) <= 48 + 2


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


def test_recolouring_is_mild_and_the_same_for_all_zooms_of_a_point() -> None:
    rng = np.random.default_rng(0)
    std = np.array([50, 60, 40], np.float32)
    windows = np.full((500, 2, 4, 4, 3), 100, np.float32)
    windows[:, 1] = 30
    changed = recolour(windows, std, 0.1, rng)
    assert changed.dtype == np.float32
    shift = (changed - windows)[:, :, 0, 0]
    np.testing.assert_allclose(shift[:, 0], shift[:, 1], atol=1e-4)
    np.testing.assert_allclose(shift[:, 0].std(0), 0.1 * std, rtol=0.15)
    assert np.abs(shift.mean(0)).max() < 1
    assert abs(np.corrcoef(shift[:, 0].T)[0, 1]) < 0.15
    assert recolour(windows, std, 0, rng) is windows


def test_recolouring_stretches_around_each_window_s_mean() -> None:
    rng = np.random.default_rng(0)
    windows = RNG.normal(100, 20, (400, 1, 8, 8, 3)).astype(np.float32)
    changed = recolour(windows, np.full(3, 1e-9, np.float32), 0.2, rng)
    np.testing.assert_allclose(changed.mean((2, 3)), windows.mean((2, 3)), rtol=1e-4)
    gain = changed.std((1, 2, 3)) / windows.std((1, 2, 3))
    assert np.log(gain).std() == pytest.approx(0.2, rel=0.15)
    assert np.exp(np.log(gain).mean()) == pytest.approx(1, abs=0.05)


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
