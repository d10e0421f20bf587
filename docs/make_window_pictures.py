"""Make the pictures of the windows in docs/pictures, from the real application.

Run `python docs/make_window_pictures.py` where a display is, or
`xvfb-run -a -s "-screen 0 1600x1200x24" python docs/make_window_pictures.py`. It runs the
demonstration of `lungcls demo --gui` and takes each step in the dark and the light theme.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
from PIL import Image
from qtpy.QtTest import QTest

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from driving import Hands
from napari_lungcls.gui.demo import Demonstration
from napari_lungcls.gui.docks import open_dock
from napari_lungcls.gui.workers import cancel_all

PICTURES = Path(__file__).parent / "pictures"
SIZE = (1240, 860)
LARGEST = 400_000
"""Bytes that a picture in the repository may have."""


def until(holds: Callable[[], Any], seconds: float = 300) -> None:
    """Let the window live until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise SystemExit("the demonstration takes too long")
        QTest.qWait(50)


def take(viewer: napari.Viewer, name: str) -> None:
    """Take the window in both themes."""
    for theme in ("dark", "light"):
        viewer.theme = theme
        QTest.qWait(400)
        shot = Image.fromarray(viewer.screenshot(canvas_only=False, flash=False)).convert("RGB")
        target = PICTURES / f"{name}-{theme}.webp"
        shot.save(target, quality=86, method=6)
        if target.stat().st_size > LARGEST:
            raise SystemExit(f"{target} has {target.stat().st_size} bytes, more than {LARGEST}")
        print(target)


def show(viewer: napari.Viewer, window: str, *parts: Any) -> None:
    """Bring a window to the front, with some of its parts in view."""
    found = open_dock(viewer, window)
    for part in parts:
        parent = part.parentWidget()
        while parent is not None and parent is not found:
            if hasattr(parent, "ensureWidgetVisible"):
                parent.ensureWidgetVisible(part)
            parent = parent.parentWidget()
    QTest.qWait(200)


def classify(viewer: napari.Viewer, shown: Demonstration) -> None:
    """Classify a grid with a drag of the mouse, over the image without its map."""
    hands = Hands(viewer)
    viewer.layers[f"{shown.image.name} map"].visible = False
    viewer.layers[f"{shown.image.name} points"].visible = False
    hands.click("predict_mode")
    plane = viewer.dims.current_step[0]
    hands.drag(*(shown.image.data_to_world((plane, y, x)) for y, x in ((150, 120), (330, 380))))
    name = f"{shown.image.name} predictions"
    until(lambda: name in viewer.layers and len(viewer.layers[name].data) > 150)
    hands.settle(2)


def main() -> None:
    """Go through the demonstration and take each step."""
    viewer = napari.Viewer(title="napari")
    viewer.window.resize(*SIZE)
    shown = Demonstration(viewer)
    until(lambda: hasattr(shown, "train"))
    show(viewer, "Label points")
    take(viewer, "label")
    until(lambda: hasattr(shown, "paint"))
    show(viewer, "Train", shown.train.run, shown.train.outcome)
    take(viewer, "train")
    show(viewer, "Paint")
    until(lambda: not shown.paint.painting.busy)
    take(viewer, "paint")
    classify(viewer, shown)
    show(viewer, "Paint", shown.paint.point_prediction)
    take(viewer, "classify")
    cancel_all()
    viewer.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LUNGCLS_JOURNALS"] = os.environ["LUNGCLS_MODELS"] = folder
        main()
