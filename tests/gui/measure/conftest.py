"""A viewer with a synthetic section whose classes are known, its map, and the Measure window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from known_sections import UM, truth
from napari_lungcls.gui.measure import MeasureMaps
from napari_lungcls.gui.workers import cancel_all


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any]) -> Iterator[Any]:
    made = make_napari_viewer(show=True)
    made.window.resize(700, 560)
    yield made
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
def table(tmp_path: Path) -> Path:
    return tmp_path / "audit.csv"
