"""A viewer with an image, a known model, and the Paint window."""

import numpy as np
import pytest

from known_maps import bright_model
from napari_lungcls.gui.paint import PaintMap
from napari_lungcls.gui.session import session
from napari_lungcls.gui.workers import cancel_all


@pytest.fixture
def blocky():
    """Make planes of squares, 16 pixels wide, some bright and some dark."""

    def make(*shape, seed=0):
        rng = np.random.default_rng(seed)
        small = rng.choice([100, 200], (*shape[:-2], -(-shape[-2] // 16), -(-shape[-1] // 16)))
        planes = small.repeat(16, -2).repeat(16, -1)[..., : shape[-2], : shape[-1]]
        return planes.astype(np.float32)

    return make


@pytest.fixture
def viewer(make_napari_viewer_proxy):
    made = make_napari_viewer_proxy()
    yield made
    cancel_all()


@pytest.fixture
def window(viewer, qtbot):
    """Open the Paint window beside the viewer, with a model that tells bright from dark."""
    panel = PaintMap(viewer)
    viewer.window.add_dock_widget(panel, name="Paint")
    session(viewer).add(bright_model(), "bright or dark")
    return panel
