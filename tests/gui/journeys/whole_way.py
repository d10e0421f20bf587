"""From an empty viewer to saved results, by mouse and keys, in a napari of its own.

Run by test_journeys.py as `python whole_way.py FOLDER`; writes what it saw to seen.json.
"""

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from common import KEYS, PLUGIN, STACK, in_napari, layer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton

from driving import LEFT, Hands, Pulse

PER_CLASS = 6
PLANES = (3, 5)
DRAWN = 0.3
"""Seconds in which a layer that was added has been drawn."""

LOOKED_AT = ((3, 120.0, 140.0), (5, 300.0, 260.0))
"""Where the model is asked before it is saved and after it is loaded."""


def places(truth: Any, plane: int, rng: np.random.Generator) -> dict[str, Any]:
    """Choose pixels well inside each class of a plane, apart, as somebody would see them."""
    from skimage.morphology import isotropic_erosion

    codes = {name: code for code, name in truth.metadata["classes"].items()}
    seen, found = np.asarray(truth.data[plane]), {}
    for name in KEYS:
        inside = np.argwhere(isotropic_erosion(seen == codes[name], 1.5)[40:-40, 40:-40]) + 40
        inside = rng.permutation(inside)
        picked = [inside[0]]
        for pixel in inside:
            if len(picked) < PER_CLASS and np.abs(np.array(picked) - pixel).max(1).min() > 20:
                picked.append(pixel)
        found[name] = np.column_stack([np.full(PER_CLASS, plane), picked])
    return found


def label(hands: Hands, image: Any, truth: Any) -> Any:
    """Label 36 points in two planes; relabel two, and take one of these back."""
    rng = np.random.default_rng(1)
    wanted = []
    for plane in PLANES:
        hands.plane(plane)
        for name, pixels in places(truth, plane, rng).items():
            hands.key(KEYS[name])
            for pixel in pixels:
                hands.point(image.data_to_world(pixel))
                wanted.append((name, pixel))
    points = layer(hands.viewer, f"{image.name} points")
    assert len(points.data) == 6 * PER_CLASS, len(points.data)
    # A click hits the middle of a canvas pixel, not the very place that was meant.
    reach = 0.6 / hands.viewer.scene.camera.zoom / image.scale[-1]
    apart = np.abs(points.data - np.array([pixel for _, pixel in wanted]))
    assert apart.max() <= reach, (apart.max(), reach)
    assert list(points.features["class"]) == [name for name, _ in wanted]
    relabel(hands, points)
    return points


def relabel(hands: Hands, points: Any) -> None:
    """Give two points another class, one after the other, and undo the second."""
    before = list(points.features["class"])
    buttons = hands.window.findChildren(QAbstractButton)
    select = [b for b in buttons if getattr(b, "mode", None) == "select" and b.isVisible()]
    QTest.mouseClick(select[0], LEFT)
    for row in (len(before) - 1, len(before) - 2):
        hands.point(points.data_to_world(points.data[row]))
        assert set(points.selected_data) == {row}, points.selected_data
        hands.key("s")
    assert list(points.features["class"])[-2:] == ["septa", "septa"]
    hands.key("Ctrl+Z")
    assert list(points.features["class"]) == [*before[:-2], before[-2], "septa"]


class Watched(NamedTuple):
    """A map as it was painted: gaps in seconds, and how often it was seen to change."""

    layer: Any
    bare_gap: float
    layer_gap: float
    painting_gap: float
    changes: int


def train(hands: Hands, pulse: Pulse) -> float:
    """Train, cancel, train again; return the longest gap."""
    hands.click("go_to_train")
    hands.click("expert_settings")
    hands.type("field_zooms", "1")
    hands.type("field_val_fraction", "0")
    hands.click("train_start")
    words = hands.find("train_status")
    hands.until(lambda: "loss" in words.text(), 120, "the first steps")
    hands.click("train_cancel")
    start = hands.find("train_start")
    hands.until(start.isEnabled, 60, "the end of the cancelled training")
    said = hands.find("result").text()
    assert "ancel" in said, said
    hands.click("field_epochs_automatic")
    hands.type("field_epochs_value", "3")
    pulse.restart()
    hands.click("train_start")
    hands.until(start.isEnabled, 600, "the end of training")
    return pulse.restart()


def add_a_layer(hands: Hands, image: Any, pulse: Pulse) -> float:
    """Add labels and take them away, while nothing is painted; return the longest gap.

    That is what napari needs on this machine: widgets of the layer, and its visual's shaders.
    """
    pulse.restart()
    added = hands.viewer.add_labels(np.ones(image.data.shape[:3], np.uint8))
    hands.settle(DRAWN)
    gap = pulse.restart()
    hands.viewer.layers.remove(added)
    hands.settle(DRAWN)
    return gap


