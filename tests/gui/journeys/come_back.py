"""Open again in a new napari what whole_way.py saved, by mouse and keys.

Run by test_journeys.py as `python come_back.py FOLDER`; writes what it saw to again.json.
"""

import json
import sys
from pathlib import Path

import numpy as np
from common import PLUGIN, in_napari, layer, open_stack
from whole_way import LOOKED_AT

from driving import Hands


def go(hands: Hands, folder: Path) -> None:
    """Open points, model and map, and write down what is there."""
    from napari_lungcls.gui.session import session

    viewer = hands.viewer
    image = open_stack(hands)
    hands.menu("Plugins", PLUGIN, "Label points")
    hands.file(folder / "lung.lungcls.csv", "open_points")
    hands.until(lambda: "lung" in viewer.layers, 30, "the points")
    points = layer(viewer, "lung")
    hands.menu("Plugins", PLUGIN, "Train")
    hands.file(folder / "lung.safetensors", "load_model")
    hands.until(lambda: session(viewer).current is not None, 30, "the model")
    hands.menu("Plugins", PLUGIN, "Paint")
    hands.file(folder / "map.ome.zarr", "open_map", "OME-Zarr")
    hands.until(lambda: "map" in viewer.layers, 60, "the map")
    shown = layer(viewer, "map")
    viewer.screenshot(folder / "again.png", canvas_only=False)
    seen = {
        "points": np.asarray(points.data).tolist(),
        "labels": list(points.features["class"]),
        "cells": np.asarray(shown.data).tolist(),
        "place": [list(map(float, shown.scale)), list(map(float, shown.translate))],
        "probabilities": session(viewer).current.model.classify(image, LOOKED_AT).tolist(),
    }
    (folder / "again.json").write_text(json.dumps(seen))


if __name__ == "__main__":
    in_napari(lambda hands: go(hands, Path(sys.argv[1])))
