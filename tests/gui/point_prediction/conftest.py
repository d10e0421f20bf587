"""A network that tells bright from dark at a point, and images for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtTest import QTest

from known_network import intensity_engine, make_document, make_spec
from napari_lungcls.annotation import ClassScheme
from napari_lungcls.gui.point_prediction import PointPredictionPanel
from napari_lungcls.gui.point_prediction.controller import Controller
from napari_lungcls.inference import at_points
from napari_lungcls.model import Model
from napari_lungcls.network.spec import Normalisation
from probing import Hand, button

SCHEME = ClassScheme.of_names(["bright", "dark", "never"], "brightness")
SLOPE, MIDDLE = 0.1, 150.0
AS_IT_IS = Normalisation(mean=(0, 0, 0), std=(1, 1, 1), dtype="uint8")


def brightness_model(scheme: ClassScheme = SCHEME) -> Model:
    """Make a model: logit of class 0 is `SLOPE · (red − MIDDLE)`, the last is -20, others 0."""
    spec = make_spec(classes=len(scheme), normalisation=AS_IT_IS)
    state = dict(intensity_engine(spec, {(1, 1): SLOPE}).state())
    bias = state[spec.bias_name].copy()
    bias[0] -= SLOPE * MIDDLE
    bias[-1] -= 20
    state[spec.bias_name] = bias
    return Model(make_document(spec, scheme=scheme), state, device="cpu")


@pytest.fixture
def make_model() -> Callable[[ClassScheme], Model]:
    return brightness_model


@pytest.fixture
def model() -> Model:
    return brightness_model()


@pytest.fixture
def halves() -> np.ndarray:
    """An RGB image, 120 × 160, bright (200) left of x = 80 and dark (100) from there on."""
    image = np.full((120, 160, 3), 200, np.uint8)
    image[:, 80:] = 100
    return image


@pytest.fixture
def small_squares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer points of squares of 20 pixels together, so that small images have several."""
    monkeypatch.setattr(at_points, "SQUARE", 20)


@pytest.fixture
def controller(model, halves) -> Controller:
    """A controller on a viewer with the image of two halves; 10 pixels between points."""
    viewer = ViewerModel()
    made = Controller(viewer)
    made.image, made.model, made.spacing = viewer.add_image(halves, name="lung"), model, 10
    return made


@pytest.fixture
def viewer(make_napari_viewer):
    made = make_napari_viewer(show=True)
    made.window.resize(900, 700)
    return made


@pytest.fixture
def hand(viewer) -> Hand:
    return Hand(viewer)


def let_the_canvas_grow(viewer: Any) -> None:
    """Wait until the canvas has had one size for a while: a busy machine lays docks out late."""
    sizes: list[tuple[int, ...]] = []
    while len(sizes) < 100 and (len(sizes) < 4 or len(set(sizes[-4:])) > 1):
        QTest.qWait(50)
        sizes.append(tuple(viewer.canvas.size))


@pytest.fixture
def open_box(viewer, qtbot, model) -> Callable[..., PointPredictionPanel]:
    """Open the panel for an image, switched on."""

    def make(image: Image, *, on: bool = True) -> PointPredictionPanel:
        box = PointPredictionPanel(viewer)
        # What it says must not move the image while a test measures on it.
        box.setFixedWidth(300)
        viewer.window.add_dock_widget(box, name="probe")
        box.set_image(image)
        box.set_model(model)
        let_the_canvas_grow(viewer)
        viewer.reset_view()
        QTest.qWait(100)
        if on:
            button(box, "predict_mode").click()
        return box

    return make
