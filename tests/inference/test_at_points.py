"""Answers at points: what the map says there, exactly or in the cell under them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from known_network import (
    PLAIN,
    intensity_engine,
    make_document,
    make_spec,
    random_engine,
)
from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.errors import InputError
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.inference import at_points
from napari_lungcls.inference.at_points import classified_table, painted_at_points, predictions_at
from napari_lungcls.inference.grid import MapGrid
from napari_lungcls.inference.painted import MemoryStore
from napari_lungcls.inference.run import map_header, run_painting
from napari_lungcls.network.engines.torch import painting as torch_painting
from napari_lungcls.network.predictor import Predictor

SPEC = make_spec(zooms=(1, 3), stages=(-1, 0, 1, 2), hidden=6)
ENGINE = random_engine(SPEC, 3)
DOCUMENT = make_document(SPEC, temperature=1.7)
IMAGE = np.random.default_rng(0).integers(0, 255, (2, 90, 140), np.uint8)
STACK = ImageStack(IMAGE, rgb=False, source="a.tif")


def whole_map(stride: int) -> Any:
    grid = MapGrid.over(STACK, stride)
    store = MemoryStore(map_header(grid, DOCUMENT, probabilities=True))
    for _ in run_painting(Predictor(ENGINE, DOCUMENT), grid, store):
        pass
    return store.map


def gathered(parts: Any, n: int) -> NDArray[np.float32]:
    found = np.full((n, 3), np.nan, np.float32)
    for rows, probabilities in parts:
        assert np.isnan(found[rows]).all()  # every point once
        found[rows] = probabilities
    assert np.isfinite(found).all()
    return found


@pytest.mark.parametrize("stride", [1, 3, 4, 64])
def test_points_read_the_cells_that_a_whole_map_has(
    stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MapGrid, "block", 16)
    rng = np.random.default_rng(stride)
    points = np.column_stack(
        [rng.uniform(-0.5, 1.5, 40), rng.uniform(-0.5, 89.5, 40), rng.uniform(-0.5, 139.5, 40)]
    )
    points[:4] = [[0, -0.5, -0.5], [1.5, 89.5, 139.5], [0.4, 0, 139], [1, 4.5, 7.5]]
    found = gathered(
        painted_at_points(Predictor(ENGINE, DOCUMENT), STACK, points, stride=stride), 40
    )
    painted = whole_map(stride)
    for point, probabilities in zip(points, found, strict=True):
        z = min(1, round(point[0]))
        y, x = (
            min(int((p + 0.5) // stride), n - 1)
            for p, n in zip(point[1:], painted.classes.shape[1:], strict=True)
        )
        np.testing.assert_array_equal(
            probabilities, painted.probabilities[:, z, y, x].astype(np.float32)
        )


def test_only_blocks_with_points_are_painted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MapGrid, "block", 16)
    calls = []
    maker = type(ENGINE.painting())
    original = maker.head_maps

    def counted(self: Any, tile: Any, zoom: int, *fine: Any) -> Any:
        calls.append(zoom)
        return original(self, tile, zoom, *fine)

    monkeypatch.setattr(maker, "head_maps", counted)
    points = np.array([[0, 10, 10], [0, 12, 12], [1, 80, 130]], float)
    parts = list(painted_at_points(Predictor(ENGINE, DOCUMENT), STACK, points, stride=2))
    assert [rows.tolist() for rows, _ in parts] == [[0, 1], [2]]
    assert len(calls) == 4


def test_the_answer_at_a_point_is_the_map_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the centres of cells it is what a map of any stride has, whatever else is asked."""
    monkeypatch.setattr(at_points, "SQUARE", 48)
    monkeypatch.setattr(at_points, "TOGETHER", 7)
    rng = np.random.default_rng(0)
    for stride in (1, 4, 5):
        painted = whole_map(stride)
        shape = painted.classes.shape
        cells = np.column_stack([rng.integers(0, n, 40) for n in shape])
        points = cells.astype(float)
        points[:, 1:] = cells[:, 1:] * stride + (stride - 1) / 2
        inside = (points[:, 1:] <= [89.5, 139.5]).all(1)  # the last cell may end past the image
        found = gathered(
            predictions_at(Predictor(ENGINE, DOCUMENT), STACK, points[inside]), int(inside.sum())
        )
        wanted = painted.probabilities[:, *cells[inside].T].T
        np.testing.assert_allclose(found, wanted, atol=1e-3)  # maps keep half precision
        np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)


def test_a_deep_network_answers_as_its_map_does() -> None:
    """Layer4 sees farther than a halo; points are given as much around them."""
    spec = make_spec(stages=(-1, 0, 1, 2, 3, 4), tile=64, hidden=6)
    engine, document = random_engine(spec, 3), make_document(spec)
    image = np.random.default_rng(0).integers(0, 255, (640, 640, 3), np.uint8)
    stack = ImageStack(image, rgb=True)
    grid = MapGrid.over(stack, 8)
    store = MemoryStore(map_header(grid, document, probabilities=True))
    for _ in run_painting(Predictor(engine, document), grid, store):
        pass
    cells = np.random.default_rng(1).integers(0, 80, (12, 2))
    cells[:3] = [[0, 0], [79, 40], [40, 79]]
    found = gathered(predictions_at(Predictor(engine, document), stack, cells * 8 + 3.5), 12)
    wanted = store.map.probabilities[:, cells[:, 0], cells[:, 1]].T
    np.testing.assert_allclose(found, wanted, atol=2e-3)


