"""Make the animation of the whole way in docs/pictures/way.webp, from the real window.

Run `python docs/make_animation.py` where a display is, or
`xvfb-run -a -s "-screen 0 1600x1200x24" python docs/make_animation.py`. It goes by mouse and keys
from the empty *Lung classifier* to a map and its measures, which takes some minutes. Most of the
points are added at once, as one sees after some clicks how it goes on.
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
from PIL import Image, ImageDraw
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication, QWidget

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from driving import Hands
from napari_lungcls.annotation import ClassScheme
from napari_lungcls.gui.classifier import LungClassifier
from napari_lungcls.gui.docks import CLASSIFIER, open_dock
from napari_lungcls.gui.label.controller import labeller_of
from napari_lungcls.gui.workers import cancel_all
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.synthetic import LungStack, sample_points

TARGET = Path(__file__).parent / "pictures" / "way.webp"
SIZE, WIDTH = (1160, 780), 900
"""Of the window, and of the animation, in pixels."""
MOST = 12
"""Frames of a training or painting that are kept, evenly spread."""
LARGEST = 1_000_000
"""Bytes that the animation may have."""
CLICKED, PER_CLASS = 3, 20
"""Points of each class that are clicked, and all."""
WEIGHTS = Path(__file__).parents[2] / "shared" / "data" / "resnet18_imagenet_to_layer3.safetensors"
"""ImageNet's weights; without this file those that are cached or can be fetched."""
ARROW = ((0, 0), (0, 17), (4, 13), (7, 20), (10, 19), (7, 12), (12, 12))
"""A pointer, as a screenshot has none."""


class Film:
    """Frames of a window, each with its time and the pointer.

    Parameters
    ----------
    hands
        Of the window.
    """

    def __init__(self, hands: Hands) -> None:
        self.hands = hands
        self.frames: list[Image.Image] = []
        self.times: list[int] = []
        self._at = (SIZE[0] // 2, SIZE[1] // 2)

    def take(
        self, milliseconds: int, over: QWidget | None = None, at: QPoint | None = None
    ) -> None:
        """Take a frame, with the pointer over a widget if one is given."""
        if over is not None:
            place = over.rect().center() if at is None else at
            there = over.mapTo(self.hands.window, place)
            self._at = (there.x(), there.y())
        QApplication.processEvents()
        pixels = self.hands.viewer.screenshot(canvas_only=False, flash=False)
        frame = Image.fromarray(pixels).convert("RGB")
        drawn = ImageDraw.Draw(frame)
        outline = [(x + self._at[0], y + self._at[1]) for x, y in ARROW]
        drawn.polygon(outline, fill="white", outline="black")
        height = round(frame.height * WIDTH / frame.width)
        self.frames.append(frame.resize((WIDTH, height), Image.Resampling.LANCZOS))
        self.times.append(milliseconds)

    def click(self, name: str) -> None:
        """Show the pointer over a button, and click it."""
        self.take(700, self.hands.find(name))
        self.hands.click(name)

    def while_it(self, lasts: Callable[[], Any], every: float, milliseconds: int) -> None:
        """Take a frame every so many seconds until something is over, and keep some of them."""
        first, until = len(self.frames), time.monotonic() + 900
        while lasts():
            if time.monotonic() > until:
                raise SystemExit("it takes too long")
            self.take(milliseconds)
            self.hands.settle(every)
        taken = len(self.frames) - first
        kept = first + np.unique(np.linspace(0, taken - 1, min(taken, MOST)).astype(int))
        self.frames[first:] = [self.frames[i] for i in kept]
        self.times[first:] = [self.times[i] for i in kept]

    def save(self) -> None:
        """Write the animation."""
        first, *rest = self.frames
        first.save(
            TARGET,
            save_all=True,
            append_images=rest,
            duration=self.times,
            loop=0,
            quality=60,
            method=4,
        )
        size = TARGET.stat().st_size
        print(TARGET, f"{len(self.frames)} frames, {sum(self.times) / 1000:.0f} s, {size} bytes")
        if size > LARGEST:
            raise SystemExit(f"more than {LARGEST} bytes")


def label(film: Film, window: LungClassifier) -> None:
    """Label some points by key and click, and add more."""
    hands, viewer = film.hands, film.hands.viewer
    image, truth = viewer.layers[-1], np.asarray(viewer.layers[0].data)
    labeller = labeller_of(viewer)
    stack = LungStack(image.data, truth, 1.0, 1.0, ClassScheme.preset("lung-full"), 0)
    names = labeller.scheme.names
    margin = {"alveoli": 3.0, "septa": 1.0, "duct": 3.0}
    points = sample_points(stack, PER_CLASS, classes=names, margin=margin)
    plane = viewer.dims.current_step[0]
    middle = np.abs(points.coordinates[:, 1:] / truth.shape[1:] - 0.5).max(axis=1) < 0.4
    here, rest = (points.coordinates[:, 0] == plane) & middle, np.ones(len(points), bool)
    for spec in labeller.scheme.classes:
        rows = np.flatnonzero(here & (points.labels == spec.name))[:CLICKED]
        hands.key(spec.key)
        for row in rows:
            world = image.data_to_world(points.coordinates[row])
            hands.point(world)
            film.take(350, hands.canvas, hands.at(world))
            rest[row] = False
    left = np.random.default_rng(0).permutation(np.flatnonzero(rest))
    for part in np.array_split(left, 4):
        labeller.add_points(points.coordinates[part], [points.labels[i] for i in part], "manual")
        hands.settle(0.2)
        film.take(300)
    hands.until(lambda: "Enough" in hands.find("next_step").text())


def main(folder: Path) -> None:
    """Go the whole way."""
    viewer = napari.Viewer(title="napari")
    hands = Hands(viewer)
    viewer.window.resize(*SIZE)
    window = open_dock(viewer, CLASSIFIER)
    hands.until(lambda: window.body is not None, 60, "the steps")
    hands.window.resizeDocks([window.parent()], [330], Qt.Orientation.Horizontal)
    hands.settle(0.3)
    film = Film(hands)
    film.take(1200)
    film.click("try_sample")
    hands.until(lambda: len(viewer.layers) > 1, 180, "the sample")
    hands.settle(1)
    film.take(1200)
    label(film, window)
    film.click("go_to_train")
    train = window.go_to("Train")
    start = str(WEIGHTS) if WEIGHTS.exists() else "auto"
    train.form.fill(TrainingSettings(seed=1, pretrained=start))
    film.click("train_start")
    film.while_it(lambda: train.training.job is not None, 3, 200)
    film.take(2500)
    film.click("step_paint")
    paint = window.go_to("Paint")
    paint.choices.stride_box.setValue(2)
    film.click("paint_start")
    film.while_it(lambda: paint.painting.busy, 0.6, 200)
    hands.settle(0.5)
    film.take(2500)
    film.click("step_measure")
    measure = window.go_to("Measure")
    film.take(1000, hands.find("measure_start"))
    measure.results.start(folder / "results")
    hands.until(lambda: measure.results.measuring.job is None, 300, "the measures")
    hands.find(measure.results.page_button.objectName())
    hands.settle(0.5)
    film.take(4000)
    film.save()
    cancel_all()
    viewer.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for name in ("JOURNALS", "MODELS"):
            os.environ[f"LUNGCLS_{name}"] = folder
        os.environ["LUNGCLS_CHOICES"] = str(Path(folder) / "choices.json")
        main(Path(folder))
