"""Tiles made of crops: turned, scaled and bent, with every point where its tissue is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_lungcls.learning.augmentation import (
    Pose,
    augmented,
    crop_edge,
    drop_zooms,
    places_in_tiles,
    posed,
    random_pose,
    right_pose,
)
from napari_lungcls.learning.examples import Crops
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.network.spec import Normalisation

SIZE = 16
RNG = np.random.default_rng(0)
SEEDS = st.integers(0, 2**32 - 1)
PLAIN = {"rotation": "none", "flip": False, "colour": 0.0, "zoom_dropout": 0.0}
"""All that is on by default, off."""
FLOATS = Normalisation(mean=(0, 0, 0), std=(1, 1, 1), dtype="float32")
GEOMETRY = st.fixed_dictionaries(
    {
        "rotation": st.sampled_from(["any", "right", "none"]),
        "flip": st.booleans(),
        "scale": st.sampled_from([0, 0.2, 0.5]),
        "elastic": st.sampled_from([0, 1, 4, 8]),
        "tile": st.integers(16, 40),
    }
)


def squares(n: int = 1, edge: int = 16, zooms: int = 1) -> NDArray[np.float32]:
    return RNG.uniform(0, 255, (n, zooms, edge, edge, 3)).astype(np.float32)


def crops_of(pixels: Any, places: Any, owner: Any) -> Crops:
    return Crops(pixels, np.arange(len(owner)), np.array(owner, np.intp), places)


TURNS = [
    lambda w: w,
    lambda w: np.rot90(w, 1, (2, 3)),
    lambda w: np.rot90(w, 2, (2, 3)),
    lambda w: np.rot90(w, 3, (2, 3)),
]


@pytest.mark.parametrize("size", [16, 17])
@pytest.mark.parametrize("wider", [0, 4])
def test_right_angles_and_flips_are_numpy_s_to_the_pixel(size: int, wider: int) -> None:
    crop = squares(2, size + wider, 2)
    middle = crop[:, :, wider // 2 : size + wider // 2, wider // 2 : size + wider // 2]
    found = [posed(crop, right_pose(number, 2), size) for number in range(8)]
    wanted = [turn(w) for w in (middle, middle[:, :, ::-1]) for turn in TURNS]
    # All eight, each once, in whatever order.
    which = [[np.array_equal(f, w) for w in wanted] for f in found]
    assert np.array(which).sum(0).tolist() == np.array(which).sum(1).tolist() == [1] * 8


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_types_become_float32_in_the_same_intensities(dtype: str) -> None:
    crop = RNG.integers(0, 255, (2, 1, 20, 20, 3)).astype(dtype)
    found = posed(crop, right_pose(0, 2), SIZE)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, crop[:, :, 2:18, 2:18].astype(np.float32))


@pytest.mark.parametrize("rotation", ["any", "right", "none"])
@pytest.mark.parametrize("flip", [True, False])
def test_poses_are_turns_and_flips(rotation: Any, flip: bool) -> None:
    chosen = TrainingSettings(rotation=rotation, flip=flip, tile=32)
    pose = random_pose(chosen, 400, 3, np.random.default_rng(1))
    # One matrix for each tile: all its zooms are turned alike.
    assert pose.matrix.shape == (400, 2, 2)
    np.testing.assert_allclose(
        pose.matrix @ pose.matrix.swapaxes(-1, -2), np.broadcast_to(np.eye(2), (400, 2, 2)),
        atol=1e-12,
    )  # fmt: skip
    assert set(np.rint(np.linalg.det(pose.matrix))) == ({-1, 1} if flip else {1})
    angle = np.rad2deg(np.arctan2(pose.matrix[:, 1, 0], pose.matrix[:, 0, 0])) % 360
    if rotation == "any":
        assert np.histogram(angle, 8, (0, 360))[0].min() > 20
    else:
        wanted = {0, 90, 180, 270} if rotation == "right" else {0}
        assert {round(a) % 360 for a in angle} == wanted
    assert pose.exact == (rotation != "any")


@settings(max_examples=40)
@given(GEOMETRY, st.integers(1, 2), SEEDS)
def test_every_point_in_a_tile_is_found_at_its_place(values: Any, zooms: int, seed: int) -> None:
    chosen = TrainingSettings(zooms=(1, 2)[:zooms], **(PLAIN | values))
    rng = np.random.default_rng(seed)
    edge, n, m = crop_edge(chosen), 2, 30
    # Each pixel holds where it is, which bilinear sampling keeps, and which crop it is of.
    y, x = np.indices((edge, edge))
    pixels = np.broadcast_to(np.stack([y, x, 0 * y], -1), (n, zooms, edge, edge, 3)).copy()
    pixels[..., 2] = np.arange(n)[:, np.newaxis, np.newaxis, np.newaxis]
    owner = rng.integers(0, n, m)
    places = rng.uniform(0, edge - 1, (m, zooms, 2))
    if zooms == 2:  # the same middle at both zooms, as tissue has
        places[:, 1] = (places[:, 0] - (edge - 1) / 2) / 2 + (edge - 1) / 2
    crops = crops_of(pixels.astype(np.float32), places, owner)
    tiles, rows = augmented(crops, chosen, FLOATS, rng)
    size = chosen.tile
    assert tiles.pixels.shape == (n, zooms, size, size, 3)
    np.testing.assert_array_equal(tiles.owner, owner[rows])
    np.testing.assert_array_equal(rows, np.sort(rows))
    for row, own, place in zip(rows, tiles.owner, tiles.places, strict=True):
        for k in range(zooms):
            at = np.clip(place[k], 0, size - 1)
            if not np.array_equal(at, place[k]):
                continue  # in the outer half of a pixel at the edge
            first = np.minimum(at.astype(int), size - 2)
            (fy, fx), (i, j) = at - first, first
            four = tiles.pixels[own, k, i : i + 2, j : j + 2].reshape(-1, 3)
            seen = np.outer([1 - fy, fy], [1 - fx, fx]).reshape(-1) @ four
            assert seen[2] == pytest.approx(own)
            # Exact without a bend; see below for how well a bend is inverted.
            error = np.abs(seen[:2] - places[row, k]).max()
            assert error <= (1e-3 if not chosen.elastic else 1.0)
    # None is left out: what was is near no pixel of its tile.
    for row in np.setdiff1d(np.arange(m), rows) if not chosen.elastic else ():
        seen = tiles.pixels[owner[row], 0, ..., :2].reshape(-1, 2)
        assert np.hypot(*(seen - places[row, 0]).T).min() > 0.3


def test_in_tiles_as_large_as_usual_a_bend_is_inverted_to_a_fraction_of_a_pixel() -> None:
    chosen = TrainingSettings(tile=128, rotation="any", elastic=8.0)
    edge, rng = crop_edge(chosen), np.random.default_rng(0)
    pose = random_pose(chosen, 2, 1, rng)
    y, x = np.indices((edge, edge), dtype=np.float32)
    pixels = np.broadcast_to(np.stack([y, x, 0 * y], -1), (2, 1, edge, edge, 3))
    places = rng.uniform(50, edge - 51, (60, 1, 2))
    owner = np.arange(60) % 2
    found = places_in_tiles(crops_of(pixels, places, owner), pose, 128)[:, 0]
    tiles = posed(pixels, pose, 128)[:, 0, ..., :2]
    i, j = np.rint(found).astype(int).T
    # As far from the pixel next to it as that pixel's tissue is, but for what is scaled there.
    moved = np.einsum("mij,mj->mi", pose.matrix[owner], found - np.column_stack([i, j]))
    assert np.abs(tiles[owner, i, j] + moved - places[:, 0]).max() < 0.35
    straight = Pose(pose.matrix, exact=False)
    unbent = places_in_tiles(crops_of(pixels, places, owner), straight, 128)[:, 0]
    assert np.abs(unbent - found).max() > 3


@settings(max_examples=40)
@given(GEOMETRY, SEEDS)
def test_crops_are_wide_enough_for_every_pose(values: Any, seed: int) -> None:
    chosen = TrainingSettings(zooms=(1,), **values)
    edge = crop_edge(chosen)
    # Around the crop as training cuts it lies what no tile may see.
    wide = np.full((1, 1, edge + 4, edge + 4, 3), np.nan, np.float32)
    wide[:, :, 2:-2, 2:-2] = 1
    for pose in extremes(chosen):
        assert (posed(wide, pose, chosen.tile) == 1).all()
    pose = random_pose(chosen, 30, 1, np.random.default_rng(seed))
    assert (posed(np.repeat(wide, 30, 0), pose, chosen.tile) == 1).all()


@pytest.mark.parametrize(
    "values",
    [{"rotation": "right"}, {"rotation": "any"}, {"scale": 0.3}, {"elastic": 8.0},
     {"rotation": "any", "scale": 0.3, "elastic": 8.0}],
)  # fmt: skip
def test_crops_are_no_wider_than_the_widest_pose_needs(values: dict[str, Any]) -> None:
    # Else the test above could not fail: a few pixels less would be too little.
    chosen = TrainingSettings(zooms=(1,), tile=32, **values)
    edge = crop_edge(chosen)
    off = np.abs(np.indices((edge, edge)) - (edge - 1) / 2).max(0)
    crop = np.repeat(off.astype(np.float32)[np.newaxis, np.newaxis, ..., np.newaxis], 3, -1)
    seen = max(posed(crop, pose, 32).max() for pose in extremes(chosen))
    assert (edge - 1) / 2 - 2.5 < seen <= (edge - 1) / 2


def extremes(chosen: TrainingSettings) -> Iterator[Pose]:
    """Yield the poses that look farthest: all bent away from the middle."""
    size = chosen.tile
    assert size is not None
    away = np.sign(np.stack(np.indices((size, size))) - (size - 1) / 2)
    for degrees in (0, 45, 90, 135, 225, 315) if chosen.rotation == "any" else (0,):
        # A bend is at most `elastic` long: diagonal where the tile is, else along axes.
        longest = chosen.elastic * (np.sqrt(0.5) if degrees % 90 else 1.0)
        c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        turn = (1 + chosen.scale) * np.array([[c, -s], [s, c]])
        bend = (longest * away)[np.newaxis, np.newaxis] if chosen.elastic else None
        yield Pose(turn[np.newaxis], bend, crop_edge(chosen) == size)


def test_a_turn_by_any_angle_keeps_a_ramp_a_ramp() -> None:
    edge, size = 60, 16
    y, x = np.indices((edge, edge), dtype=np.float32)
    crop = np.stack([y, x, 2 * y - x + 200], -1)[np.newaxis, np.newaxis]
    c, s = np.cos(0.7), np.sin(0.7)
    matrix = np.array([[c, s], [s, -c]])
    found = posed(crop, Pose(matrix[np.newaxis], exact=False), size)[0, 0]
    steps = np.stack(np.indices((size, size)), -1) - (size - 1) / 2
    wanted = (edge - 1) / 2 + steps @ matrix.T
    np.testing.assert_allclose(found[..., :2], wanted, atol=1e-4)
    np.testing.assert_allclose(found[..., 2], 2 * wanted[..., 0] - wanted[..., 1] + 200, atol=1e-3)


def test_places_are_those_of_the_crop_until_it_is_turned() -> None:
    places = RNG.uniform(2, 17, (9, 2, 2))
    crops = crops_of(squares(3, 20, 2), places, np.arange(9) // 3)
    np.testing.assert_allclose(places_in_tiles(crops, right_pose(0, 3), SIZE), places - 2)


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


def test_zooms_are_dropped_tile_by_tile() -> None:
    chosen = TrainingSettings(zooms=(1, 2), tile=16, zoom_dropout=0.5)
    crops = crops_of(squares(8, 16, 2), np.full((24, 2, 2), 7.5), np.arange(24) // 3)
    tiles, _ = augmented(crops, chosen, FLOATS, np.random.default_rng(0))
    assert tiles.factors is not None
    by_tile = tiles.factors.reshape(8, 3, 2)
    assert (by_tile == by_tile[:, :1]).all()
    assert len(np.unique(by_tile, axis=0)) > 1
    whole = augmented(crops, chosen.model_copy(update={"zoom_dropout": 0.0}), FLOATS, RNG)[0]
    assert whole.factors is None
