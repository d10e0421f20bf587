"""Close the window in the middle of training and of painting, again and again.

Run by test_journeys.py as `python leaving.py TIMES SEED ENGINE`; the process must end by itself.
"""

import random
import sys

import napari
import numpy as np
from qtpy.QtCore import QTimer

from driving import Hands
from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.gui.docks import open_dock
from napari_lungcls.gui.points_layer import annotation_layer, fill
from napari_lungcls.gui.session import session
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.train_model import train
from plugin_in_napari import plugin_registered

SCHEME = ClassScheme.of_names(["bright", "dark"])
SETTINGS = TrainingSettings(
    zooms=(1,),
    tile=48,
    epochs=100,
    val_fraction=0,
    batch_size=4,
    pretrained="none",
    engine=sys.argv[3],
)


def halves() -> tuple[np.ndarray, Points]:
    """Make an image, bright left and dark right, and points on it."""
    rng = np.random.default_rng(0)
    image = rng.integers(120, 140, (3, 600, 600, 3), dtype=np.uint8)
    image[..., :300, :] += 60
    where = rng.integers(0, [3, 600, 600], (60, 3))
    return image, Points.build(where, np.where(where[:, 2] < 300, "bright", "dark"))


def leave(pixels: np.ndarray, points: Points, model: object, seconds: float) -> None:
    """Open a window, begin to train and to paint, and close it after some time."""
    viewer = napari.Viewer(show=True)
    hands = Hands(viewer)
    image = viewer.add_image(pixels, rgb=True)
    fill(annotation_layer(viewer, image, SCHEME), points, SCHEME)
    training, painting = open_dock(viewer, "Train"), open_dock(viewer, "Paint")
    session(viewer).add(model, "known")
    training.form.fill(SETTINGS)
    hands.settle(0.2)
    training.start()
    painting.choices.stride_box.setValue(1)
    painting.start()
    hands.settle(seconds)
    assert training.training.job is not None
    # Within napari's event loop, as a user does: it must end with its last window.
    QTimer.singleShot(0, hands.window.close)
    napari.run()


def main(times: int, seed: int) -> None:
    """Leave so many windows."""
    rng = random.Random(seed)
    pixels, points = halves()
    model = train(pixels, points, SETTINGS.model_copy(update={"epochs": 1}), classes=SCHEME)
    for _ in range(times):
        leave(pixels, points, model, rng.uniform(0, 2))
    print("left", times, flush=True)


if __name__ == "__main__":
    with plugin_registered():
        main(int(sys.argv[1]), int(sys.argv[2]))
