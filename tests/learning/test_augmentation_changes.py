"""What changes of tissue, stain, light and camera do to windows, and what they leave."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.color import hed2rgb

from napari_lungcls.errors import InputError
from napari_lungcls.learning.augmentation import augmented, check_changes, random_pose, reach
from napari_lungcls.learning.augmentation_colour import (
    Light,
    Stain,
    random_light,
    random_stain,
    recolour,
    restain,
)
from napari_lungcls.learning.augmentation_optics import (
    SOFTER,
    blurred,
    noisy,
    per_zoom,
    random_sharpness,
    sharpen,
)
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.network.spec import Normalisation

PLAIN = {"rotation": "none", "flip": False, "random_phase": False, "colour": 0.0, "sharpness": 0.0}
"""All that is on by default, off."""
CHANGES: dict[str, Any] = {
    "rotation": "any",
    "flip": True,
    "random_phase": True,
    "scale": 0.3,
    "elastic": 4.0,
    "brightness": 0.2,
    "contrast": 0.2,
    "colour": 0.2,
    "stain": 0.1,
    "sharpness": 0.5,
    "blur": 2.0,
    "noise": 0.2,
}
STRENGTHS = st.floats(0, 1)
SEEDS = st.integers(0, 2**32 - 1)
STD = np.array([50, 60, 40], np.float32)
SCALE = Normalisation(mean=(180, 140, 170), std=(50, 60, 40))


def tissue(n: int, zooms: int, edge: int, seed: int = 0) -> NDArray[np.uint8]:
    """Make squares with the colours of H&E, smooth enough that every change shows."""
    rng = np.random.default_rng(seed)
    stains = np.zeros((n, zooms, edge, edge, 3))
    stains[..., :2] = 0.05 * rng.random((n, zooms, edge, edge, 2)) ** 2
    found: NDArray[np.uint8] = np.rint(255 * hed2rgb(stains)).astype(np.uint8)
    return found


def windows_of(seed: int, zooms: tuple[int, ...] = (1, 4), n: int = 3, **values: Any) -> Any:
    """Windows of 16 pixels, with the changes given and no others."""
    chosen = TrainingSettings(zooms=zooms, window=16, **(PLAIN | values))
    squares = tissue(n, len(zooms), 2 * reach(chosen) + 2)
    # The same pixels around the point, however wide the squares are.
    full = tissue(n, len(zooms), 120)
    cut = (120 - squares.shape[2]) // 2
    squares = full[:, :, cut : cut + squares.shape[2], cut : cut + squares.shape[2]]
    places = np.full((n, len(zooms), 2), squares.shape[2] / 2 - 0.2)
    return augmented(squares, places, chosen, SCALE, np.random.default_rng(seed))


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_is_a_switch_and_a_seed_repeats_it(name: str) -> None:
    plain, middle = windows_of(1)
    changed, places = windows_of(1, **{name: CHANGES[name]})
    assert changed.dtype == np.float32
    assert changed.shape == plain.shape
    assert not np.allclose(changed, plain, atol=0.5)
    assert np.array_equal(places, middle) == (name != "random_phase")
    again, _ = windows_of(1, **{name: CHANGES[name]})
    np.testing.assert_array_equal(again, changed)
    other, _ = windows_of(2, **{name: CHANGES[name]})
    assert not np.array_equal(other, changed)
    # An 8-bit image holds no more than this.
    assert changed.min() >= 0
    assert changed.max() <= 255


@settings(max_examples=25)
@given(st.dictionaries(st.sampled_from(list(CHANGES)), st.booleans()), SEEDS)
def test_switching_changes_moves_no_other_random_number(on: dict[str, bool], seed: int) -> None:
    chosen = {name: CHANGES[name] for name, is_on in on.items() if is_on}
    values = TrainingSettings(zooms=(1, 4), window=16, **(PLAIN | chosen))
    everything = TrainingSettings(zooms=(1, 4), window=16, **CHANGES)
    few, all_of_them = (
        random_pose(s, 5, 2, np.random.default_rng(seed)) for s in (values, everything)
    )
    if values.random_phase:
        np.testing.assert_array_equal(few.place, all_of_them.place)
        if values.elastic:
            np.testing.assert_array_equal(few.bend, all_of_them.bend)
    if values.scale:
        size = [np.abs(np.linalg.det(pose.matrix)) for pose in (few, all_of_them)]
        np.testing.assert_allclose(*size)
    if values.flip:
        handed = [np.sign(np.linalg.det(pose.matrix)) for pose in (few, all_of_them)]
        np.testing.assert_array_equal(*handed)
    lights = [random_light(s, 5, np.random.default_rng(seed)) for s in (values, everything)]
    if values.colour == values.contrast == 0:
        assert (lights[0].gain == 1).all()
    if values.colour and values.contrast:
        np.testing.assert_array_equal(lights[0].gain, lights[1].gain)
    if values.colour and values.brightness:
        np.testing.assert_array_equal(lights[0].shift, lights[1].shift)
    # Nor what is drawn after the batch.
    after = []
    for changes in (values, everything):
        rng = np.random.default_rng(seed)
        edge = 2 * reach(changes) + 2
        squares, places = tissue(2, 2, edge), np.full((2, 2, 2), edge / 2 - 0.5)
        augmented(squares, places, changes, SCALE, rng)
        after.append(rng.random())
    assert after[0] == after[1]


@settings(max_examples=30)
@given(st.floats(0.5, 8), st.integers(16, 48), SEEDS)
def test_bends_are_smooth_bounded_and_leave_the_point(most: float, size: int, seed: int) -> None:
    chosen = TrainingSettings(zooms=(1, 4), window=size, elastic=most)
    pose = random_pose(chosen, 3, 2, np.random.default_rng(seed))
    assert pose.bend is not None
    assert pose.bend.shape == (3, 2, 2, size, size)
    assert np.hypot(pose.bend[:, :, 0], pose.bend[:, :, 1]).max() <= most + 1e-9
    assert np.abs(pose.bend).max() > 0.2 * most
    # Tissue is never folded over: neighbours along an axis keep their order, areas their sign.
    grid = np.stack(np.indices((size, size))) + pose.bend
    dy, dx = np.diff(grid, axis=-2)[..., :, :-1], np.diff(grid, axis=-1)[..., :-1, :]
    assert (dy[:, :, 0] * dx[:, :, 1] - dy[:, :, 1] * dx[:, :, 0] > 0).all()


def test_scales_are_uniform_on_a_log_axis_and_the_same_for_all_zooms() -> None:
    chosen = TrainingSettings(zooms=(1, 4), scale=0.5)
    matrix = random_pose(chosen, 2000, 2, np.random.default_rng(0)).matrix
    logs = np.log(np.abs(np.linalg.det(matrix))) / 2 / np.log(1.5)
    np.testing.assert_allclose(logs[:, 0], logs[:, 1])
    assert np.abs(logs).max() <= 1
    assert np.histogram(logs[:, 0], 4, (-1, 1))[0].min() > 400


@settings(max_examples=40)
@given(STRENGTHS, SEEDS)
def test_stain_changes_invert_and_stay_within_their_limits(strength: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    windows = rng.integers(0, 256, (4, 2, 5, 6, 3)).astype(np.float32)
    stain = random_stain(strength, 4, rng)
    assert np.abs(stain.factor - 1).max() <= strength
    assert np.abs(stain.shift).max() <= strength
    mild = Stain(np.maximum(stain.factor, 0.1), stain.shift)
    back = Stain(1 / mild.factor, -mild.shift / mild.factor)
    changed = restain(windows, mild)
    assert changed.min() > -1
    np.testing.assert_allclose(restain(changed, back), windows, atol=0.05)


def test_more_of_a_stain_is_what_scikit_image_calls_more_of_it() -> None:
    amounts = np.random.default_rng(0).uniform(0.01, 0.04, (1, 1, 8, 8, 3))
    before = (256 * hed2rgb(amounts) - 1).astype(np.float32)
    more = Stain(np.array([[1.5, 0.8, 1.0]]), np.zeros((1, 3)))
    after = 256 * hed2rgb(amounts * more.factor) - 1
    np.testing.assert_allclose(restain(before, more), after, atol=0.05)


@settings(max_examples=40)
@given(STRENGTHS, STRENGTHS, STRENGTHS, SEEDS)
def test_light_stretches_around_the_mean_and_shifts_all_zooms_alike(
    colour: float, contrast: float, brightness: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    chosen = TrainingSettings(colour=colour, contrast=contrast, brightness=brightness)
    windows = rng.normal(100, 20, (5, 2, 8, 8, 3)).astype(np.float32)
    light = random_light(chosen, 5, rng)
    mean = windows.mean((2, 3), keepdims=True)
    stretched = recolour(windows, STD, Light(light.gain, np.zeros_like(light.shift)))
    np.testing.assert_allclose(stretched.mean((2, 3)), mean[:, :, 0, 0], atol=0.02, rtol=1e-4)
    np.testing.assert_allclose(
        stretched.std((2, 3)), windows.std((2, 3)) * light.gain[:, None], rtol=1e-3
    )
    shifted = recolour(windows, STD, Light(np.ones_like(light.gain), light.shift)) - windows
    wanted = np.broadcast_to((light.shift * STD)[:, None, None, None], windows.shape)
    np.testing.assert_allclose(shifted, wanted, atol=0.02)
    if colour == 0:
        assert (light.gain == light.gain[:, :1]).all()
        assert (light.shift == light.shift[:, :1]).all()


def test_strengths_of_light_are_standard_deviations() -> None:
    rng = np.random.default_rng(0)
    channels = random_light(TrainingSettings(colour=0.2), 4000, rng)
    together = random_light(TrainingSettings(colour=0, contrast=0.1, brightness=0.3), 4000, rng)
    assert np.log(channels.gain).std() == pytest.approx(0.2, rel=0.05)
    assert channels.shift.std() == pytest.approx(0.2, rel=0.05)
    assert abs(np.corrcoef(channels.shift.T)[0, 1]) < 0.1
    assert np.log(together.gain).std() == pytest.approx(0.1, rel=0.05)
    assert together.shift.std() == pytest.approx(0.3, rel=0.05)


@settings(max_examples=30)
@given(st.floats(0, 4), SEEDS)
def test_a_blur_keeps_the_mean_and_takes_the_detail(sigma: float, seed: int) -> None:
    windows = np.random.default_rng(seed).uniform(0, 255, (2, 2, 20, 20, 3)).astype(np.float32)
    windows[:, 1] = windows[:, 0]
    width = per_zoom(np.array([sigma, 0]), (2, 4))
    assert width.tolist() == [[sigma, sigma / 2], [0, 0]]
    found = blurred(windows, width)
    np.testing.assert_allclose(found.mean((2, 3)), windows.mean((2, 3)), rtol=1e-4)
    np.testing.assert_array_equal(found[1], windows[1])
    assert (found[0].std((1, 2)) <= windows[0].std((1, 2)) + 1e-3).all()
    if sigma > 1:
        assert (found[0, 0].std((0, 1)) < found[0, 1].std((0, 1))).all()


@given(st.floats(-0.25, 1), SEEDS)
def test_sharpening_keeps_the_mean_and_raises_the_detail(share: float, seed: int) -> None:
    before = np.random.default_rng(seed).uniform(0, 255, (2, 2, 12, 12, 3)).astype(np.float32)
    found = before.copy()
    sharpen(found, np.array([share, 0], np.float32))
    np.testing.assert_allclose(found[0].mean((1, 2)), before[0].mean((1, 2)), rtol=1e-3)
    np.testing.assert_array_equal(found[1], before[1])
    if abs(share) > 0.01:
        more = found[0].std((1, 2)) > before[0].std((1, 2))
        assert (more == (share > 0)).all()


def test_sharpening_makes_up_for_interpolation_where_the_image_is_smooth() -> None:
    # Half-way between pixels a wave of 16 pixels is weaker by cos(π / 16).
    wave = np.cos(2 * np.pi * np.arange(69) / 16).astype(np.float32)
    between = (wave[:-1] + wave[1:]) / 2
    windows = np.broadcast_to(between[:, np.newaxis, np.newaxis], (1, 1, 68, 68, 3)).copy()
    sharpen(windows, np.array([0.125], np.float32))
    # Whole waves, without the edges.
    lost = wave[2:66].std() - between[2:66].std()
    assert abs(windows[0, 0, 2:66, 2, 0].std() - wave[2:66].std()) < 0.1 * lost


def test_windows_are_sharpened_more_than_they_are_softened() -> None:
    drawn = random_sharpness(0.5, 10_000, np.random.default_rng(0))
    assert -SOFTER * 0.5 <= drawn.min() < -0.95 * SOFTER * 0.5
    assert 0.475 < drawn.max() <= 0.5


def test_noise_has_the_strength_and_the_mean_it_should_have() -> None:
    windows = np.full((2, 2, 60, 60, 3), 100, np.float32)
    strength = per_zoom(np.array([0.5, 0.1]), (1, 4))
    found = noisy(windows, strength, STD, np.random.default_rng(0)) - windows
    np.testing.assert_allclose(found.std((2, 3)), strength[..., None] * STD, rtol=0.08)
    assert np.abs(found.mean((2, 3)) / STD).max() < 0.05


@pytest.mark.parametrize(("dtype", "most"), [("uint16", 65535), ("float32", np.inf)])
def test_windows_are_cut_off_only_where_the_type_of_the_image_ends(dtype: str, most: float) -> None:
    chosen = TrainingSettings(zooms=(1,), window=16, brightness=1.0, noise=1.0)
    edge = 2 * reach(chosen) + 2
    squares = np.full((20, 1, edge, edge, 3), 60_000).astype(dtype)
    scale = Normalisation(mean=(9, 9, 9), std=(9000, 9000, 9000), dtype=dtype)
    places = np.full((20, 1, 2), edge / 2)
    found, _ = augmented(squares, places, chosen, scale, np.random.default_rng(0))
    assert found.max() == 65535 if most == 65535 else found.max() > 65535


def test_stains_of_other_images_are_refused_before_anything_is_read() -> None:
    stained, plain = TrainingSettings(stain=0.05), TrainingSettings()
    check_changes(stained, "uint8", "a.tif", rgb=True)
    check_changes(plain, "uint16", "a.tif", rgb=False)
    for dtype, rgb, said in (("uint16", True, "uint16 RGB"), ("uint8", False, "without colours")):
        with pytest.raises(InputError, match=rf"^--stain .*a\.tif holds .*{said}.*--stain 0"):
            check_changes(stained, dtype, "a.tif", rgb=rgb)


def test_with_everything_off_windows_are_cut_out_as_they_are() -> None:
    chosen = TrainingSettings(zooms=(1, 4), window=16, **PLAIN)
    edge = 2 * reach(chosen) + 2
    squares = tissue(3, 2, edge)
    # The middle of the window on the middle of the square, between pixels.
    places = np.full((3, 2, 2), (edge - 1) / 2)
    found, where = augmented(squares, places, chosen, SCALE, np.random.default_rng(0))
    first = edge // 2 - 8
    np.testing.assert_array_equal(found, squares[:, :, first : first + 16, first : first + 16])
    assert (where == 7.5).all()
