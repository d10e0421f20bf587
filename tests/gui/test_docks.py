"""The plugin's docks in napari's window."""

import numpy as np
import pytest

from napari_lungcls.gui.classifier import LungClassifier
from napari_lungcls.gui.docks import drawn_later, main_window
from napari_lungcls.gui.label import LabelPoints
from napari_lungcls.gui.measure import MeasureMaps
from napari_lungcls.gui.paint import PaintMap
from napari_lungcls.gui.train import TrainModel


def test_what_is_added_is_drawn_in_a_turn_of_its_own(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    window = main_window(viewer)
    with drawn_later(viewer):
        viewer.add_labels(np.ones((20, 30), np.uint8))
    assert not window.updatesEnabled()
    # Twice in one turn, as maps of two widgets may appear.
    with pytest.raises(ValueError, match="no layer"), drawn_later(viewer):
        raise ValueError("no layer")
    qtbot.waitUntil(window.updatesEnabled)
    qtbot.wait(40)
    assert window.updatesEnabled()


@pytest.mark.parametrize("kind", [LungClassifier, LabelPoints, TrainModel, PaintMap, MeasureMaps])
def test_a_window_taken_out_of_its_dock_ends_and_one_that_is_moved_does_not(
    make_napari_viewer, qtbot, kind
):
    viewer = make_napari_viewer()
    panel = kind(viewer)
    first = viewer.window.add_dock_widget(panel, name="first")
    qtbot.wait(50)
    viewer.window.remove_dock_widget(first)
    second = viewer.window.add_dock_widget(panel, name="second")
    qtbot.wait(50)
    assert panel.parent() is second
    # Napari's ✕ does no more.
    with qtbot.waitSignal(panel.destroyed, timeout=1000):
        second.destroyOnClose()