def paint(hands: Hands, image: Any, pulse: Pulse) -> Watched:
    """Paint the stack."""
    hands.click("step_paint")
    hands.choose("paint_extent", "Whole stack")
    hands.type("paint_stride", "4")
    hands.click("with_confidence")
    bare_gap = add_a_layer(hands, image, pulse)
    pulse.restart()
    hands.click("paint_start")
    hands.until(lambda: f"{image.name} map" in hands.viewer.layers, 60, "the map's layer")
    hands.settle(DRAWN)
    layer_gap = pulse.restart()
    shown, counts = layer(hands.viewer, f"{image.name} map"), []
    start = hands.find("paint_start")

    def ended() -> bool:
        counts.append(int(np.count_nonzero(shown.data)))
        return bool(start.isEnabled())

    first = hands.viewer.dims.current_step[0]
    hands.until(lambda: ended() or counts[-1] > 0, 60, "the first plane")
    planes = np.flatnonzero(np.asarray(shown.data).any(axis=(1, 2)))
    assert first in planes, f"plane {first} is in view, planes {planes} were painted first"
    hands.until(ended, 200, "the end of painting")
    painting_gap = pulse.restart()
    assert np.all(shown.data), "cells were left out"
    return Watched(shown, bare_gap, layer_gap, painting_gap, len(set(counts)))


def classify(hands: Hands, image: Any) -> Any:
    """Drag a rectangle and click a point to classify a grid and a point."""
    hands.click("predict_mode")
    plane = hands.viewer.dims.current_step[0]
    corners = [image.data_to_world((plane, y, x)) for y, x in ((200, 200), (296, 296))]
    hands.drag(*corners)
    name = f"{image.name} predictions"
    hands.until(lambda: name in hands.viewer.layers, 60, "the predictions")
    found = layer(hands.viewer, name)
    hands.until(lambda: len(found.data) >= 4, 60, "a grid of predictions")
    hands.settle(1)
    grid = len(found.data)
    hands.point(image.data_to_world((plane, 100, 100)))
    hands.until(lambda: len(found.data) == grid + 1, 60, "the point")
    hands.click("predict_undo")
    assert len(found.data) == grid
    hands.click("predict_mode")
    return found


def save_all(hands: Hands, folder: Path) -> None:
    """Save the map, the model and the points through file dialogs."""
    for step, button, name in (
        ("step_paint", "save_map", "map.ome.zarr"),
        ("step_train", "save_model", "lung.safetensors"),
        ("step_label", "save_points", "lung.lungcls.csv"),
    ):
        hands.click(step)
        hands.file(folder / name, button)
        hands.until((folder / name).exists, 60, name)


def measure(hands: Hands, folder: Path) -> list[str]:
    """Measure the map as it is; give the first column of the table."""
    hands.click("step_measure")
    folder.mkdir()  # a dialog for folders takes those that exist
    hands.file(folder, "measure_start")
    hands.until(lambda: (folder / "index.html").exists(), 60, "the page")
    hands.until(hands.find("measure_start").isEnabled, 30, "the end of measuring")
    return [path.name for path in folder.iterdir()]


def go(hands: Hands, folder: Path) -> None:
    """Go the whole way and write down what was seen."""
    from napari_lungcls.gui.session import session

    viewer, pulse = hands.viewer, Pulse()
    hands.menu("Plugins", PLUGIN, "Lung classifier")
    hands.click("try_sample")
    hands.until(lambda: STACK in viewer.layers, 120, "the sample")
    image = layer(viewer, STACK)
    hands.until(lambda: "Press A" in hands.find("next_step").text(), 30, "the first hint")
    points = label(hands, image, layer(viewer, f"{STACK}, truth"))
    training_gap = train(hands, pulse)
    painted = paint(hands, image, pulse)
    shown = painted.layer
    found = classify(hands, image)
    measured = measure(hands, folder / "measured")
    save_all(hands, folder)
    viewer.screenshot(folder / "window.png", canvas_only=False)
    model = session(viewer).current.model
    seen = {
        "points": np.asarray(points.data).tolist(),
        "labels": list(points.features["class"]),
        "cells": np.asarray(shown.data).tolist(),
        "place": [list(map(float, shown.scale)), list(map(float, shown.translate))],
        "probabilities": model.classify(image, LOOKED_AT).tolist(),
        "predictions": len(found.data),
        "measured": measured,
        "changes": painted.changes,
        "training_gap_ms": round(1e3 * training_gap),
        "painting_gap_ms": round(1e3 * painted.painting_gap),
        "layer_gap_ms": round(1e3 * painted.layer_gap),
        "bare_gap_ms": round(1e3 * painted.bare_gap),
    }
    (folder / "seen.json").write_text(json.dumps(seen))


if __name__ == "__main__":
    in_napari(lambda hands: go(hands, Path(sys.argv[1])))
