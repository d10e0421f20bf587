"""A viewer with a synthetic section whose classes are known, its map, and the Measure window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from driving import Hands
from napari_lungcls.annotation import ClassScheme
from napari_lungcls.gui.measure import MeasureMaps
from napari_lungcls.gui.session import session
from napari_lungcls.gui.workers import cancel_all
from napari_lungcls.inference.map_data import MapHeader
from napari_lungcls.inference.painted import PaintedMap

SCHEME = ClassScheme.preset("lung")
STRIDE = 4
UM = 0.5


def truth(*shape: int, seed: int = 0) -> np.ndarray:
    """Draw classes of squares, 32 pixels wide: mostly air, some septa and ducts."""
    rng = np.random.default_rng(seed)
    small = rng.choice(3, (*shape[:-2], -(-shape[-2] // 32), -(-shape[-1] // 32)), p=[0.5, 0.3, 0.2])
    return small.repeat(32, -2).repeat(32, -1)[..., : shape[-2], : shape[-1]]


def painted(classes: np.ndarray, image: str) -> PaintedMap:
    """Paint a map that is right but for one cell in twenty."""
    cells = classes[..., ::STRIDE, ::STRIDE].astype(np.uint8) + 1
    wrong = np.random.default_rng(1).random(cells.shape) < 0.05
    cells[wrong] = cells[wrong] % 3 + 1
    lead = cells.ndim - 2
    header = MapHeader(
        shape=cells.shape,
        scale=(1.0,) * lead + (STRIDE * UM,) * 2,
        translate=(0.0,) * lead + ((STRIDE - 1) / 2 * UM,) * 2,
        unit="micrometer",
        scheme=SCHEME,
        stride=STRIDE,
        provenance={"image": image},
    )
    return PaintedMap(cells, None, header)


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any]) -> Iterator[Any]:
    made = make_napari_viewer(show=True)
    made.window.resize(1100, 800)
    yield made
    session(made)
    cancel_all()


@pytest.fixture
def add_section(viewer: Any) -> Callable[..., Any]:
    """Add an image whose brightness is its class."""

    def add(*shape: int, name: str = "lung", seed: int = 0) -> Any:
        classes = truth(*shape, seed=seed)
        pixels = np.array([220, 90, 160], np.uint8)[classes]
        lead = len(shape) - 2
        image = viewer.add_image(
            pixels, name=name, scale=(1,) * lead + (UM, UM), units=("µm",) * len(shape)
        )
        image.metadata["truth"] = classes
        return image

    return add


@pytest.fixture
def window(viewer: Any) -> MeasureMaps:
    panel = MeasureMaps(viewer)
    viewer.window.add_dock_widget(panel, name="Measure")
    return panel


@pytest.fixture
def hands(viewer: Any, qtbot: Any) -> Hands:
    return Hands(viewer)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "audit.csv"
