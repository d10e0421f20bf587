"""Training against a bare loop: how fast, how soon it is right, in how much memory.

    python benchmarks/training.py [--section IMAGE --points CSV] [--device auto] [--quick]

prints JSON. `tiles_per_second` is that of whole training steps (drawing, augmentation, step),
`bare_tiles_per_second` that of a plain loop of PyTorch with the same network, optimiser,
precision and batches that lie ready; both take turns in one process, medians of rounds.
`seconds_to_95` is the time until the map, asked after an epoch, is right at 0.95 of fresh points
(asking not counted); the section if given, else the synthetic lung.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import napari_lungcls as lc
from napari_lungcls.annotation import ClassScheme
from napari_lungcls.learning.augmentation import augmented, crop_edge, reach
from napari_lungcls.learning.dataset import PointSet, read_point_set
from napari_lungcls.learning.examples import Side
from napari_lungcls.learning.initialization import Initialization, start_network
from napari_lungcls.learning.point_index import place_points
from napari_lungcls.learning.progress import Clock
from napari_lungcls.learning.trainer import Trainer, TrainingPart
from napari_lungcls.model import Model
from napari_lungcls.network.engines.torch.engine import TorchEngine
from napari_lungcls.network.model_file import ModelDocument, software_versions
from napari_lungcls.synthetic import LungParameters, make_section, sample_points
from napari_lungcls.utils.memory import peak_memory_mb

ENOUGH = 0.95


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description="training against a bare loop")
    parser.add_argument("--section")
    parser.add_argument("--points")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="no time to 0.95, three rounds")
    args = parser.parse_args()
    footprint = peak_memory_mb()
    stack, points, fresh = _material(args)
    given = lc.TrainingSettings(
        device=args.device, batch_size=args.batch_size, val_fraction=0, seed=1, pretrained="none"
    )
    settings = Initialization().resolve(given, [(stack, points)])
    loop = _loop(stack, points, settings)
    ours, bare = _rates(loop, 3 if args.quick else args.rounds)
    result: dict[str, object] = {
        "tiles_per_second": round(ours, 1),
        "bare_tiles_per_second": round(bare, 1),
        "ratio": round(ours / bare, 3),
        "device": loop.engine.device,
        "threads": torch.get_num_threads(),
        "precision": loop.engine.precision,
        "batch_size": settings.batch_size,
        "tile": settings.tile,
        "zooms": settings.zooms,
    }
    if not args.quick:
        seconds, accuracy = _until_enough(_loop(stack, points, settings), stack, fresh)
        result |= {"seconds_to_95": seconds, "painted_accuracy": accuracy}
    result |= {
        "peak_rss_mb": round(peak_memory_mb(), 1),
        "framework_rss_mb": round(footprint, 1),
        "versions": software_versions(),
    }
    print(json.dumps(result, indent=2))


def _material(args: argparse.Namespace) -> tuple[lc.ImageStack, lc.Points, lc.Points]:
    if args.section:
        sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
        from real_section import fresh_points

        return lc.open_image(args.section), lc.read_points(args.points), fresh_points(300)
    lung = LungParameters(airway_spacing=None, vessel_spacing=None)
    made = make_section((3000, 1500), pixel_size=1.0, seed=1, parameters=lung)
    every = sample_points(made, 600, classes=("alveoli", "septa", "duct"), margin=2.0, seed=3)
    upper = every.coordinates[:, 0] < 1500
    stack = lc.ImageStack(made.image, rgb=True, pixel_size=1.0)
    return stack, every.select(upper), every.select(~upper)


def _loop(stack: lc.ImageStack, points: lc.Points, settings: lc.TrainingSettings) -> Trainer:
    scheme = ClassScheme.preset("lung")
    layout = place_points([(stack, points)], scheme, settings.zooms, stack.pixel_size)
    *_, examples = read_point_set([(stack, points)], layout, reach(settings))
    assert isinstance(examples, PointSet)
    every, dtype = Side(np.arange(len(points))), str(stack.dtype)
    engine = start_network(examples, every, settings, len(scheme), dtype, Initialization())
    return Trainer(examples, TrainingPart("", every, Side()), settings, engine, (1, 0))


def _rates(loop: Trainer, rounds: int) -> tuple[float, float]:
    """Tiles per second of whole steps, and of the bare loop, taking turns."""
    clock = Clock()
    clock.start(loop.total)
    steps = loop.run(clock, 0, lambda: False)
    bare = _bare(loop)
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 1):
        for found, do in zip(seconds, (lambda: next(steps), bare), strict=True):
            began = time.perf_counter()
            for _ in range(3):
                do()
            if turn:
                found.append((time.perf_counter() - began) / 3)
    size = loop.settings.batch_size
    assert size is not None
    return size / statistics.median(seconds[0]), size / statistics.median(seconds[1])


def _bare(loop: Trainer) -> Callable[[], object]:
    """Give one step of a plain loop on a batch that lies on the device."""
    engine = TorchEngine(loop.engine.spec, device=loop.engine.device)
    settings, rng = loop.settings, np.random.default_rng(0)
    assert settings.tile is not None
    rows = loop.part.train.rows[: settings.batch_size]
    crops = loop.examples.crops(rows, loop.part.train, settings.tile, crop_edge(settings), rng)
    tiles, found = augmented(crops, settings, engine.spec.normalisation, rng)
    device = torch.device(engine.device)
    values = torch.from_numpy(tiles.pixels).to(device)
    images = ((values - 128) / 64).permute(0, 1, 4, 2, 3)
    owner = torch.from_numpy(tiles.owner).to(device)
    places = torch.from_numpy(tiles.places.astype(np.float32)).to(device)
    codes = torch.from_numpy(loop.examples.codes[found]).to(device)
    network = engine._network.train()
    optimizer = torch.optim.Adam(network.parameters(), 1e-6)
    kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(loop.engine.precision)

    def step() -> float:
        with torch.autocast(device.type, kind, enabled=kind is not None):
            features = network.features(images, owner, places)
        logits = network.classify({stage: part.float() for stage, part in features.items()})
        loss = torch.nn.functional.cross_entropy(logits, codes)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        return float(loss.detach())

    return step


def _until_enough(
    loop: Trainer, stack: lc.ImageStack, fresh: lc.Points
) -> tuple[float | None, float]:
    """Train; give the seconds until the map is right often enough, and how right it is."""
    clock = Clock()
    clock.start(loop.total)
    began, painting, accuracy = time.perf_counter(), 0.0, 0.0
    scheme = ClassScheme.preset("lung")
    for progress in loop.run(clock, 0, lambda: False):
        if progress.record is None:
            continue
        paused = time.perf_counter()
        document = ModelDocument(
            network=loop.engine.spec, scheme=scheme, pixel_size=stack.pixel_size
        )
        model = Model(document, loop.engine.state(), device=loop.engine.device)
        accuracy = model.evaluate(stack, fresh).accuracy
        painting += time.perf_counter() - paused
        if accuracy >= ENOUGH:
            return round(time.perf_counter() - began - painting, 1), round(accuracy, 4)
    return None, round(accuracy, 4)


if __name__ == "__main__":
    main()
