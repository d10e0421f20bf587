"""What changes of tissue, stain, light and camera do to tiles, and what they leave."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.color import hed2rgb

from napari_lungcls.errors import InputError
from napari_lungcls.learning.augmentation import augmented, check_changes, crop_edge, random_pose
from napari_lungcls.learning.augmentation_changes import (
    Light,
    StainChange,
    blurred,
    noisy,
    per_zoom,
    random_light,
    random_stain,
    recolour,
    restain,
)
from napari_lungcls.learning.examples import Crops
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.network.spec import Normalisation

PLAIN = {"rotation": "none", "flip": False, "colour": 0.0}
"""All that is on by default, off."""
CHANGES: dict[str, Any] = {
    "rotation": "any",
    "flip": True,
    "scale": 0.3,
    "elastic": 4.0,
    "brightness": 0.2,
    "contrast": 0.2,
    "colour": 0.2,
    "stain": 0.1,
    "blur": 2.0,
    "noise": 0.2,
}
STRENGTHS = st.floats(0, 1)
SEEDS = st.integers(0, 2**32 - 1)
STD = np.array([50, 60, 40], np.float32)
SCALE = Normalisation(mean=(180, 140, 170), std=(50, 60, 40))


def tissue(n: int, zooms: int, edge: int, seed: int = 0) -> NDArray[np.uint8]:
    """Make crops with the colours of H&E, smooth enough that every change shows."""
    rng = np.random.default_rng(seed)
    stains = np.zeros((n, zooms, edge, edge, 3))
    stains[..., :2] = 0.05 * rng.random((n, zooms, edge, edge, 2)) ** 2
    found: NDArray[np.uint8] = np.rint(255 * hed2rgb(stains)).astype(np.uint8)
    return found


def crops_of(pixels: NDArray[Any]) -> Crops:
    """Add one point in the middle of each crop."""
    n, zooms, edge = pixels.shape[:3]
    rows = np.arange(n)
    return Crops(pixels, rows, rows, np.full((n, zooms, 2), (edge - 1) / 2))


def tiles_of(seed: int, zooms: tuple[int, ...] = (1, 4), n: int = 3, **values: Any) -> Any:
    """Tiles of 16 pixels, with the changes given and no others."""
    chosen = TrainingSettings(zooms=zooms, tile=16, **(PLAIN | values))
    # The same pixels around the point, however wide the crops are.
    cut = (60 - crop_edge(chosen)) // 2
    pixels = tissue(n, len(zooms), 60)[:, :, cut : 60 - cut, cut : 60 - cut]
    tiles, rows = augmented(crops_of(pixels), chosen, SCALE, np.random.default_rng(seed))
    assert rows.tolist() == list(range(n))
    return tiles.pixels, tiles.places


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_is_a_switch_and_a_seed_repeats_it(name: str) -> None:
    plain, middle = tiles_of(1)
    changed, places = tiles_of(1, **{name: CHANGES[name]})
    assert changed.dtype == np.float32
    assert changed.shape == plain.shape
    assert not np.allclose(changed, plain, atol=0.5)
    # Everything turns about the middle, where the point is.
    np.testing.assert_allclose(places, middle, atol=0.6 if name == "elastic" else 1e-9)
    again, _ = tiles_of(1, **{name: CHANGES[name]})
    np.testing.assert_array_equal(again, changed)
    other, _ = tiles_of(3, **{name: CHANGES[name]})
    assert not np.array_equal(other, changed)
    # An 8-bit image holds no more than this.
    assert changed.min() >= 0
    assert changed.max() <= 255


@settings(max_examples=25)
@given(st.dictionaries(st.sampled_from(list(CHANGES)), st.booleans()), SEEDS)
def test_switching_changes_moves_no_other_random_number(on: dict[str, bool], seed: int) -> None:
    chosen = {name: CHANGES[name] for name, is_on in on.items() if is_on}
    values = TrainingSettings(zooms=(1, 4), tile=16, **(PLAIN | chosen))
    everything = TrainingSettings(zooms=(1, 4), tile=16, **CHANGES)
    few, all_of_them = (
        random_pose(s, 5, 2, np.random.default_rng(seed)) for s in (values, everything)
    )
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
        augmented(crops_of(tissue(2, 2, crop_edge(changes))), changes, SCALE, rng)
        after.append(rng.random())
    assert after[0] == after[1]


@settings(max_examples=30)
@given(st.floats(0.5, 8), st.integers(16, 48), SEEDS)
def test_bends_are_smooth_bounded_and_leave_the_point(most: float, size: int, seed: int) -> None:
    chosen = TrainingSettings(zooms=(1, 4), tile=size, elastic=most)
    pose = random_pose(chosen, 3, 2, np.random.default_rng(seed))
    assert pose.bend is not None
    assert pose.bend.shape == (3, 2, 2, size, size)
    assert np.hypot(pose.bend[:, :, 0], pose.bend[:, :, 1]).max() <= most + 1e-9
    assert np.abs(pose.bend).max() > 0.2 * most
    # Tissue is never folded over: neighbours along an axis keep their order, areas their sign.
    grid = np.stack(np.indices((size, size))) + pose.bend
    dy, dx = np.diff(grid, axis=-2)[..., :, :-1], np.diff(grid, axis=-1)[..., :-1, :]
    assert (dy[:, :, 0] * dx[:, :, 1] - dy[:, :, 1] * dx[:, :, 0] > 0).all()


def test_scales_are_uniform_on_a_log_axis() -> None:
    chosen = TrainingSettings(zooms=(1, 4), tile=16, scale=0.5)
    matrix = random_pose(chosen, 2000, 2, np.random.default_rng(0)).matrix
    logs = np.log(np.abs(np.linalg.det(matrix))) / 2 / np.log(1.5)
    assert np.abs(logs).max() <= 1
    assert np.histogram(logs, 4, (-1, 1))[0].min() > 400


@settings(max_examples=40)
@given(STRENGTHS, SEEDS)
def test_stain_changes_invert_and_stay_within_their_limits(strength: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    tiles = rng.integers(0, 256, (4, 2, 5, 6, 3)).astype(np.float32)
    stain = random_stain(strength, 4, rng)
    assert np.abs(stain.factor - 1).max() <= strength
    assert np.abs(stain.shift).max() <= strength
    mild = StainChange(np.maximum(stain.factor, 0.1), stain.shift)
    back = StainChange(1 / mild.factor, -mild.shift / mild.factor)
    changed = restain(tiles, mild)
    assert changed.min() > -1
    np.testing.assert_allclose(restain(changed, back), tiles, atol=0.05)


def test_more_of_a_stain_is_what_scikit_image_calls_more_of_it() -> None:
    amounts = np.random.default_rng(0).uniform(0.01, 0.04, (1, 1, 8, 8, 3))
    before = (256 * hed2rgb(amounts) - 1).astype(np.float32)
    more = StainChange(np.array([[1.5, 0.8, 1.0]]), np.zeros((1, 3)))
    after = 256 * hed2rgb(amounts * more.factor) - 1
    np.testing.assert_allclose(restain(before, more), after, atol=0.05)


@settings(max_examples=40)
@given(STRENGTHS, STRENGTHS, STRENGTHS, SEEDS)
def test_light_stretches_around_the_mean_and_shifts_all_zooms_alike(
    colour: float, contrast: float, brightness: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    chosen = TrainingSettings(colour=colour, contrast=contrast, brightness=brightness)
    tiles = rng.normal(100, 20, (5, 2, 8, 8, 3)).astype(np.float32)
    light = random_light(chosen, 5, rng)
    mean = tiles.mean((2, 3), keepdims=True)
    stretched = recolour(tiles, STD, Light(light.gain, np.zeros_like(light.shift)))
    np.testing.assert_allclose(stretched.mean((2, 3)), mean[:, :, 0, 0], atol=0.02, rtol=1e-4)
    np.testing.assert_allclose(
        stretched.std((2, 3)), tiles.std((2, 3)) * light.gain[:, None], rtol=1e-3
    )
    shifted = recolour(tiles, STD, Light(np.ones_like(light.gain), light.shift)) - tiles
    wanted = np.broadcast_to((light.shift * STD)[:, None, None, None], tiles.shape)
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
    tiles = np.random.default_rng(seed).uniform(0, 255, (2, 2, 20, 20, 3)).astype(np.float32)
    tiles[:, 1] = tiles[:, 0]
    width = per_zoom(np.array([sigma, 0]), (2, 4))
    assert width.tolist() == [[sigma, sigma / 2], [0, 0]]
    found = blurred(tiles, width)
    np.testing.assert_allclose(found.mean((2, 3)), tiles.mean((2, 3)), rtol=1e-4)
    np.testing.assert_array_equal(found[1], tiles[1])
    assert (found[0].std((1, 2)) <= tiles[0].std((1, 2)) + 1e-3).all()
    if sigma > 1:
        assert (found[0, 0].std((0, 1)) < found[0, 1].std((0, 1))).all()


def test_noise_has_the_strength_and_the_mean_it_should_have() -> None:
    tiles = np.full((2, 2, 60, 60, 3), 100, np.float32)
    strength = per_zoom(np.array([0.5, 0.1]), (1, 4))
    found = noisy(tiles, strength, STD, np.random.default_rng(0)) - tiles
    np.testing.assert_allclose(found.std((2, 3)), strength[..., None] * STD, rtol=0.08)
    assert np.abs(found.mean((2, 3)) / STD).max() < 0.05


@pytest.mark.parametrize(("dtype", "most"), [("uint16", 65535), ("float32", np.inf)])
def test_tiles_are_cut_off_only_where_the_type_of_the_image_ends(dtype: str, most: float) -> None:
    chosen = TrainingSettings(zooms=(1,), tile=16, brightness=1.0, noise=1.0)
    pixels = np.full((20, 1, 16, 16, 3), 60_000).astype(dtype)
    scale = Normalisation(mean=(9, 9, 9), std=(9000, 9000, 9000), dtype=dtype)
    found = augmented(crops_of(pixels), chosen, scale, np.random.default_rng(0))[0].pixels
    assert found.max() == 65535 if most == 65535 else found.max() > 65535


def test_stains_of_other_images_are_refused_before_anything_is_read() -> None:
    stained, plain = TrainingSettings(stain=0.05), TrainingSettings()
    check_changes(stained, "uint8", "a.tif", rgb=True)
    check_changes(plain, "uint16", "a.tif", rgb=False)
    for dtype, rgb, said in (("uint16", True, "uint16 RGB"), ("uint8", False, "without colours")):
        with pytest.raises(InputError, match=rf"^stain: .*a\.tif holds .*{said}.*use stain=0"):
            check_changes(stained, dtype, "a.tif", rgb=rgb)


def test_with_everything_off_tiles_are_cut_out_as_they_are() -> None:
    chosen = TrainingSettings(zooms=(1, 4), tile=16, **PLAIN)
    pixels = tissue(3, 2, 16)
    tiles, _ = augmented(crops_of(pixels), chosen, SCALE, np.random.default_rng(0))
    np.testing.assert_array_equal(tiles.pixels, pixels)
    assert (tiles.places == 7.5).all()
