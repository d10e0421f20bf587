"""Train in napari's thread and in the main thread, turn about, and print both speeds as JSON.

Run `python benchmarks/window.py [--pairs 3] [--epochs 20]` where a display is, or under
`xvfb-run -a`. The longest gap of a 10 ms timer tells how smoothly the window goes on meanwhile.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Generator
from itertools import pairwise
from typing import Any

import napari
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QWidget

import napari_lungcls as lc
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
    loop, meter, ticks = QEventLoop(), Meter(make()), [time.perf_counter()]
    timer = QTimer()
    timer.setInterval(10)
    timer.timeout.connect(lambda: ticks.append(time.perf_counter()))
    start(lambda cancelled: (yield from meter), owner=owner, ended=loop.quit)
    timer.start()
    loop.exec()
    timer.stop()
    return meter.speed, max(b - a for a, b in pairwise(ticks))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    given = parser.parse_args()
    section = make_section((700, 700), pixel_size=1.0, seed=1)
    points = sample_points(section, 60)
    settings = lc.TrainingSettings(zooms=(1,), epochs=given.epochs, val_fraction=0)
    viewer, owner = napari.Viewer(show=True), QWidget()
    viewer.add_image(section.image)

    def make() -> Generator[Any, None, Any]:
        return training(section.image, points, settings)

    in_script(make)
    script, window, gaps = [], [], []
    for _ in range(given.pairs):
        script.append(in_script(make))
        speed, gap = in_window(make, owner)
        window.append(speed)
        gaps.append(gap)
    found = {
        "script_steps_s": round(statistics.median(script), 2),
        "window_steps_s": round(statistics.median(window), 2),
        "window_over_script": round(
            statistics.median(w / s for w, s in zip(window, script, strict=True)), 3
        ),
        "longest_gap_ms": round(1e3 * max(gaps)),
        "pairs": given.pairs,
    }
    print(json.dumps(found, indent=2))
    viewer.close()


if __name__ == "__main__":
    main()
