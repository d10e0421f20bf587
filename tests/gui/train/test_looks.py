"""What the window says of how far a network will look, and of what of it learns."""

import numpy as np
import pytest

from napari_lungcls import ImageStack, TrainingSettings
from napari_lungcls.gui.train import looks as module
from napari_lungcls.gui.train.looks import looks

SECTION = ImageStack(np.zeros((1200, 900, 3), np.uint8), rgb=True, pixel_size=0.5)
MANY = 380


@pytest.mark.parametrize(
    ("settings", "n", "said"),
    [
        ({}, MANY, "Looks at zooms 1, 2: 256 px = 128 µm, 256 µm."),
        # Pixels of this size are seen at two zooms whatever the network starts from.
        ({"pretrained": "none"}, 5, "Looks at zooms 1, 2: 256 px = 128 µm, 256 µm."),
        (
            {},
            170,
            "Looks at zooms 1, 2, 4: 256 px = 128 µm, 256 µm, 512 µm. Only its last layers learn; "
            "from 200 points on, all of them do.",
        ),
        # Who asked for it needs no reasons.
        ({"freeze": "yes", "zooms": (4,)}, MANY, "Looks at zoom 4: 256 px = 512 µm."),
        ({"pretrained": "/data/lung.safetensors"}, MANY, "Looks at the zooms of lung.safetensors."),
    ],
)
def test_zooms_and_what_learns_are_said(monkeypatch, settings, n, said):
    monkeypatch.setattr(module, "is_cached", lambda _: True)
    assert looks(TrainingSettings(**settings), [SECTION], n) == said


def test_weights_that_may_not_come_are_no_promise(monkeypatch):
    monkeypatch.setattr(module, "is_cached", lambda _: False)
    coarse = ImageStack(np.zeros((1200, 900), np.uint8), rgb=False, pixel_size=2.0)
    assert looks(TrainingSettings(), [coarse], MANY) == (
        "Looks at zooms 1, 2: 256 px = 512 µm, 1024 µm. Only at zoom 1 if ImageNet's weights "
        "cannot be fetched."
    )
    assert looks(TrainingSettings(), [SECTION], MANY).endswith("256 µm.")
    assert looks(TrainingSettings(), [], MANY) == ""
