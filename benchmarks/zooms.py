"""One zoom against three, where a window lies inside one airspace.

At 0.4 µm per pixel a window of 64 pixels is 26 µm wide and an alveolus of the synthetic lung
about 84: from inside an airspace only its surroundings tell an alveolus from a duct. Both
networks are trained on the same points of one section and asked at points of another that
lie at least 16 µm from any tissue, and at septa.

    python benchmarks/zooms.py [--edge 2560] [--points 150] [--epochs 8]

prints JSON: accuracy of each, and the seconds that training took.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

import napari_lungcls as lc
from napari_lungcls.synthetic import LungParameters, LungSection, make_section, sample_points

PIXEL_SIZE = 0.4
DEEP = 40.0
"""Pixels from the nearest pixel of another class."""

LUNG = LungParameters(airway_spacing=None, vessel_spacing=None)


def main() -> None:
    """Train and ask both networks."""
    parser = argparse.ArgumentParser(description="one zoom against three")
    parser.add_argument("--edge", type=int, default=2560, help="pixels of the sections")
    parser.add_argument("--points", type=int, default=150, help="points of each class")
    parser.add_argument("--epochs", type=int, default=8)
    args = parser.parse_args()
    studied, unseen = (_section(args.edge, seed) for seed in (1, 2))
    result: dict[str, object] = {"pixel_size": PIXEL_SIZE, "points": args.points}
    for zooms in ((1,), (1, 4), (1, 4, 16)):
        settings = lc.TrainingSettings(zooms=zooms, epochs=args.epochs, val_fraction=0, seed=1)
        began = time.perf_counter()
        model = lc.train(_stack(studied), _points(studied, args.points), settings)
        seconds = time.perf_counter() - began
        metrics = model.evaluate(_stack(unseen), _points(unseen, args.points))
        result["zooms " + ",".join(map(str, zooms))] = {
            "accuracy": round(metrics.accuracy, 4),
            "recall": {name: round(c.recall, 3) for name, c in metrics.per_class.items()},
            "seconds": round(seconds, 1),
        }
    print(json.dumps(result, indent=2))


def _section(edge: int, seed: int) -> LungSection:
    return make_section((edge, edge), pixel_size=PIXEL_SIZE, seed=seed, parameters=LUNG)


def _stack(section: LungSection) -> lc.ImageStack:
    return lc.ImageStack(section.image, rgb=True, pixel_size=section.pixel_size)


def _points(section: LungSection, per_class: int) -> lc.Points:
    """Points deep in the airspaces, and on septa."""
    air = sample_points(section, per_class, classes=("alveoli", "duct"), margin=DEEP, seed=3)
    septa = sample_points(section, per_class, classes=("septa",), margin=2.0, seed=3)
    return lc.Points.build(
        np.concatenate([air.coordinates, septa.coordinates]),
        np.concatenate([np.asarray(air.labels), np.asarray(septa.labels)]),
    )


if __name__ == "__main__":
    main()
