"""The demonstration in napari: sample stack, points, training and a map, in the guided window."""

from collections.abc import Callable
from typing import Any

import napari
import numpy as np
from qtpy.QtCore import QTimer

from napari_lungcls.annotation import ClassScheme, Points
from napari_lungcls.gui.docks import CLASSIFIER, PLUGIN, open_dock
from napari_lungcls.gui.paint.extent import Extent
from napari_lungcls.gui.points_layer import annotation_layer, fill, set_next_class
from napari_lungcls.gui.session import session
from napari_lungcls.gui.workers import start_call
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.synthetic import LungStack, sample_points

SETTINGS = TrainingSettings(epochs=8, seed=1, pretrained="none")
"""Fewer epochs than by default, to keep it short, and random initial weights, so that the
results do not depend on a network connection."""

STRIDE = 2
PER_CLASS = 120
SCHEME = ClassScheme.preset("lung")
MARGIN = {"alveoli": 3.0, "septa": 1.0, "duct": 3.0}
"""Least distance in pixels of a point from the edge of its class, as in manual annotation."""


class Demonstration:
    """Opens the sample stack with points, trains and paints, in the steps of the Lung classifier.

    Parameters
    ----------
    viewer
        An empty viewer.
    settings
        Training settings.
    per_class
        Number of points per class.
    """

    def __init__(
        self,
        viewer: "napari.Viewer",
        settings: TrainingSettings = SETTINGS,
        per_class: int = PER_CLASS,
    ) -> None:
        self.viewer, self.settings, self.per_class = viewer, settings, per_class
        self.window = open_dock(viewer, CLASSIFIER)
        self.truth, self.image = viewer.open_sample(PLUGIN, "synthetic_stack")
        viewer.dims.set_current_step(0, self.image.data.shape[0] // 2)
        self.label = open_dock(viewer, "Label points")
        start_call(self._draw, owner=self.label, returned=self._train)

    def _draw(self) -> Points:
        """Sample points from the ground truth, in a thread because all planes must be made."""
        scheme = ClassScheme.preset("lung-full")
        truth = np.asarray(self.truth.data)
        stack = LungStack(self.image.data, truth, 1.0, 1.0, scheme, 0)
        return sample_points(stack, self.per_class, classes=SCHEME.names, margin=MARGIN)

    def _train(self, points: Points) -> None:
        layer = annotation_layer(self.viewer, self.image, SCHEME)
        fill(layer, points, SCHEME)
        set_next_class(layer, SCHEME.names[0])
        session(self.viewer).target = layer
        self.train = open_dock(self.viewer, "Train")
        self.train.pairs.rows[0].choose(layer)
        self.train.form.fill(self.settings)
        session(self.viewer).changed.connect(self.show_map)
        self.train.start()

    def show_map(self) -> None:
        """Paint the stack with the trained model."""
        session(self.viewer).changed.disconnect(self.show_map)
        self.paint = open_dock(self.viewer, "Paint")
        self.paint.choices.stride_box.setValue(STRIDE)
        self.paint.choices.extent_box.setCurrentText(Extent.ALL.value)
        # Let the window show the new model first.
        QTimer.singleShot(0, self.paint.start)


def open_demo(run: Callable[[], Any] = napari.run) -> None:
    """Open napari with the demonstration and run until its window is closed."""
    viewer = napari.Viewer(title="lungcls demo")
    demonstration = Demonstration(viewer)
    run()
    # There is no window left to paint in.
    session(viewer).changed.disconnect(demonstration.show_map, missing_ok=True)
