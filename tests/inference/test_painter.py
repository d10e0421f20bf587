"""Painted logits against networks whose answer is known at every place."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from known_network import (
    CEILING,
    PLAIN,
    STRIDES,
    intensity_engine,
    make_document,
    make_spec,
    random_engine,
    read_off,
)
from napari_lungcls.images.pyramid import ZoomedPlane
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.inference.grid import MapGrid
from napari_lungcls.inference.map_data import Block
from napari_lungcls.inference.painter import Painter
from napari_lungcls.model import Model
from napari_lungcls.network.engines.host_painting import classes_and_probabilities
from napari_lungcls.network.state import Heads
from napari_lungcls.network.tiles import Tiles

ALL = (-1, 0, 1, 2, 3, 4)


def plain_level(image: NDArray[Any], zoom: int) -> NDArray[np.float64]:
    """Average blocks of zoom × zoom pixels, those at the ends as far as they go."""
    count = [-(-n // zoom) for n in image.shape[:2]]
    return np.array(
        [
            [
                image[i * zoom : (i + 1) * zoom, j * zoom : (j + 1) * zoom].mean((0, 1))
                for j in range(count[1])
            ]
            for i in range(count[0])
        ]
    )


def around(grid: MapGrid, block: Block) -> Any:
    """First and last positions of the group of blocks that a block belongs to."""
    return tuple((ends[0], ends[-1]) for ends in grid.positions(grid.group(block)))


def painted(engine: Any, stack: ImageStack, stride: int, **options: Any) -> NDArray[np.float32]:
    """Paint all logits of one plane block by block: `(classes, h, w)`."""
    zooms = options.pop("zooms", tuple(float(z) for z in engine.spec.zooms))
    grid = MapGrid.over(stack, stride, options.pop("region", None))
    painting = engine.painting()
    painting.tile = options.pop("tile", painting.tile)
    painter = Painter(painting, engine.spec, zooms, **options)
    found = np.full((engine.spec.classes, *grid.shape[-2:]), np.nan, np.float32)
    for block in grid.blocks():
        found[:, block.rows, block.columns] = painter.logits(
            stack.plane(block.index), *grid.positions(block), around(grid, block)
        )
    assert np.isfinite(found).all()
    return found


@pytest.mark.parametrize(
    ("stride", "tile"), [(1, 512), (2, 64), (3, 512), (4, 64), (8, 512), (64, 64)]
)
def test_a_ramp_is_painted_as_the_ramp_it_is(stride: int, tile: int) -> None:
    """Wherever no edge is near, exactly, whatever zoom, stage, stride and tile."""
    spec = make_spec(zooms=(1, 3), stages=ALL, tile=64, normalisation=PLAIN)
    heads = {
        (1, -1): 0.5,
        (1, 0): -0.25,
        (3, 0): 0.5,
        (1, 1): 0.5,
        (1, 2): -1.0,
        (1, 3): 0.25,
        (1, 4): 0.5,
        (3, 1): 1.0,
        (3, 2): -0.5,
    }
    engine = intensity_engine(spec, heads)
    height, width = 230, 260
    y, x = np.indices((height, width))
    truth = 20 + 0.5 * y + 0.55 * x
    assert truth.max() < CEILING
    found = painted(engine, ImageStack(truth.astype(np.float32)), stride, tile=tile)[0]
    centre = np.arange(max(found.shape)) * stride + (stride - 1) / 2
    wanted = sum(heads.values()) * (
        20 + 0.5 * centre[: found.shape[0], None] + 0.55 * centre[: found.shape[1]]
    )
    inner = tuple(
        (centre[:n] > 40) & (centre[:n] < size - 40)
        for n, size in zip(found.shape, (height, width), strict=True)
    )
    assert inner[0].sum() > 1
    np.testing.assert_allclose(found[np.ix_(*inner)], wanted[np.ix_(*inner)], atol=0.01)


def test_a_ramp_keeps_its_place_at_a_fractional_zoom() -> None:
    spec = make_spec(zooms=(2,), stages=(1, 3), normalisation=PLAIN)
    engine = intensity_engine(spec, {(2, 1): 0.5, (2, 3): 0.5})
    y, x = np.indices((300, 280))
    truth = (20 + 0.4 * y + 0.3 * x).astype(np.float32)
    for zoom in (0.6, 1.5, 3.3):
        found = painted(engine, ImageStack(truth), 4, zooms=(zoom,))[0]
        wanted = truth.reshape(75, 4, 70, 4).mean((1, 3))
        inner = (slice(20, -20), slice(20, -20))
        # Less than a tenth of a pixel: averages over parts of pixels see steps.
        np.testing.assert_allclose(found[inner], wanted[inner], atol=0.07)


def test_a_network_that_averages_is_painted_as_it_answers() -> None:
    """Its cells are those of a window around the point, wherever the point lies."""
    spec = make_spec(zooms=(1, 2), stages=(1, 2), pooling="mean", normalisation=PLAIN)
    engine = intensity_engine(spec, {(1, 1): 0.5, (1, 2): 0.25, (2, 1): 0.25})
    y, x = np.indices((200, 220))
    ramp = (20 + 0.5 * y + 0.4 * x).astype(np.float32)
    # A window of 32 has its first cell 15.5 pixels before the point, its last 12.5 (layer1)
    # or 8.5 (layer2) behind it: on average it looks 1.5 or 3.5 pixels back.
    back = 0.9 * (0.5 * 1.5 + 0.25 * 3.5 + 0.25 * 1.5 * 2)
    inner = (slice(60, -60), slice(60, -60))
    found = painted(engine, ImageStack(ramp), 1, tile=64)[0]
    np.testing.assert_allclose(found[inner], ramp[inner] - back, atol=0.01)
    # A bright spot is felt by all windows that hold it, and by no other.
    spot = np.zeros((200, 220), np.float32)
    spot[100:106, 100:106] = 200
    felt = np.argwhere(painted(engine, ImageStack(spot), 1)[0] > 0.01)
    assert felt.min() == pytest.approx(100 - 32, abs=8)
    assert felt.max() == pytest.approx(105 + 32, abs=8)
    # Tiles around points say the same.
    points = np.random.default_rng(0).integers(60, 140, (30, 2))
    pixels = np.stack([ramp[y - 15 : y + 17, x - 15 : x + 17] for y, x in points])
    levels = plain_level(ramp, 2)
    coarse = np.stack(
        [levels[y // 2 - 15 : y // 2 + 17, x // 2 - 15 : x // 2 + 17, None] for y, x in points]
    )
    both = np.stack([pixels[..., None], coarse], 1).repeat(3, -1).astype(np.float32)
    tiles = Tiles(both, np.arange(30), np.zeros((30, 2, 2)))
    at_points = found[tuple(points.T)]
    np.testing.assert_allclose(engine.logits(tiles)[:, 0], at_points, atol=0.9 * 1.0)


def brute_force(
    image: NDArray[np.float64],
    heads: dict[tuple[int, int], float],
    places: list[tuple[float, float]],
) -> list[float]:
    """What `intensity_engine` is defined to answer, place by place, borders included."""
    answers = np.zeros(len(places))
    pad = 128
    for (zoom, stage), weight in heads.items():
        level = plain_level(image, zoom)
        wide = np.pad(level, pad, mode="reflect")
        stride = STRIDES[stage]
        for n, (y, x) in enumerate(places):
            v, u = ((p + 0.5) / zoom - 0.5 for p in (y, x))
            i, j = int(np.floor(v / stride)), int(np.floor(u / stride))
            corners = np.empty((1, 2, 2))
            for a in (0, 1):
                for b in (0, 1):
                    r, c = (i + a) * stride + pad, (j + b) * stride + pad
                    nine = wide[r - 2 : r + 3 : 2, c - 2 : c + 3 : 2]
                    middle = (nine.max() + nine.min()) / 2
                    corners[0, a, b] = wide[r, c] if stage < 1 else middle
            answers[n] += weight * read_off(corners, v / stride - i, u / stride - j)[0]
    return answers.tolist()


@settings(max_examples=15)
@given(
    st.integers(0, 1000),
    st.integers(16, 70),
    st.integers(16, 70),
    st.sampled_from([1, 2, 3, 4, 8]),
    st.sampled_from([32, 512]),
)
def test_any_image_is_painted_as_defined_up_to_its_borders(
    seed: int, height: int, width: int, stride: int, tile: int
) -> None:
    rng = np.random.default_rng(seed)
    image = rng.uniform(0, CEILING, (height, width)).astype(np.float32)
    spec = make_spec(zooms=(1, 2), stages=(-1, 0, 1, 3), normalisation=PLAIN)
    heads = {(1, 1): 1.0, (1, 3): -0.5, (2, 1): 0.7, (2, 3): 0.3}
    heads |= {(1, -1): 0.6, (1, 0): -0.4, (2, 0): 0.5}
    found = painted(intensity_engine(spec, heads), ImageStack(image), stride, tile=tile)[0]
    cells = [(0, 0), (found.shape[0] - 1, found.shape[1] - 1)]
    cells += [tuple(rng.integers(0, found.shape)) for _ in range(12)]
    places = [tuple(i * stride + (stride - 1) / 2 for i in cell) for cell in cells]
    wanted = brute_force(image.astype(np.float64), heads, places)  # type: ignore[arg-type]
    np.testing.assert_allclose([found[cell] for cell in cells], wanted, atol=0.02)


@pytest.mark.parametrize("stride", [1, 4, 7])
def test_a_random_network_is_painted_as_one_huge_tile_says(stride: int) -> None:
    """Maps of the whole reflected image at once, interpolated one cell at a time."""
    spec = make_spec(zooms=(1, 3), stages=(-1, 0, 1, 2), hidden=6)
    engine = random_engine(spec, 3)
    image = np.random.default_rng(0).integers(0, 255, (90, 75, 3), np.uint8)
    found = painted(engine, ImageStack(image), stride, tile=64)
    margin = 128
    maps = {}
    for zoom in spec.zooms:
        level = np.rint(plain_level(image, zoom)).astype(np.uint8)
        wide = np.pad(level, [(margin, margin), (margin, margin), (0, 0)], mode="reflect")
        maps[zoom] = engine.head_maps(wide, zoom)
    rng = np.random.default_rng(1)
    heads = Heads.of(spec, engine.state())
    for _ in range(25):
        cell = tuple(rng.integers(0, found.shape[1:]))
        summed = heads.bias.astype(np.float64)
        for zoom in spec.zooms:
            y, x = ((i * stride + stride / 2) / zoom - 0.5 + margin for i in cell)
            for stage, values in maps[zoom].items():
                summed += read_off(values, y / STRIDES[stage], x / STRIDES[stage])
        logits = heads.logits(summed.astype(np.float32))
        # Rounding of averages at halves may differ by one grey level here and there.
        np.testing.assert_allclose(found[:, *cell], logits, atol=2e-3 * np.abs(found).max())


def test_neither_tiles_nor_blocks_show() -> None:
    engine = random_engine(make_spec(zooms=(1, 3), stages=(-1, 0, 1, 2), hidden=6), 3)
    stack = ImageStack(np.random.default_rng(0).integers(0, 255, (150, 400), np.uint8))
    whole = painted(engine, stack, 2)
    np.testing.assert_allclose(painted(engine, stack, 2, tile=32), whole, atol=1e-4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MapGrid, "block", 37)
        np.testing.assert_allclose(painted(engine, stack, 2), whole, atol=1e-4)


def test_a_region_is_the_same_part_of_the_whole() -> None:
    engine = random_engine(make_spec(zooms=(1, 3), stages=(-1, 0, 1, 2), hidden=6), 3)
    stack = ImageStack(np.random.default_rng(0).integers(0, 255, (150, 200), np.uint8))
    whole = painted(engine, stack, 4)
    part = painted(engine, stack, 4, region=(slice(40, 100), slice(80, 200)))
    np.testing.assert_allclose(part, whole[:, 10:25, 20:50], atol=1e-4)


def test_a_block_alone_is_the_block_among_others() -> None:
    spec = make_spec(zooms=(1, 3), stages=(-1, 0, 1, 2), hidden=6)
    stack = ImageStack(np.random.default_rng(0).integers(0, 255, (150, 200), np.uint8))
    grid = MapGrid.over(stack, 4)
    painter = Painter(random_engine(spec, 3).painting(), spec, (1.0, 3.0))
    part = Block((), slice(8, 20), slice(30, 41))
    (_, among), (_, alone) = (painter.block(grid, part, alone=flag) for flag in (False, True))
    assert among is not None
    assert alone is not None
    np.testing.assert_allclose(alone, among, atol=2e-3)


def test_temperature_divides() -> None:
    engine = random_engine(make_spec(), 3)
    stack = ImageStack(np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8))
    np.testing.assert_allclose(
        painted(engine, stack, 8, temperature=2.5), painted(engine, stack, 8) / 2.5, rtol=1e-5
    )


def test_a_pyramid_paints_what_the_finest_level_paints() -> None:
    engine = random_engine(make_spec(zooms=(4,), normalisation=PLAIN), 3)
    fine = np.random.default_rng(0).uniform(0, 2, (128, 160)).astype(np.float32)
    half = fine.reshape(64, 2, 80, 2).mean((1, 3))
    pyramid = ImageStack([fine, half, half.reshape(32, 2, 40, 2).mean((1, 3))], rgb=False)
    np.testing.assert_allclose(
        painted(engine, pyramid, 4), painted(engine, ImageStack(fine), 4), atol=1e-4
    )


@settings(max_examples=30)
@given(st.integers(0, 1000), st.integers(2, 6))
def test_classes_and_probabilities_are_a_softmax(seed: int, k: int) -> None:
    logits = np.random.default_rng(seed).normal(0, 5, (k, 4, 5)).astype(np.float32)
    classes, probabilities = classes_and_probabilities(logits)
    assert probabilities is not None
    assert (classes.dtype, probabilities.dtype) == (np.uint8, np.float16)
    np.testing.assert_array_equal(classes, logits.argmax(0) + 1)
    power = np.exp(logits.astype(np.float64))
    np.testing.assert_allclose(probabilities, power / power.sum(0), atol=1e-3)
    again, none = classes_and_probabilities(logits, probabilities=False)
    assert none is None
    np.testing.assert_array_equal(again, classes)


def test_huge_logits_do_not_overflow() -> None:
    logits = np.array([1e30, -1e30, 0], np.float32).reshape(3, 1, 1)
    classes, probabilities = classes_and_probabilities(logits)
    assert probabilities is not None
    assert classes.tolist() == [[1]]
    assert probabilities[:, 0, 0].tolist() == [1, 0, 0]


def test_254_classes_fit() -> None:
    logits = np.zeros((254, 1, 1), np.float32)
    logits[253] = 1
    assert classes_and_probabilities(logits)[0].tolist() == [[254]]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_cell_that_sees_no_number_is_not_painted(value: float) -> None:
    logits = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    plain, _ = classes_and_probabilities(logits)
    logits[1, 2, 3] = value
    classes, probabilities = classes_and_probabilities(logits)
    assert probabilities is not None
    assert np.argwhere(classes == 0).tolist() == [[2, 3]]
    assert (probabilities[:, 2, 3] == 0).all()
    np.testing.assert_array_equal(classes[classes > 0], plain[classes > 0])
    assert np.isfinite(probabilities).all()


def test_holes_in_an_image_leave_holes_of_the_backbone_s_sight_in_its_map() -> None:
    engine = random_engine(make_spec(stages=(-1, 0, 1), tile=16, hidden=6, normalisation=PLAIN), 3)
    image = np.random.default_rng(0).uniform(0, 2, (200, 200)).astype(np.float32)
    whole, _ = classes_and_probabilities(painted(engine, ImageStack(image), 4))
    image[100, 100] = np.nan
    grid = MapGrid.over(ImageStack(image), 4)
    (block,) = grid.blocks()
    classes, _ = Painter(engine.painting(), engine.spec, (1.0,)).block(grid, block)
    hole = np.argwhere(classes == 0)
    assert 1 < len(hole) < 15**2
    assert np.abs(hole * 4 + 1.5 - 100).max() < 32
    np.testing.assert_array_equal(classes[classes > 0], whole[classes > 0])


def test_coarse_zooms_are_averaged_while_the_finest_is_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = make_spec(zooms=(1, 4))
    readers: dict[float, set[str]] = {}
    read = ZoomedPlane.read

    def noted(self: ZoomedPlane, *place: int) -> Any:
        readers.setdefault(self.zoom, set()).add(threading.current_thread().name.split("_")[0])
        return read(self, *place)

    monkeypatch.setattr(ZoomedPlane, "read", noted)
    image = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    Model(make_document(spec), random_engine(spec, 3).state(), device="cpu").paint(
        ImageStack(image), 8
    )
    assert readers == {1.0: {threading.current_thread().name}, 4.0: {"lungcls-read"}}
