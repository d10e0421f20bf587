"""How fast the windows respond, as JSON: docks, labels, training, painting, memory.

Run `python benchmarks/window.py [docks labels training painting] [--pairs 3] [--epochs 20]` where
a display is, or under `xvfb-run -a`. The longest gap of a 10 ms timer tells how smoothly the window
goes on meanwhile.

- `docks`: seconds until each window stands open and drawn, the second time, as the first imports;
  and those of the processor, which other work on the machine does not change.
- `labels`: milliseconds of the processor for a point placed among 5,000, and how
  many of them the plugin adds to the same in a plain layer of napari.
- `training`: in napari's thread and in the main thread, turn about.
- `painting`: ten maps, each deleted before the next: gaps as layers appear, and memory; beside it
  what napari itself takes to add an empty layer of labels.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import time
from collections.abc import Callable, Generator
from itertools import pairwise
from pathlib import Path
from typing import Any

import napari
import numpy as np
from napari.layers import Points
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QApplication, QWidget

import napari_lungcls as lc
from napari_lungcls.gui.classifier import LungClassifier
from napari_lungcls.gui.label import LabelPoints
from napari_lungcls.gui.measure import MeasureMaps
from napari_lungcls.gui.paint import PaintMap
from napari_lungcls.gui.session import session
from napari_lungcls.gui.train import TrainModel
from napari_lungcls.gui.workers import start
from napari_lungcls.synthetic import make_section, sample_points
from napari_lungcls.train_model import training


class Meter:
    """Passes a run's progress on and measures the steps per second between first and last."""

    def __init__(self, run: Generator[Any, None, Any]) -> None:
        self._run = run
        self.speed = 0.0

    def __iter__(self) -> Generator[Any, None, None]:
        """Yield what the run yields."""
        first, steps = 0.0, -1
        for progress in self._run:
            if progress.phase == "training":
                now = time.perf_counter()
                first, steps = first or now, steps + 1
                self.speed = steps / (now - first) if steps else 0.0
            yield progress


def in_script(make: Callable[[], Generator[Any, None, Any]]) -> float:
    """Train in the main thread; give steps per second."""
    meter = Meter(make())
    for _ in meter:
        pass
    return meter.speed


def in_window(make: Callable[[], Generator[Any, None, Any]], owner: QWidget) -> tuple[float, float]:
    """Train in a thread while the window lives; give steps per second and the longest gap in s."""
    _settle()  # What a window draws first, after a script held it up, is no gap of training.
    loop, meter, ticks = QEventLoop(), Meter(make()), [time.perf_counter()]
    timer = QTimer()
    timer.setInterval(10)
    timer.timeout.connect(lambda: ticks.append(time.perf_counter()))
    start(lambda cancelled: (yield from meter), owner=owner, ended=loop.quit)
    timer.start()
    loop.exec()
    timer.stop()
    return meter.speed, max(b - a for a, b in pairwise(ticks))


def docks(viewer: Any) -> dict[str, float]:
    """Open every window twice; give the seconds of the second time."""
    found = {}
    for kind in (LungClassifier, LabelPoints, TrainModel, PaintMap, MeasureMaps):
        for _ in range(2):
            began, used = time.perf_counter(), time.thread_time()
            dock = viewer.window.add_dock_widget(kind(viewer), name=kind.__name__)
            QApplication.processEvents()
            found[f"dock_{kind.__name__}_s"] = round(time.perf_counter() - began, 3)
            found[f"dock_{kind.__name__}_cpu_s"] = round(time.thread_time() - used, 3)
            viewer.window.remove_dock_widget(dock)
            QApplication.processEvents()
    return found


def labels(viewer: Any, count: int = 5000) -> dict[str, float]:
    """Place points among many, in the plugin's layer and in a plain one."""
    rng = np.random.default_rng(0)
    image = viewer.layers[0]
    where = rng.uniform(0, min(image.data.shape[:2]) - 1, (count, 2))
    dock = LabelPoints(viewer)
    viewer.window.add_dock_widget(dock, name="Label")
    labeller = dock.labeller
    labeller.choose_image(image)
    names = labeller.scheme.names
    labeller.add_points(where, [names[i % len(names)] for i in range(count)])
    ours, theirs = labeller.layer, Points(where, name="plain")
    viewer.add_layer(theirs)
    times = {}
    for name, layer in (("plain", theirs), ("ours", ours), ("plain", theirs), ("ours", ours)):
        viewer.layers.selection.active = layer
        taken = []
        for position in rng.uniform(10, 600, (15, 2)):
            began = time.thread_time()
            layer.add(position)
            QApplication.processEvents()
            taken.append(1e3 * (time.thread_time() - began))
        times[name] = statistics.median(taken)
    viewer.window.remove_dock_widget(dock)
    viewer.layers.remove(theirs)
    viewer.layers.remove(ours)
    return {
        "label_ms": round(times["ours"]),
        "label_plain_ms": round(times["plain"]),
        "label_ours_ms": round(times["ours"] - times["plain"]),
    }


