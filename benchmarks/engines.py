"""The engines side by side: training steps per second, and painted megapixels per second.

Every engine does the same work in turn, round after round, in one process, so that whatever
else the machine does meets them alike. Weights and data are random, which changes no time.

    python benchmarks/engines.py [--device cpu] [--edge 2048] [--rounds 5] [--quick]

prints JSON: for each engine the median of its rounds, and its speed as a share of torch's.
`OMP_NUM_THREADS` sets the threads of all; without it each library chooses.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable

import numpy as np

import napari_lungcls as lc
from napari_lungcls.annotation import ClassScheme
from napari_lungcls.model import Model
from napari_lungcls.network.engines import (
    ENGINES,
    Engine,
    OptimizerOptions,
    create_engine,
    engine_status,
)
from napari_lungcls.network.model_file import ModelDocument, software_versions
from napari_lungcls.network.spec import NetworkSpec, Normalisation
from napari_lungcls.network.tiles import Tiles

REFERENCE = "torch"
TILES = 4
POINTS = 64
"""In all tiles of a step together."""


def main() -> None:
    """Measure all engines that can run here."""
    args = _arguments()
    names = [name for name in ENGINES if engine_status(name)["available"]]
    scheme = ClassScheme.preset("lung")
    norm = Normalisation(mean=(200, 170, 200), std=(40, 50, 40))
    spec = NetworkSpec(zooms=args.zooms, classes=len(scheme), normalisation=norm)
    document = ModelDocument(network=spec, scheme=scheme)
    state = create_engine(REFERENCE, spec, device="cpu").state()
    models = {name: Model(document, state, engine=name, device=args.device) for name in names}
    image = _image(args.edge)
    train = {name: _training(model.engine) for name, model in models.items()}
    paint = {name: _painting(model, image, args.stride) for name, model in models.items()}
    megapixels = args.edge**2 / 1e6
    steps = _alternate(train, args.rounds, repeats=2 if args.quick else 5)
    maps = _alternate(paint, args.rounds)
    result = {
        "training_steps_per_second": {n: round(1 / s, 3) for n, s in steps.items()},
        "painted_megapixels_per_second": {n: round(megapixels / s, 3) for n, s in maps.items()},
        "training_speed_ratio": {n: round(steps[REFERENCE] / s, 3) for n, s in steps.items()},
        "painting_speed_ratio": {n: round(maps[REFERENCE] / s, 3) for n, s in maps.items()},
        "devices": {name: model.engine.device for name, model in models.items()},
        "threads": os.environ.get("OMP_NUM_THREADS", f"as each chooses of {os.cpu_count()}"),
        "processor": platform.processor() or platform.machine(),
        "settings": vars(args) | {"tiles": TILES, "points": POINTS, "network": spec.model_dump()},
        "versions": software_versions(),
    }  # fmt: skip
    print(json.dumps(result, indent=2))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="the engines side by side")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--edge", type=int, default=2048, help="pixels of the painted image")
    parser.add_argument("--stride", type=int, default=4)
    parser.add_argument("--zooms", type=int, nargs="+", default=[1])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a small image, two rounds")
    args = parser.parse_args()
    if args.quick:
        args.edge, args.rounds = 768, 2
    return args


def _image(edge: int) -> np.ndarray:
    coarse = np.random.default_rng(0).integers(90, 255, (edge // 16, edge // 16, 3))
    return coarse.repeat(16, 0).repeat(16, 1).astype(np.uint8)


def _training(engine: Engine) -> Callable[[], object]:
    """Return one step of training on a batch of usual size."""
    spec, rng = engine.spec, np.random.default_rng(0)
    shape = (TILES, len(spec.zooms), spec.tile, spec.tile, 3)
    places = rng.uniform(0, spec.tile - 1, (POINTS, len(spec.zooms), 2))
    owner = rng.integers(0, TILES, POINTS)
    tiles = Tiles(rng.integers(0, 255, shape, np.uint8), owner, places)
    codes, weights = rng.integers(0, spec.classes, POINTS), np.ones(POINTS, np.float32)
    engine.prepare(OptimizerOptions(dropout=0.3, weight_decay=1e-4))
    return lambda: engine.train_step(tiles, codes, weights, 1e-4)


def _painting(model: Model, image: np.ndarray, stride: int) -> Callable[[], object]:
    stack = lc.as_stack(image)
    return lambda: model.paint(stack, stride, probabilities=False)


def _alternate(
    work: dict[str, Callable[[], object]], rounds: int, repeats: int = 1
) -> dict[str, float]:
    """Give the median seconds of each, taking turns; a first round is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for i in range(rounds + 1):
        for name, do in work.items():
            began = time.perf_counter()
            for _ in range(repeats):
                do()
            if i:
                seconds[name].append((time.perf_counter() - began) / repeats)
    return {name: statistics.median(found) for name, found in seconds.items()}


if __name__ == "__main__":
    main()
