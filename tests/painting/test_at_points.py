"""Answers at points: off the map, and through windows."""

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
    reference_logits,
)
from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.errors import InputError
from napari_lungcls.imaging.stack import ImageStack
from napari_lungcls.imaging.windows import read_windows
from napari_lungcls.painting.at_points import painted_at_points
from napari_lungcls.painting.classify import classified_table, classify_points
from napari_lungcls.painting.grid import MapGrid
from napari_lungcls.painting.painted import MemoryStore
from napari_lungcls.painting.run import map_header, run_painting

SPEC = make_spec(zooms=(1, 3))
ENGINE = random_engine(SPEC, 3)
DOCUMENT = make_document(SPEC, temperature=1.7)
IMAGE = np.random.default_rng(0).integers(0, 255, (2, 90, 140), np.uint8)
STACK = ImageStack(IMAGE, rgb=False, source="a.tif")


def whole_map(stride: int) -> Any:
    grid = MapGrid.over(STACK, stride)
    store = MemoryStore(map_header(grid, DOCUMENT, probabilities=True))
    for _ in run_painting(ENGINE, DOCUMENT, grid, store):
        pass
    return store.map


def gathered(parts: Any, n: int) -> NDArray[np.float32]:
    found = np.full((n, 3), np.nan, np.float32)
    for rows, odds in parts:
        assert np.isnan(found[rows]).all()  # every point once
        found[rows] = odds
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
    found = gathered(painted_at_points(ENGINE, DOCUMENT, STACK, points, stride=stride), 40)
    painted = whole_map(stride)
    for point, odds in zip(points, found, strict=True):
        z = min(1, round(point[0]))
        y, x = (
            min(int((p + 0.5) // stride), n - 1)
            for p, n in zip(point[1:], painted.classes.shape[1:], strict=True)
        )
        np.testing.assert_array_equal(odds, painted.probabilities[:, z, y, x].astype(np.float32))


def test_only_blocks_with_points_are_painted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MapGrid, "block", 16)
    calls = []
    maker = type(ENGINE.painting())
    original = maker.class_maps

    def counted(self: Any, tile: Any, zoom: int) -> Any:
        calls.append(zoom)
        return original(self, tile, zoom)

    monkeypatch.setattr(maker, "class_maps", counted)
    points = np.array([[0, 10, 10], [0, 12, 12], [1, 80, 130]], float)
    parts = list(painted_at_points(ENGINE, DOCUMENT, STACK, points, stride=2))
    assert [rows.tolist() for rows, _ in parts] == [[0, 1], [2]]
    assert len(calls) == 4


def test_windows_give_the_formula_s_answer() -> None:
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.integers(0, 2, 5), rng.uniform(0, 89, 5), rng.uniform(0, 139, 5)])
    found = gathered(classify_points(ENGINE, DOCUMENT, STACK, points), 5)
    windows, places = read_windows(STACK, points, (1, 3), SPEC.sight)
    wide = SPEC.model_copy(update={"window": SPEC.sight})
    logits = reference_logits(wide, ENGINE.state(), windows, places) / 1.7
    odds = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(found, odds, atol=1e-4)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)


@settings(max_examples=10)
@given(st.integers(0, 100), st.integers(1, 300))
def test_the_order_and_number_of_points_do_not_matter(seed: int, n: int) -> None:
    spec = make_spec(stages=(1,), window=16, normalisation=PLAIN)
    engine = intensity_engine(spec, {(1, 1): 0.02})
    document = make_document(spec)
    rng = np.random.default_rng(seed)
    stack = ImageStack(rng.uniform(0, 300, (60, 60)).astype(np.float32))
    points, order = rng.uniform(0, 59, (n, 2)), rng.permutation(n)
    found = gathered(classify_points(engine, document, stack, points), n)
    shuffled = gathered(classify_points(engine, document, stack, points[order]), n)
    np.testing.assert_allclose(shuffled, found[order], atol=1e-5)


def test_map_and_windows_agree_where_the_network_sees_little() -> None:
    """Where the image hardly bends between two cells, it does not matter where they lie."""
    spec = make_spec(zooms=(1, 2), stages=(1, 2), normalisation=PLAIN)
    engine = intensity_engine(spec, {(1, 1): 0.01, (2, 2): 0.01})
    document = make_document(spec)
    y, x = np.indices((150, 150))
    stack = ImageStack((100 + 40 * np.sin(y / 40) + 40 * np.cos(x / 50)).astype(np.float32))
    points = np.random.default_rng(0).integers(0, 150, (60, 2)).astype(float)
    through = gathered(classify_points(engine, document, stack, points), 60)
    off_map = gathered(painted_at_points(engine, document, stack, points, stride=1), 60)
    np.testing.assert_allclose(through, off_map, atol=5e-3)


@pytest.mark.parametrize("painted", [True, False])
def test_what_cannot_be_answered_is_refused(painted: bool) -> None:
    def ask(stack: ImageStack, points: Any, document: Any = DOCUMENT) -> None:
        where = np.array(points, float)
        if painted:
            list(painted_at_points(ENGINE, document, stack, where, stride=4, points="b.csv"))
        else:
            list(classify_points(ENGINE, document, stack, where, "b.csv"))

    with pytest.raises(InputError, match=r"b.csv: point 1 at \(0, 90, 0\) lies outside a.tif"):
        ask(STACK, [[0, 90, 0]])
    with pytest.raises(InputError, match=r"b.csv: the coordinates have 2 axes, but a.tif has 3"):
        ask(STACK, [[1, 1]])
    with pytest.raises(InputError, match=r"a.tif holds uint16"):
        ask(ImageStack(IMAGE.astype(np.uint16), rgb=False, source="a.tif"), [[0, 1, 1]])
    spec = make_spec(zooms=(1, 3), normalisation=PLAIN)
    holes = IMAGE[0].astype(np.float32)
    holes[50, 50] = np.nan
    with pytest.raises(InputError, match=r"point \d sees NaN or infinite values of a.tif"):
        ask(ImageStack(holes, source="a.tif"), [[5, 100], [52, 48]], make_document(spec))


def test_a_table_gains_the_answers() -> None:
    scheme = ClassScheme.of_names(["alveoli", "septa"])
    points = Points.build([[1.5, 2], [3, 4]], ["septa", "septa"], animal=["m1", "m2"])
    odds = np.array([[0.75, 0.25], [0.1, 0.9]], np.float32)
    table = classified_table(points, odds, scheme)
    assert table.columns[-4:] == ("animal", "predicted", "p_alveoli", "p_septa")
    assert table.column("predicted").tolist() == ["alveoli", "septa"]  # type: ignore[union-attr]
    assert [float(v) for v in table.column("p_septa")] == pytest.approx([0.25, 0.9])  # type: ignore[union-attr]
    np.testing.assert_array_equal(table.coordinates, points.coordinates)
    assert table.labels.tolist() == ["septa", "septa"]  # type: ignore[union-attr]