def test_a_click_costs_a_small_area(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = []
    original = torch_painting.TorchPainting.head_maps

    def noted(self: Any, pixels: Any, zoom: int, *fine: Any) -> Any:
        shapes.append(pixels.shape)
        return original(self, pixels, zoom, *fine)

    monkeypatch.setattr(torch_painting.TorchPainting, "head_maps", noted)
    spec = make_spec(stages=(1,), tile=16)
    stack = ImageStack(np.random.default_rng(0).integers(0, 255, (900, 900), np.uint8))
    list(
        predictions_at(
            Predictor(random_engine(spec), make_document(spec)), stack, np.array([[450.0, 450.0]])
        )
    )
    assert len(shapes) == 1
    assert 448 < max(shapes[0]) <= 512


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 100), st.integers(1, 300))
def test_the_order_and_number_of_points_do_not_matter(seed: int, n: int) -> None:
    spec = make_spec(stages=(-1, 0, 1), tile=16, normalisation=PLAIN)
    engine = intensity_engine(spec, {(1, 1): 0.02, (1, 0): 0.01, (1, -1): -0.02})
    document = make_document(spec)
    rng = np.random.default_rng(seed)
    stack = ImageStack(rng.uniform(0, 300, (60, 60)).astype(np.float32))
    points, order = rng.uniform(0, 59, (n, 2)), rng.permutation(n)
    found = gathered(predictions_at(Predictor(engine, document), stack, points), n)
    shuffled = gathered(predictions_at(Predictor(engine, document), stack, points[order]), n)
    np.testing.assert_allclose(shuffled, found[order], atol=1e-5)


@pytest.mark.parametrize("painted", [True, False])
def test_what_cannot_be_answered_is_refused(painted: bool) -> None:
    def ask(stack: ImageStack, points: Any, document: Any = DOCUMENT) -> None:
        where = np.array(points, float)
        if painted:
            list(
                painted_at_points(
                    Predictor(ENGINE, document), stack, where, stride=4, points="b.csv"
                )
            )
        else:
            list(predictions_at(Predictor(ENGINE, document), stack, where, "b.csv"))

    with pytest.raises(InputError, match=r"b.csv: point 1 at \(0, 90, 0\) lies outside a.tif"):
        ask(STACK, [[0, 90, 0]])
    with pytest.raises(InputError, match=r"b.csv: the coordinates have 2 axes, but a.tif has 3"):
        ask(STACK, [[1, 1]])
    with pytest.raises(InputError, match=r"a.tif holds uint16"):
        ask(ImageStack(IMAGE.astype(np.uint16), rgb=False, source="a.tif"), [[0, 1, 1]])
    spec = SPEC.model_copy(update={"normalisation": PLAIN})
    holes = IMAGE[0].astype(np.float32)
    holes[50, 50] = np.nan
    with pytest.raises(InputError, match=r"point \d sees NaN or infinite values of a.tif"):
        ask(ImageStack(holes, source="a.tif"), [[5, 100], [52, 48]], make_document(spec))


def test_a_table_gains_the_answers() -> None:
    scheme = ClassScheme.of_names(["alveoli", "septa"])
    points = Points.build([[1.5, 2], [3, 4]], ["septa", "septa"], animal=["m1", "m2"])
    probabilities = np.array([[0.75, 0.25], [0.1, 0.9]], np.float32)
    table = classified_table(points, probabilities, scheme)
    assert table.columns[-4:] == ("animal", "predicted", "p_alveoli", "p_septa")
    assert table.column("predicted").tolist() == ["alveoli", "septa"]  # type: ignore[union-attr]
    assert [float(v) for v in table.column("p_septa")] == pytest.approx([0.25, 0.9])  # type: ignore[union-attr]
    np.testing.assert_array_equal(table.coordinates, points.coordinates)
    assert table.labels.tolist() == ["septa", "septa"]  # type: ignore[union-attr]


@pytest.mark.parametrize("hidden", [0, 6])
def test_single_points_of_several_squares_do_not_add_up(
    hidden: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A grid of one point has the shape of the bias, which must stay as it is."""
    monkeypatch.setattr(at_points, "SQUARE", 8)
    spec = make_spec(hidden=hidden)
    engine, document = random_engine(spec, 5), make_document(spec)
    where = np.array([[0, 4, 4], [0, 40, 70], [1, 80, 130]], np.float64)
    found = gathered(predictions_at(Predictor(engine, document), STACK, where), len(where))
    for row, at in zip(found, where, strict=True):
        alone = gathered(predictions_at(Predictor(engine, document), STACK, at[np.newaxis]), 1)
        np.testing.assert_allclose(row, alone[0], atol=1e-4)
