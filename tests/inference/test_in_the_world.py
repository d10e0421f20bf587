"""Painted maps: everything in its place in the world."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from known_maps import SLOPE, THRESHOLD, brightness, paint
from known_network import PLAIN, make_spec, random_engine
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.inference.grid import MapGrid
from napari_lungcls.inference.painted import PaintedMap
from napari_lungcls.inference.painter import Painter


def logit(painted: PaintedMap) -> NDArray[np.float64]:
    """Get the first logit back out of the probabilities, where they leave it."""
    probabilities = painted.probabilities.astype(np.float64)
    probabilities = np.where(
        (probabilities[0] > 0.02) & (probabilities[0] < 0.98), probabilities, np.nan
    )
    result: NDArray[np.float64] = np.log(probabilities[0] / probabilities[1])
    return result


def world(painted: PaintedMap) -> list[NDArray[np.float64]]:
    """World positions of all cells, per axis, as napari lays them out."""
    return [
        translate + scale * index
        for translate, scale, index in zip(
            painted.translate, painted.scale, np.indices(painted.classes.shape), strict=True
        )
    ]


@settings(max_examples=12)
@given(
    st.sampled_from([1, 2, 3, 4, 8]),
    st.floats(0, 2 * np.pi),
    st.tuples(st.floats(0.1, 3), st.floats(0.1, 3)),
    st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
    st.booleans(),
)
def test_an_edge_is_painted_where_it_is_in_the_world(
    stride: int, angle: float, scale: Any, translate: Any, part: bool
) -> None:
    """A slanting edge through a sub-pixel position, at any stride, scale and translation."""
    height, width = 130, 150
    through = np.array([61.3, 77.8])
    normal = np.array([np.sin(angle), np.cos(angle)])
    y, x = np.indices((height, width))
    away = (y - through[0]) * normal[0] + (x - through[1]) * normal[1]
    stack = ImageStack(
        (THRESHOLD + 1.2 * away).astype(np.float32), scale=scale, translate=translate
    )
    region = (slice(21, 115), slice(30, 141)) if part else None
    painted = paint(stack, stride=stride, region=region)
    # Back from the world to pixels, then to the distance from the edge.
    pixel = [(w - t) / s for w, t, s in zip(world(painted), translate, scale, strict=True)]
    distance = (pixel[0] - through[0]) * normal[0] + (pixel[1] - through[1]) * normal[1]
    found = logit(painted) / (1.2 * SLOPE)
    inner = (pixel[0] > 25) & (pixel[0] < 105) & (pixel[1] > 25) & (pixel[1] < 125)
    inner &= np.isfinite(found) & (np.abs(distance) < 20)
    assert inner.sum() > 5
    # float16 probabilities leave a hundredth of a pixel or so.
    np.testing.assert_allclose(found[inner], distance[inner], atol=0.1)
    assert abs(np.mean(found[inner] - distance[inner])) < 0.02
    near = inner & (np.abs(distance) > 0.1)
    np.testing.assert_array_equal(painted.classes[near], np.where(distance[near] > 0, 1, 2))


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
@pytest.mark.parametrize("grey", [True, False])
def test_a_blob_has_its_centre_where_it_is_in_the_world(stride: int, grey: bool) -> None:
    centre = np.array([83.37, 71.81])
    y, x = np.indices((160, 150))
    blob = np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / (2 * 14**2))
    image = (60 + 180 * blob).astype(np.float32)
    if not grey:
        image = np.stack([image] * 3, -1)
    stack = ImageStack(image, scale=(0.46, 0.46), translate=(-12.5, 1000), unit="micrometer")
    painted = paint(stack, brightness((1, 1)), stride)
    weight = painted.probabilities[0].astype(np.float64)
    weight = np.clip(weight - weight.min() - 0.02, 0, None)
    found = [(weight * axis).sum() / weight.sum() for axis in world(painted)]
    wanted = np.array([-12.5, 1000]) + 0.46 * centre
    # In micrometres: a twentieth of a pixel, at every stride.
    np.testing.assert_allclose(found, wanted, atol=0.46 * 0.05)
    area = (painted.classes == 1).sum() * np.prod(painted.scale)
    radius = np.sqrt(2 * 14**2 * np.log(180 / (THRESHOLD - 60))) * 0.46
    assert area == pytest.approx(np.pi * radius**2, rel=0.06)


def test_planes_of_a_stack_are_painted_each_for_itself() -> None:
    rng = np.random.default_rng(0)
    levels = rng.permutation(np.linspace(60, 240, 6)).reshape(2, 3)
    image = np.broadcast_to(levels[..., None, None], (2, 3, 40, 50)).astype(np.float32)
    stack = ImageStack(image, scale=(1, 2, 0.5, 0.5), translate=(0, 7, 0, 0))
    painted = paint(stack, stride=8)
    assert painted.classes.shape == (2, 3, 5, 7)
    wanted = np.where(levels > THRESHOLD, 1, 2)
    assert (painted.classes == wanted[..., None, None]).all()
    part = paint(stack, stride=8, planes=slice(1, 3))
    np.testing.assert_array_equal(part.classes, painted.classes[:, 1:])
    assert part.translate[:2] == (0, 9)
    assert painted.translate[:2] == (0, 7)


@pytest.mark.filterwarnings("ignore:.* per pixel and the model sees")
def test_a_finer_image_of_the_same_scene_is_painted_alike() -> None:
    """A model of 0.5 µm per pixel reads an image of 0.25 µm per pixel through zoom 2."""
    engine = random_engine(make_spec(zooms=(1, 4), normalisation=PLAIN), 3)
    blocks = np.random.default_rng(0).uniform(0, 2, (12, 13)).astype(np.float32)
    coarse = blocks.repeat(8, 0).repeat(8, 1)
    # Shift the logits so that every class wins somewhere.
    grid = MapGrid.over(ImageStack(coarse), 4)
    (block,) = grid.blocks()
    painter = Painter(engine.painting(), engine.spec, (1.0, 4.0))
    logits = painter.logits(grid.stack.plane(), *grid.positions(block))
    engine.load(
        {"heads.bias": engine.state()["heads.bias"] - np.median(logits, (1, 2))}, partial=True
    )
    fine = coarse.repeat(2, 0).repeat(2, 1)
    maps = [
        paint(
            ImageStack(image, pixel_size=size, scale=(size,) * 2, unit="micrometer"),
            engine, stride, pixel_size=0.5,
        )
        for image, size, stride in ((coarse, 0.5, 4), (fine, 0.25, 8))
    ]  # fmt: skip
    assert (maps[0].classes == maps[1].classes).mean() > 0.999
    assert len(np.unique(maps[0].classes)) == 3
    np.testing.assert_allclose(maps[0].probabilities, maps[1].probabilities, atol=2e-3)
    # Cells of both lie at the same places in micrometres.
    for a, b in zip(world(maps[0]), world(maps[1]), strict=True):
        np.testing.assert_allclose(a + 0.25, b + 0.125)
