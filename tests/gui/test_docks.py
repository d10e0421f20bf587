"""The plugin's docks in napari's window."""

import numpy as np
import pytest

from napari_lungcls.gui.docks import drawn_later, main_window


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
