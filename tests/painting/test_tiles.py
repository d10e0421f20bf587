"""The trunk over a region, tile by tile: the same cells as over all of it at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from known_network import STRIDES, make_spec, random_engine, read_off
from napari_lungcls.imaging.levels import Level
from napari_lungcls.imaging.stack import ImageStack
from napari_lungcls.network.engines.painting import HALO, HostPainting
from napari_lungcls.painting.tiles import GRID, Cells, region_cells

IMAGE = np.random.default_rng(0).integers(0, 255, (230, 210, 3), np.uint8)
# Two stages see 50 level pixels far, less than the halo: tiles are exact.
EXACT = random_engine(make_spec(zooms=(1, 3)))
DEEP = random_engine(make_spec(stages=(1, 2, 3, 4), window=64))


def at(cells: Cells, y: Any, x: Any) -> Any:
    """Read off cells, as every engine does it."""
    hosts, torches = (
        painting.read_off(values, *cells.weights(y, x))
        for painting, values in (
            (HostPainting(EXACT), cells.values),
            (EXACT.painting(), torch.from_numpy(cells.values)),
        )
    )
    np.testing.assert_allclose(torches, hosts, atol=1e-5)
    return hosts


def cells_at(engine: Any, zoom: float, y: Any, x: Any, tile: int) -> dict[int, Cells]:
    level = Level(ImageStack(IMAGE).plane(), zoom)
    name = 1 if zoom == 1 else 3
    painting = engine.painting()
    painting.tile = tile
    found = list(region_cells(painting, engine.spec, level.read, name, y, x))
    assert [cells.stride for cells in found] == [4 * 2 ** (s - 1) for s in engine.spec.stages]
    return {cells.stride: cells for cells in found}


def whole(engine: Any, zoom: float) -> dict[int, Cells]:
    """The level and far around it in a single tile, cut where nothing is felt of its edges."""
    margin = 256
    level = Level(ImageStack(IMAGE).plane(), zoom)
    height, width = level.shape
    pixels = level.read(-margin, -margin, height + 2 * margin, width + 2 * margin)
    maps = engine.class_maps(pixels, 1 if zoom == 1 else 3)
    return {
        4 * 2 ** (stage - 1): Cells(values, -margin, -margin, 4 * 2 ** (stage - 1))
        for stage, values in maps.items()
    }


@pytest.mark.parametrize("zoom", [1, 3, 2.6])
@pytest.mark.parametrize("tile", [32, 96, 512])
def test_tiles_are_seamless(zoom: float, tile: int) -> None:
    height, width = Level(ImageStack(IMAGE).plane(), zoom).shape
    reference = whole(EXACT, zoom)
    for stride, cells in cells_at(EXACT, zoom, (-0.5, height), (-0.5, width), tile).items():
        rows, columns = cells.values.shape[1:]
        i, j = ((start + 256) // stride for start in (cells.top, cells.left))
        wanted = reference[stride].values[:, i : i + rows, j : j + columns]
        np.testing.assert_allclose(cells.values, wanted, atol=1e-4)


def test_where_the_trunk_sees_farther_than_the_halo_tiles_differ_little() -> None:
    reference = whole(DEEP, 1)
    tiled = cells_at(DEEP, 1, (0, 229), (0, 209), 64)
    for stride, cells in tiled.items():
        rows, columns = cells.values.shape[1:]
        i, j = ((start + 256) // stride for start in (cells.top, cells.left))
        wanted = reference[stride].values[:, i : i + rows, j : j + columns]
        alike = np.corrcoef(cells.values.ravel(), wanted.ravel())[0, 1]
        assert alike > {4: 1 - 1e-6, 8: 1 - 1e-6, 16: 0.999, 32: 0.85}[stride]


@settings(max_examples=25)
@given(st.data())
def test_a_region_reaches_past_what_is_asked_for(data: st.DataObject) -> None:
    class Blank:
        """Answers at once."""

        spec = EXACT.spec

        def painting(self) -> Any:
            return HostPainting(self)

        def bias(self) -> Any:
            return np.zeros(3, np.float32)

        def class_maps(self, tile: Any, zoom: int) -> dict[int, Any]:
            return {
                s: np.zeros((3, *(-(-n // STRIDES[s]) for n in tile.shape[:2]))) for s in (1, 2)
            }

    spans = []
    for _ in range(2):
        first = data.draw(st.floats(-40, 200))
        spans.append((first, first + data.draw(st.floats(0, 60))))
    y, x = spans
    for stride, cells in cells_at(Blank(), 1, y, x, 32).items():
        for axis, start, (first, last) in ((1, cells.top, y), (2, cells.left, x)):
            end = start + stride * (cells.values.shape[axis] - 1)
            assert start <= first
            assert last <= end
            assert start % GRID == end % GRID == 0
            # Nothing is computed for its own sake.
            assert first - start <= GRID
            assert end - last <= 2 * GRID


@settings(max_examples=20)
@given(st.integers(-64, 64), st.integers(-64, 64), st.sampled_from([4, 8, 32]), st.data())
def test_cells_are_interpolated_between_their_centres(
    top: int, left: int, stride: int, data: st.DataObject
) -> None:
    values = np.random.default_rng(0).normal(size=(3, 6, 7)).astype(np.float32)
    cells = Cells(values, top, left, stride)
    y = np.array(data.draw(st.lists(st.floats(0, 5 * stride), min_size=1, max_size=4))) + top
    x = np.array(data.draw(st.lists(st.floats(0, 6 * stride), min_size=1, max_size=4))) + left
    found = at(cells, y, x)
    assert found.dtype == np.float32
    for i, row in enumerate(y):
        for j, column in enumerate(x):
            wanted = read_off(values, (row - top) / stride, (column - left) / stride)
            np.testing.assert_allclose(found[:, i, j], wanted, atol=1e-5)


def test_a_cell_that_is_no_number_spoils_its_neighbourhood_only() -> None:
    values = np.random.default_rng(0).normal(size=(2, 5, 6)).astype(np.float32)
    y, x = np.arange(0, 16.5, 0.5), np.arange(0, 20.5, 0.5)
    wanted = at(Cells(values, 0, 0, 4), y, x)
    broken = values.copy()
    broken[1, 2, 3] = np.nan
    found = at(Cells(broken, 0, 0, 4), y, x)
    # Between the centres of the cells beside it, 4 positions away, it takes part.
    hole = (np.abs(y - 8) < 4)[:, None] & (np.abs(x - 12) < 4)
    assert np.isnan(found[:, hole]).all()
    np.testing.assert_array_equal(found[:, ~hole], wanted[:, ~hole])


def test_the_halo_holds_whole_cells_of_every_stage() -> None:
    assert HALO % GRID == 0
