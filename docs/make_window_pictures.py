"""Make the pictures of the windows in docs/pictures, from the real application.

Run `python docs/make_window_pictures.py` where a display is, or
`xvfb-run -a -s "-screen 0 1600x1200x24" python docs/make_window_pictures.py`. It runs the
demonstration of `lungcls demo --gui` in the window *Lung classifier* and takes each step in the
dark and the light theme. With names of pictures, such as `measure audit`, it takes these alone.
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
import numpy as np
from napari._qt.dialogs.qt_notification import NapariQtNotification
from PIL import Image
from qtpy.QtTest import QTest

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from driving import Hands
from napari_lungcls.annotation import ClassScheme
from napari_lungcls.gui.demo import Demonstration
from napari_lungcls.gui.docks import CLASSIFIER, open_dock
from napari_lungcls.gui.workers import cancel_all

PICTURES = Path(__file__).parent / "pictures"
SIZE = (1240, 860)
WANTED = sys.argv[1:]
"""Names of the pictures to take; all if none is given."""
SPACING, ANSWERS = 85, 24
"""Pixels between test points, and how many questions are answered before the picture."""
SEPTA = 2
"""In the labels of the synthetic stack, which are codes of the scheme `lung-full` plus 1."""
LARGEST = 400_000
"""Bytes that a picture in the repository may have."""


def until(holds: Callable[[], Any], seconds: float = 900) -> None:
    """Let the window live until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise SystemExit("the demonstration takes too long")
        QTest.qWait(50)


def take(viewer: napari.Viewer, name: str) -> None:
    """Take the window in both themes, if the picture is wanted."""
    if WANTED and name not in WANTED:
        return
    for theme in ("dark", "light"):
        viewer.theme = theme
        QTest.qWait(400)
        for toast in viewer.window._qt_window.findChildren(NapariQtNotification):
            toast.close()
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


def answer(window: Any, truth: Any, questions: int) -> None:
    """Answer test points as the synthetic section was made, and lines as its classes change."""
    auditing = window.panel.auditing
    air = {name: name != "septa" for name in auditing.audit.scheme.names}
    names = ClassScheme.preset("lung-full").names

    def name_at(place: Any) -> str:
        at = tuple(np.clip(np.rint(place).astype(int), 0, np.array(truth.shape) - 1))
        name = names[max(int(truth[at]), 1) - 1]
        return name if name in air else names[0]

    for _ in range(questions):
        question = auditing.question
        if question is None:
            return
        if question.kind == "class":
            auditing.answer(name_at(question.position))
            continue
        along = np.linspace(*question.line, 200)
        plane = [question.position[0]]
        kinds = [air[name_at([*plane, *place])] for place in along]
        auditing.answer(int(np.count_nonzero(np.diff(kinds))))


def well_placed(question: Any, truth: Any) -> bool:
    """Tell whether a question is about a septum in the middle of the image."""
    at = np.rint(question.position).astype(int)
    inside = (abs(at[1:] / truth.shape[1:] - 0.5) < 0.15).all()
    return bool(question.kind == "class" and inside and truth[tuple(at)] == SEPTA)


def measure(viewer: napari.Viewer, shown: Demonstration, folder: Path) -> None:
    """Draw test points, answer them as the section was made, and measure the painted map."""
    viewer.layers[f"{shown.image.name} map"].visible = True
    window = open_dock(viewer, "Measure")
    truth = np.asarray(shown.truth.data)
    window.form.spacing.setValue(SPACING)
    window.form.make(folder / "audit.csv")
    auditing = window.panel.auditing
    until(lambda: auditing.audit is not None)
    auditing.start()
    answer(window, truth, ANSWERS)
    while not well_placed(auditing.question, truth):
        answer(window, truth, 1)
    QTest.qWait(500)
    take(viewer, "audit")
    answer(window, truth, 10**6)
    window.results.start(folder / "results")
    until(lambda: window.results.measuring.job is None)
    show(viewer, "Measure", window.results.page_button)
    take(viewer, "measure")


def main(folder: Path) -> None:
    """Go through the demonstration and take each step."""
    viewer = napari.Viewer(title="napari")
    viewer.window.resize(*SIZE)
    open_dock(viewer, CLASSIFIER)
    take(viewer, "start")
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
    if not WANTED or "classify" in WANTED:
        classify(viewer, shown)
        show(viewer, "Paint", shown.paint.point_prediction)
        take(viewer, "classify")
        viewer.layers[f"{shown.image.name} predictions"].visible = False
    measure(viewer, shown, folder)
    cancel_all()
    viewer.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LUNGCLS_JOURNALS"] = os.environ["LUNGCLS_MODELS"] = folder
        os.environ["LUNGCLS_CHOICES"] = str(Path(folder) / "choices.json")
        main(Path(folder))
