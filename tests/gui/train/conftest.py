"""A viewer with a made image of three tissues, its points, and the training window."""

from collections.abc import Callable
from typing import Any

import pytest
from qtpy.QtWidgets import QApplication

from napari_lungcls.gui.points_layer import annotation_layer, fill
from napari_lungcls.gui.train import TrainModel
from napari_lungcls.gui.workers import cancel_all
from three_tissues import QUICK, SCHEME, scene

TINY = QUICK.model_copy(update={"zooms": (1,), "epochs": 2})


@pytest.fixture
def viewer(make_napari_viewer_proxy: Callable[[], Any]) -> Any:
    made = make_napari_viewer_proxy()
    yield made
    cancel_all()


@pytest.fixture
def add_scene(viewer: Any) -> Callable[..., tuple[Any, Any]]:
    """Add an image and its points, with a scale if wanted."""

    def add(seed: int = 0, **options: Any) -> tuple[Any, Any]:
        stack, points = scene(seed)
        image = viewer.add_image(stack.levels[0], rgb=True, name=f"section {seed}", **options)
        layer = annotation_layer(viewer, image, SCHEME)
        fill(layer, points, SCHEME)
        return image, layer

    return add


@pytest.fixture
def window(viewer: Any) -> TrainModel:
    made = TrainModel(viewer)
    viewer.window.add_dock_widget(made, name="Train")
    made.form.fill(TINY)
    return made


@pytest.fixture
def train(window: TrainModel, qtbot: Any) -> Callable[[], None]:
    """Press Start and wait for the end."""

    def run() -> None:
        # Points are counted a little later than they come.
        qtbot.waitUntil(window.run.start_button.isEnabled)
        window.run.start_button.click()
        assert window.training.job is not None
        qtbot.waitUntil(lambda: window.training.job is None, timeout=60_000)
        QApplication.processEvents()

    return run
