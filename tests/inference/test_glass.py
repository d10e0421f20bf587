"""Blank glass is left out, and the map is the one that painting it would give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import maximum_filter

from known_network import make_document, make_spec, random_engine
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.model import Model
from napari_lungcls.network.engines.glass import GRAIN, GRANULE, Glass, find_glass
from napari_lungcls.network.engines.host_painting import HostPainting
from napari_lungcls.network.engines.protocol import HALO, ReadGrid
from napari_lungcls.network.engines.rectangles import parts, rectangles
from napari_lungcls.network.engines.torch import convolution as torch_convolving
from napari_lungcls.network.engines.torch import fine as torch_fine
from napari_lungcls.network.engines.torch import painting as torch_painting

# Two layers see 49 zoomed pixels far, less than the halo that glass is judged by.
SPEC = make_spec(zooms=(1, 3), stages=(-1, 0, 1, 2), hidden=6)
ENGINE = random_engine(SPEC, 3)
MODEL = Model(make_document(SPEC), ENGINE.state(), device="cpu")


def slide(seed: int, colour: int, dtype: Any = np.uint8) -> np.ndarray:
    """Glass of one colour with a few specks and a piece of tissue."""
    rng = np.random.default_rng(seed)
    image = np.full((330, 510, 3), colour, dtype)
    image[200:300, 350:480] = rng.integers(0, 255, (100, 130, 3))
    for y, x in rng.integers(0, 320, (3, 2)):
        image[y : y + 3, x : x + 4] = rng.integers(0, 255, 3)
    return image


def read_maps(painting: Any, spec: Any, tile: np.ndarray) -> dict[Any, np.ndarray]:
    """All maps of a tile, stem and detail at every pixel and at every eighth."""
    fine, out = [], {}
    for stage in (-1, 0):
        for step in (1, 8):
            y, x = (np.arange(0.25, n - 2 * HALO, step) for n in tile.shape[:2])
            out[stage, step] = painting.zeros((len(y), len(x), spec.summed))
            fine.append(ReadGrid(stage, y, x, out[stage, step]))
    found = out | painting.head_maps(tile, 1, fine)
    return {name: np.asarray(maps) for name, maps in found.items()}


def unskipped(pixels: Any, tolerance: Any) -> Glass:
    rows, columns = (-(-n // GRANULE) * GRANULE // GRAIN for n in pixels.shape[:2])
    return Glass(None, np.ones((rows, columns), np.bool_))


@pytest.mark.parametrize(("colour", "dtype"), [(255, np.uint8), (12, np.float32)])
def test_leaving_glass_out_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, colour: int, dtype: Any
) -> None:
    spec = SPEC.model_copy(
        update={"normalisation": SPEC.normalisation.model_copy(update={"dtype": dtype.__name__})}
    )
    model = Model(make_document(spec), MODEL.state, device="cpu")
    computed = []
    original = torch_painting._Layer

    def counted(told: Any, *rest: Any) -> Any:
        computed.append(len(told[0]))
        return original(told, *rest)

    monkeypatch.setattr(torch_painting, "_Layer", counted)
    found = model.paint(ImageStack(slide(0, colour, dtype)), 4)
    with_glass, _ = sum(computed), computed.clear()
    monkeypatch.setattr(torch_painting, "find_glass", unskipped)
    wanted = model.paint(ImageStack(slide(0, colour, dtype)), 4)
    assert with_glass < 0.8 * sum(computed)
    np.testing.assert_array_equal(found.classes, wanted.classes)
    np.testing.assert_allclose(found.probabilities, wanted.probabilities, atol=2e-3)


@pytest.mark.parametrize("spot", [9, 16])
def test_tissue_with_even_spots_is_computed_as_by_any_engine(spot: int) -> None:
    colours = np.random.default_rng(spot).integers(0, 255, (30, 30, 3))
    tile = colours.repeat(spot, 0).repeat(spot, 1)[:224, :224].astype(np.uint8)
    # Sees past the halo.
    engine = random_engine(make_spec(stages=(-1, 0, 1, 4), tile=64), 3)
    found, wanted = (
        read_maps(painting, engine.spec, tile)
        for painting in (engine.painting(), HostPainting(engine))
    )
    for stage, cells in wanted.items():
        largest = np.abs(cells).max()
        np.testing.assert_allclose(found[stage], cells, atol=1e-5 * largest)


def test_nothing_but_glass_is_painted_without_a_convolution(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tile = np.full((256, 288, 3), 231, np.uint8)
    wanted = read_maps(random_engine(SPEC, 3).painting(), SPEC, tile)
    monkeypatch.setattr(torch_convolving, "_convolved", None)
    monkeypatch.setattr(torch_fine.TorchDetail, "_at", None)
    found = read_maps(random_engine(SPEC, 3).painting(), SPEC, tile)
    for stage, cells in wanted.items():
        np.testing.assert_array_equal(found[stage], cells)
        assert np.ptp(cells, axis=(0, 1)).max() == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([1, 2.5, 4, 8]))
def test_specks_on_glass_are_read_in_stem_and_detail(seed: int, step: float) -> None:
    rng = np.random.default_rng(seed)
    tile = np.full((320, 352, 3), 240, np.uint8)
    for y, x in rng.integers(0, 320, (2, 2)):
        tile[y : y + 5, x : x + 3] = rng.integers(0, 255, 3)
    y, x = (np.arange(rng.uniform(0, step), n - 2 * HALO, step) for n in tile.shape[:2])
    found = []
    for painting in (ENGINE.painting(), HostPainting(ENGINE)):
        out = painting.zeros((len(y), len(x), 6))
        painting.head_maps(tile, 1, [ReadGrid(stage, y, x, out) for stage in (-1, 0)])
        found.append(np.asarray(out))
    np.testing.assert_allclose(found[0], found[1], atol=1e-4)


def squares(seed: int, specks: int, rows: int, columns: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    seen = np.zeros((rows, columns), bool)
    seen[rng.integers(0, rows, specks), rng.integers(0, columns, specks)] = True
    return maximum_filter(seen, 3)


SQUARES = (st.integers(0, 1000), st.integers(0, 12), st.integers(1, 30), st.integers(3, 20))


@settings(max_examples=40)
@given(*SQUARES)
def test_every_square_that_is_not_blank_lies_in_one_rectangle(
    seed: int, specks: int, rows: int, columns: int
) -> None:
    seen = squares(seed, specks, rows, columns)
    covered = np.zeros(seen.shape, int)
    for box in rectangles(seen, GRANULE):
        covered[box] += 1
        assert seen[box].any()
    assert covered.max() <= 1
    assert covered[seen].all()


@settings(max_examples=40)
@given(*SQUARES, st.integers(1, 8))
def test_a_part_ends_at_an_edge_only_where_nothing_is_seen_beyond(
    seed: int, specks: int, rows: int, columns: int, most: int
) -> None:
    seen = squares(seed, specks, rows, columns)
    covered = np.zeros(seen.shape, bool)
    for y, x, (left, right, top, bottom) in parts(seen, GRANULE, most):
        (y0, y1), (x0, x1) = ((side.start // GRANULE, side.stop // GRANULE) for side in (y, x))
        covered[y0:y1, x0:x1] = True
        assert max(y1 - y0, x1 - x0) <= most
        ring = seen[max(0, y0 - 1) : y1 + 1, max(0, x0 - 1) : x1 + 1].copy()
        inside = (slice(min(y0, 1), min(y0, 1) + y1 - y0), slice(min(x0, 1), min(x0, 1) + x1 - x0))
        ring[inside] = False
        assert ring.any() == (not (left and right and top and bottom))
    assert covered[seen].all()


@settings(max_examples=25)
@given(st.integers(0, 1000), st.floats(0, 3))
def test_glass_is_what_lies_close_to_its_colour(seed: int, noise: float) -> None:
    rng = np.random.default_rng(seed)
    image = np.full((128, 160, 3), 200.0) + rng.uniform(-noise, noise, (128, 160, 3))
    y, x = rng.integers(0, 128), rng.integers(0, 160)
    image[y, x] = 50
    glass = find_glass(image, np.full(3, 2.0))
    seen = glass.seen(32, GRANULE, GRANULE)
    assert seen[y // GRANULE, x // GRANULE]
    far = np.abs(np.arange(4) * GRANULE + 16 - y)[:, None] > 32 + 32
    if noise < 1:
        assert glass.colour == pytest.approx(200, abs=1)
        assert not seen[np.broadcast_to(far, seen.shape)].any()
