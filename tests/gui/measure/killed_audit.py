"""An audit in a napari of its own, answered by keys until a test kills it.

Run as a program: `python killed_audit.py TABLE LOG`. It writes a line for each answer.
"""

from __future__ import annotations

import sys
from pathlib import Path

import napari
import numpy as np

from driving import Hands
from known_sections import truth
from napari_lungcls.gui.measure import MeasureMaps

if __name__ == "__main__":
    table, log = map(Path, sys.argv[1:])
    viewer = napari.Viewer(show=True)
    viewer.add_image(truth(320, 400).astype(np.uint8), name="lung")
    window = MeasureMaps(viewer)
    viewer.window.add_dock_widget(window, name="Measure")
    hands = Hands(viewer)
    window.form.make(table)
    hands.until(lambda: window.panel.auditing.audit is not None)
    hands.click("audit_start")
    with log.open("wb", buffering=0) as told:
        while (question := window.panel.auditing.question) is not None:
            hands.key("s" if question.kind == "class" else "2")
            told.write(b"answered\n")
