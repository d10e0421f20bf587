"""Milliseconds of a core that the changes of training tiles take, for one step at one zoom.

    python benchmarks/augmentation.py [--batch 4] [--tile 256] [--repeats 30]

prints JSON: for each change with those of the defaults, for the defaults alone and for all
together, the fastest and the median batch. It is the processor's time, so that other programs
disturb it little; with OMP_NUM_THREADS=1 it is what a batch takes where nothing else runs.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np

from napari_lungcls.learning.augmentation import augmented, crop_edge
from napari_lungcls.learning.examples import Crops
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.network.spec import Normalisation

CHANGES: dict[str, Any] = {
    "rotation": "any",
    "scale": 0.2,
    "elastic": 4.0,
    "brightness": 0.1,
    "contrast": 0.1,
    "stain": 0.05,
    "blur": 2.0,
    "noise": 0.1,
}
SCALE = Normalisation(mean=(150, 150, 150), std=(50, 50, 50))


def main() -> None:
    """Time the defaults, each further change, and all of them."""
    parser = argparse.ArgumentParser(description="milliseconds of augmentation per batch")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--tile", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=30)
    args = parser.parse_args()
    changes: dict[str, dict[str, Any]] = {"defaults": {}}
    changes |= {name: {name: strength} for name, strength in CHANGES.items()} | {"all": CHANGES}
    taken = {name: _seconds(args, changed) for name, changed in changes.items()}
    milliseconds = {
        name: {"fastest": round(1000 * min(t), 1), "median": round(1000 * float(np.median(t)), 1)}
        for name, t in taken.items()
    }
    shape = {"batch": args.batch, "tile": args.tile}
    print(json.dumps(shape | {"milliseconds": milliseconds}, indent=2))


def _seconds(args: argparse.Namespace, changed: dict[str, Any]) -> list[float]:
    settings = TrainingSettings(zooms=(1,), tile=args.tile, **changed)
    rng, edge = np.random.default_rng(0), crop_edge(settings)
    pixels = rng.integers(0, 256, (args.batch, 1, edge, edge, 3), np.uint8)
    owner = np.arange(8 * args.batch) // 8
    places = rng.uniform(0, edge - 1, (len(owner), 1, 2))
    crops = Crops(pixels, np.arange(len(owner)), owner, places)
    taken = []
    for _ in range(args.repeats):
        began = time.process_time()
        augmented(crops, settings, SCALE, rng)
        taken.append(time.process_time() - began)
    return taken


if __name__ == "__main__":
    main()
