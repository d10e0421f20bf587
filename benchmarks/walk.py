"""A stranger's walk: from an empty viewer to a map and a table, by mouse and keys, with defaults.

Run `python benchmarks/walk.py` where a display is, or under
`xvfb-run -a -s "-screen 0 1600x1200x24"`. It opens napari, takes the sample, labels thirty points
of each class as someone would who sees the tissue, and presses what the dock offers: nothing is
set. It prints JSON:

- `clicks`: on menus and buttons, those of labelling left out; of them `in_menus`.
- `dialogs`: windows that asked for something, by their titles.
- `label_keys`, `label_clicks`: keys for classes and planes, and points.
- `seconds`: of each part. Labelling is as fast as a machine clicks; a person needs minutes.
- `right`, `share_error`: the map against the exact truth of the sample, at every cell: what of it
  is right, and by how many percentage points the painted share of a class is off at most.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication
from skimage.morphology import isotropic_erosion

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "gui" / "journeys"))
from common import KEYS, PLUGIN, STACK, in_napari, layer

from driving import Hands
from napari_lungcls.gui.maps import map_of

PER_CLASS, PLANES = 30, (1, 3, 6)
BETWEEN = 12
"""Pixels between two points at least."""


class Stranger(Hands):
    """Hands that count what they do."""

    def __init__(self, viewer: Any) -> None:
        super().__init__(viewer)
        self.clicks = self.in_menus = self.keys = self.points = 0
        self.dialogs: dict[int, str] = {}
        self._watch = QTimer()
        self._watch.timeout.connect(self._look)
        self._watch.start(20)

    def click(self, name: str) -> None:
        """Click a button."""
        self.clicks += 1
        super().click(name)

    def menu(self, *path: str) -> None:
        """Click through menus."""
        self.clicks += len(path)
        self.in_menus += len(path)
        super().menu(*path)

    def key(self, key: str) -> None:
        """Press a key."""
        self.keys += 1
        super().key(key)

    def point(self, world_yx: Any) -> None:
        """Click into the image."""
        self.points += 1
        super().point(world_yx)

    def _look(self) -> None:
        dialog = QApplication.activeModalWidget()
        if dialog is not None:
            self.dialogs[id(dialog)] = dialog.windowTitle()


def label(hands: Stranger, image: Any, truth: Any) -> None:
    """Label points well inside each class, plane by plane."""
    rng = np.random.default_rng(1)
    codes = {name: code for code, name in truth.metadata["classes"].items()}
    for plane in PLANES:
        hands.plane(plane)
        seen = np.asarray(truth.data[plane])
        for name, key in KEYS.items():
            inside = isotropic_erosion(seen == codes[name], 1.5)[40:-40, 40:-40]
            places, picked = rng.permutation(np.argwhere(inside) + 40), []
            for place in places:
                apart = all(np.abs(place - other).max() > BETWEEN for other in picked)
                if apart and len(picked) < PER_CLASS // len(PLANES):
                    picked.append(place)
            hands.key(key)
            for place in picked:
                hands.point(image.data_to_world((plane, *place)))


def walk(hands: Stranger, folder: Path) -> dict[str, Any]:
    """Go the whole way."""
    viewer, seconds, began = hands.viewer, {}, time.perf_counter()

    def part(name: str) -> None:
        nonlocal began
        seconds[name] = round(time.perf_counter() - began, 1)
        began = time.perf_counter()

    hands.menu("Plugins", PLUGIN, "Lung classifier")
    hands.click("try_sample")
    hands.until(lambda: STACK in viewer.layers, 180, "the sample")
    hands.until(lambda: "Press A" in hands.find("next_step").text(), 30, "the first hint")
    part("open")
    image, truth = layer(viewer, STACK), layer(viewer, f"{STACK}, truth")
    label(hands, image, truth)
    part("label")
    hands.click("go_to_train")
    hands.click("train_start")
    hands.until(hands.find("train_start").isEnabled, 1200, "the end of training")
    said = hands.find("result").text()
    part("train")
    hands.click("step_paint")
    hands.click("paint_start")
    hands.until(hands.find("paint_start").isEnabled, 600, "the end of painting")
    part("paint")
    hands.click("step_measure")
    hands.file(folder, "measure_start")
    hands.until((folder / "index.html").exists, 120, "the page")
    part("measure")
    return {
        "clicks": hands.clicks,
        "in_menus": hands.in_menus,
        "dialogs": list(hands.dialogs.values()),
        "label_keys": hands.keys,
        "label_clicks": hands.points,
        "seconds": seconds | {"all": round(sum(seconds.values()), 1)},
        "said": said,
        **judge(layer(viewer, f"{image.name} map"), truth),
    }


def judge(shown: Any, truth: Any) -> dict[str, float]:
    """Compare a map with the truth, cell by cell."""
    painted = map_of(shown)
    assert painted is not None
    planes, rows, columns = np.indices(painted.classes.shape)
    where = np.stack([planes, rows, columns], -1).reshape(-1, 3)
    world = where * shown.scale + shown.translate
    at = np.rint((world - truth.translate) / truth.scale).astype(int)
    exact = np.asarray(truth.data)[tuple(at.T)]
    codes = {name: code for code, name in truth.metadata["classes"].items()}
    wanted = np.array([codes[name] for name in ("", *painted.scheme.names) if name], exact.dtype)
    found = wanted[np.asarray(painted.classes).ravel().astype(int) - 1]
    counted = np.isin(exact, wanted)
    errors = [(found[counted] == code).mean() - (exact[counted] == code).mean() for code in wanted]
    return {
        "right": round(float((found == exact)[counted].mean()), 4),
        "share_error": round(100 * float(np.abs(errors).max()), 2),
    }


def main() -> None:
    """Walk and print what was counted."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        # What somebody chose here before is no default.
        os.environ["LUNGCLS_CHOICES"] = str(Path(folder) / "choices.json")
        in_napari(lambda hands: found.update(walk(hands, Path(folder))), Stranger)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
