"""How far a cell sees, and whether it sees something."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from known_network import make_spec, random_engine
from napari_lungcls.images.geometry import STAGE_STRIDES
from napari_lungcls.network.engines.glass import GRAIN, Glass
from napari_lungcls.network.engines.protocol import HALO, ReadGrid
from napari_lungcls.network.engines.receptive_field import block_radius, sees_any, stage_radius


@given(st.integers(0, 1000), st.integers(1, 12), st.integers(1, 9), st.integers(0, 4))
def test_what_is_seen_is_what_a_loop_finds(seed: int, rows: int, columns: int, reach: int) -> None:
    there = np.random.default_rng(seed).random((rows, columns)) < 0.1
    down, across = (
        (np.maximum(at - reach, 0), np.minimum(at + reach + 1, n))
        for n in there.shape
        for at in [np.arange(n)]
    )
    found = sees_any(there, down, across)
    for i, j in np.ndindex(rows, columns):
        near = there[max(0, i - reach) : i + reach + 1, max(0, j - reach) : j + reach + 1]
        assert found[i, j] == near.any()


@given(
    st.integers(0, 95),
    st.integers(0, 127),
    st.integers(0, 70),
    st.sampled_from([(4, 1), (8, 1), (16, 1), (32, 1), (16, 16), (32, 32)]),
)
def test_a_cell_sees_the_grains_within_its_sight(
    y: int, x: int, sight: int, square: tuple[int, int]
) -> None:
    stride, edge = square
    other = np.zeros((96 // GRAIN, 128 // GRAIN), np.bool_)
    other[y // GRAIN, x // GRAIN] = True
    seen = Glass(np.zeros(3), other).seen(sight, stride, edge)
    assert seen.shape == (96 // stride, 128 // stride)
    pixels = other.repeat(GRAIN, 0).repeat(GRAIN, 1)
    for i, j in np.ndindex(*seen.shape):
        near = pixels[
            max(0, i * stride - sight) : i * stride + edge + sight,
            max(0, j * stride - sight) : j * stride + edge + sight,
        ]
        assert seen[i, j] == near.any()


@pytest.mark.parametrize("stage", [-1, 0, 1, 2])
def test_a_change_is_felt_as_far_as_the_radius_says(stage: int) -> None:
    painting = random_engine(
        make_spec(stages=(stage,) if stage > 0 else (stage, 1), tile=64), 3
    ).painting()
    radius = stage_radius(stage)
    assert radius == (block_radius(stage, 2) if stage > 0 else {-1: 2, 0: 3}[stage])
    # Cell (2, 2) of the tile, whose first cell lies behind a halo, is centred here.
    there = 2 * STAGE_STRIDES[stage]
    at = HALO + there
    noise, cells = np.random.default_rng(0).integers(0, 255, (192, 192, 3)), []
    for near in (None, radius, radius + 1):
        tile = np.full((192, 192, 3), 128, np.uint8)
        if near is not None:
            tile[:, at + near :] = noise[:, at + near :]
        out = painting.zeros((1, 1, 3))
        place = np.array([float(there)])
        fine = [ReadGrid(stage, place, place, out)] if stage < 1 else []
        maps = painting.head_maps(tile, 1, fine)
        cells.append(np.asarray(out[0, 0] if stage < 1 else maps[stage][2, 2]))
    assert np.abs(cells[1] - cells[0]).max() > 0
    np.testing.assert_allclose(cells[2], cells[0], atol=1e-6)