def painting(viewer: Any, model: lc.Model, times: int = 10) -> dict[str, Any]:
    """Paint and delete maps; give the longest gaps in ms and the memory in MB after each."""
    panel = PaintMap(viewer)
    viewer.window.add_dock_widget(panel, name="Paint")
    session(viewer).add(model, "benchmark")
    panel.choices.stride_box.setValue(2)
    run, loop, timer = panel.painting, QEventLoop(), QTimer()
    plain, shape = [], viewer.layers[0].data.shape[:2]
    for _ in range(times):
        began = time.perf_counter()
        layer = viewer.add_labels(np.zeros(shape, np.uint8))
        plain.append(1e3 * (time.perf_counter() - began))
        viewer.layers.remove(layer)
        _settle()
    ticks: list[float] = []
    timer.setInterval(10)
    timer.timeout.connect(lambda: ticks.append(time.perf_counter()))
    gaps, memory = [], []
    for _ in range(times):
        ticks[:] = [time.perf_counter()]
        timer.start()
        panel.start()
        watch = QTimer()
        watch.timeout.connect(lambda: None if run.busy else loop.quit())
        watch.start(20)
        loop.exec()
        watch.stop()
        timer.stop()
        gaps.append(1e3 * max(b - a for a, b in pairwise(ticks)))
        viewer.layers.remove(run.class_layer)
        _settle()
        memory.append(_resident())
    viewer.window.remove_dock_widget(panel)
    return {
        "plain_labels_layer_ms": round(statistics.median(plain)),
        "painting_gap_first_ms": round(gaps[0]),
        "painting_gap_median_ms": round(statistics.median(gaps[1:])),
        "painting_gap_longest_ms": round(max(gaps[1:])),
        "memory_mb": memory,
        "memory_growth_mb": memory[-1] - memory[1],
    }


def _settle() -> None:
    for _ in range(10):
        QApplication.processEvents()
        time.sleep(0.02)
    gc.collect()


def _resident() -> int:
    """Give the memory of this process in MB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    known = ("docks", "labels", "training", "painting")
    parser.add_argument("what", nargs="*", default=list(known))
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    given = parser.parse_args()
    section = make_section((700, 700), pixel_size=1.0, seed=1)
    points = sample_points(section, 60)
    settings = lc.TrainingSettings(
        zooms=(1,), epochs=given.epochs, val_fraction=0, pretrained="none"
    )
    viewer, owner = napari.Viewer(show=True), QWidget()
    viewer.add_image(section.image)
    found: dict[str, Any] = {"processors": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}
    if "docks" in given.what:
        found |= docks(viewer)
    if "labels" in given.what:
        found |= labels(viewer)

    def make() -> Generator[Any, None, Any]:
        return training(section.image, points, settings)

    if "training" in given.what:
        found |= speeds(make, owner, given.pairs)
    if "painting" in given.what:
        quick = settings.model_copy(update={"epochs": 1})
        found |= painting(viewer, lc.train(section.image, points, quick))
    print(json.dumps(found, indent=2))
    viewer.close()


def speeds(
    make: Callable[[], Generator[Any, None, Any]], owner: QWidget, pairs: int
) -> dict[str, Any]:
    """Train in a script and in the window, turn about."""
    in_script(make)
    script, window, gaps = [], [], []
    for _ in range(pairs):
        script.append(in_script(make))
        speed, gap = in_window(make, owner)
        window.append(speed)
        gaps.append(gap)
    return {
        "script_steps_s": round(statistics.median(script), 2),
        "window_steps_s": round(statistics.median(window), 2),
        "window_over_script": round(
            statistics.median(w / s for w, s in zip(window, script, strict=True)), 3
        ),
        "longest_gap_ms": round(1e3 * max(gaps)),
        "pairs": pairs,
    }


if __name__ == "__main__":
    main()
