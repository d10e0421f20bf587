"""The network over a region, tile by tile: the same cells as over all of it at once."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from known_network import STRIDES, make_spec, random_engine, read_off
from napari_lungcls.images.pyramid import ZoomedPlane
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.inference.tiles import GRID, StageCells, region_cells
from napari_lungcls.network.engines.host_painting import HostPainting
from napari_lungcls.network.engines.interpolation import Taps
from napari_lungcls.network.engines.protocol import HALO

IMAGE = np.random.default_rng(0).integers(0, 255, (230, 210, 3), np.uint8)
# Two layers see 50 zoomed pixels far, less than the halo: tiles are exact.
EXACT = random_engine(make_spec(zooms=(1, 3), stages=(-1, 0, 1, 2), hidden=5))
DEEP = random_engine(make_spec(stages=(1, 2, 3, 4), tile=64))
PLAIN = random_engine(make_spec(classes=3, hidden=0))


def at(cells: StageCells, y: Any, x: Any) -> Any:
    """Read off cells, as every engine does it: `(summed, y, x)`."""
    term = cells.term(np.asarray(y, float), np.asarray(x, float), None)
    found = []
    for painting in (HostPainting(PLAIN), PLAIN.painting()):
        values = cells.values
        if not isinstance(painting, HostPainting):
            values = torch.from_numpy(values)
        read = type(term)(values, term.rows, term.columns)
        bias = PLAIN.state()["heads.bias"].reshape(-1, 1, 1)
        found.append(painting.to_numpy(painting.logits([read])) - bias)
    np.testing.assert_allclose(found[1], found[0], atol=1e-5)
    return found[0]


def cells_at(
    engine: Any, zoom: float, y: Any, x: Any, tile: int, painting: Any = None
) -> dict[int, StageCells]:
    level = ZoomedPlane(ImageStack(IMAGE).plane(), zoom)
    name = 1 if zoom == 1 else 3
    painting = painting or engine.painting()
    painting.tile = tile
    found, _ = region_cells(painting, engine.spec, level.read, name, (y, x))
    stages = [stage for each, stage in engine.spec.reads if each == name]
    assert sorted(cells.stride for cells in found) == [STRIDES[s] for s in stages]
    return {cells.stride: cells for cells in found}


@functools.cache
def whole(engine: Any, zoom: float) -> dict[int, StageCells]:
    """The level and far around it in a single tile, cut where nothing is felt of its edges."""
    margin = 160
    level = ZoomedPlane(ImageStack(IMAGE).plane(), zoom)
    height, width = level.shape
    pixels = level.read(-margin, -margin, height + 2 * margin, width + 2 * margin)
    maps = engine.head_maps(pixels, 1 if zoom == 1 else 3)
    return {
        STRIDES[stage]: StageCells(np.moveaxis(values, 0, -1), -margin, -margin, STRIDES[stage])
        for stage, values in maps.items()
    }


def cut(reference: StageCells, like: StageCells) -> NDArray[np.float32]:
    i, j = (
        (start - first) // like.stride
        for start, first in ((like.top, reference.top), (like.left, reference.left))
    )
    rows, columns = like.values.shape[:2]
    return np.asarray(reference.values[i : i + rows, j : j + columns])


@pytest.mark.parametrize("zoom", [1, 3, 2.6])
@pytest.mark.parametrize(("tile", "host"), [(32, False), (96, False), (512, False), (96, True)])
def test_tiles_are_seamless(zoom: float, tile: int, host: bool) -> None:
    height, width = ZoomedPlane(ImageStack(IMAGE).plane(), zoom).shape
    reference = whole(EXACT, zoom)
    painting = HostPainting(EXACT) if host else EXACT.painting()
    found = cells_at(EXACT, zoom, (-0.5, height), (-0.5, width), tile, painting)
    for stride, cells in found.items():
        wanted = cut(reference[stride], cells)
        np.testing.assert_allclose(cells.values, wanted, atol=1e-4)


@pytest.mark.parametrize(("tile", "host"), [(96, False), (512, False), (96, True)])
@pytest.mark.parametrize("step", [0.7, 1, 2.5, 4, 23])
def test_all_stages_are_read_between_their_cells(step: float, tile: int, host: bool) -> None:
    """At positions of any spacing, wherever tiles meet, and at several grids at once."""
    level = ZoomedPlane(ImageStack(IMAGE).plane(), 1)
    height, width = level.shape
    reference = whole(EXACT, 1)
    y = np.arange(-0.5 + step / 2, height, step)
    x = np.arange(-0.5 + step / 3, width, step)
    lattices = [(y, x), (np.array([100.0]), np.array([31.0, 32.0, 64.25]))]
    painting = HostPainting(EXACT) if host else EXACT.painting()
    painting.tile = tile
    span = ((y[0], y[-1]), (x[0], x[-1]))
    _, sums = region_cells(painting, EXACT.spec, level.read, 1, span, lattices)
    rng = np.random.default_rng(0)
    for (rows, columns), found in zip(lattices, sums, strict=True):
        assert found.shape == (len(rows), len(columns), 5)
        for _ in range(40):
            i, j = rng.integers(len(rows)), rng.integers(len(columns))
            wanted = sum(
                read_off(
                    np.moveaxis(cells.values, -1, 0),
                    (rows[i] - cells.top) / cells.stride,
                    (columns[j] - cells.left) / cells.stride,
                )
                for stage in EXACT.spec.stages
                for cells in [reference[STRIDES[stage]]]
            )
            np.testing.assert_allclose(np.asarray(found[i, j]), wanted, atol=1e-4)


def test_where_the_backbone_sees_farther_than_the_halo_tiles_differ_little() -> None:
    reference = whole(DEEP, 1)
    tiled = cells_at(DEEP, 1, (0, 229), (0, 209), 64)
    for stride, cells in tiled.items():
        wanted = cut(reference[stride], cells)
        alike = np.corrcoef(np.asarray(cells.values).ravel(), wanted.ravel())[0, 1]
        assert alike > {4: 1 - 1e-6, 8: 1 - 1e-6, 16: 0.999, 32: 0.85}[stride]


@settings(max_examples=25)
@given(st.data())
def test_a_region_reaches_past_what_is_asked_for(data: st.DataObject) -> None:
    class Blank:
        """Answers at once."""

        spec = make_spec(zooms=(1, 3))
        state = random_engine(spec).state

        def painting(self) -> Any:
            return HostPainting(self)  # type: ignore[arg-type]

        def head_maps(self, tile: Any, zoom: int) -> dict[int, Any]:
            return {
                s: np.zeros((3, *(-(-n // STRIDES[s]) for n in tile.shape[:2])), np.float32)
                for s in (1, 2)
            }

    spans = []
    for _ in range(2):
        first = data.draw(st.floats(-40, 200))
        spans.append((first, first + data.draw(st.floats(0, 60))))
    y, x = spans
    for stride, cells in cells_at(Blank(), 1, y, x, 32).items():
        for axis, start, (first, last) in ((0, cells.top, y), (1, cells.left, x)):
            end = start + stride * (cells.values.shape[axis] - 1)
            assert start <= first
            assert last < end
            assert start % GRID == end % GRID == 0
            # Nothing is computed for its own sake.
            assert first - start <= GRID
            assert end - last <= 2 * GRID


@settings(max_examples=40)
@given(st.lists(st.floats(-3, 12), min_size=1, max_size=9), st.integers(1, 8))
def test_taps_are_linear_interpolation_that_is_held_at_the_ends(
    where: list[float], count: int
) -> None:
    values = np.random.default_rng(count).normal(size=count)
    taps = Taps.of(where, count)
    found = values[taps.first] * (1 - taps.share) + values[taps.second] * taps.share
    np.testing.assert_allclose(found, np.interp(where, np.arange(count), values), atol=1e-5)
    assert ((taps.share >= 0) & (taps.share <= 1)).all()


@settings(max_examples=20)
@given(st.integers(-64, 64), st.integers(-64, 64), st.sampled_from([4, 8, 32]), st.data())
def test_cells_are_interpolated_between_their_centres(
    top: int, left: int, stride: int, data: st.DataObject
) -> None:
    values = np.random.default_rng(0).normal(size=(6, 7, 3)).astype(np.float32)
    cells = StageCells(values, top, left, stride)
    y = np.array(data.draw(st.lists(st.floats(0, 5 * stride), min_size=1, max_size=4))) + top
    x = np.array(data.draw(st.lists(st.floats(0, 6 * stride), min_size=1, max_size=4))) + left
    found = at(cells, y, x)
    assert found.dtype == np.float32
    planes = np.moveaxis(values, -1, 0)
    for i, row in enumerate(y):
        for j, column in enumerate(x):
            wanted = read_off(planes, (row - top) / stride, (column - left) / stride)
            np.testing.assert_allclose(found[:, i, j], wanted, atol=1e-5)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_cell_that_is_no_number_spoils_its_neighbourhood_only(value: float) -> None:
    values = np.random.default_rng(0).normal(size=(5, 6, 3)).astype(np.float32)
    y, x = np.arange(0, 16.5, 0.5), np.arange(0, 20.5, 0.5)
    wanted = at(StageCells(values, 0, 0, 4), y, x)
    broken = values.copy()
    broken[2, 3, 1] = value
    found = at(StageCells(broken, 0, 0, 4), y, x)
    # Between the centres of the cells beside it, 4 positions away, it takes part.
    hole = (np.abs(y - 8) < 4)[:, None] & (np.abs(x - 12) < 4)
    assert np.isnan(found[:, hole]).all()
    np.testing.assert_array_equal(found[:, ~hole], wanted[:, ~hole])


def test_the_halo_holds_whole_cells_of_every_stage() -> None:
    assert HALO % GRID == 0
