"""Training on a PatchCamelyon-shaped HDF5 file: memory above the framework's own, and speed.

    python benchmarks/patches.py [--patches 20000] [--steps N] [--chunk 32] [--gzip]

makes a file of random patches, trains one epoch on it (or so many steps), and prints JSON.
Every measurement is a process of its own, so that peaks do not add up.

- `framework_mb`: peak of a process that trains and answers with the same network and batches
  from memory, without any file.
- `peak_mb`, `above_framework_mb`: peak of the training from the file, and the difference.
- `images_per_second`: trained on, validation left out.
- `read_per_second`: patches that the shuffled order reads and widens for turns in a second, with
  nothing else to do; `reading_share` is what that costs of the training's time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

EDGE, BATCH = 96, 32
READ_BATCHES = 150


def main() -> None:
    """Make the file and start the processes that measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patches", type=int, default=20_000)
    parser.add_argument("--steps", type=int, default=0, help="stop after so many; 0: one epoch")
    parser.add_argument("--chunk", type=int, default=32, help="patches stored together; 0: none")
    parser.add_argument("--gzip", action="store_true", help="compress the chunks")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part:
        print(json.dumps(PARTS[args.part](args)))
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "made_train_x.h5"
        _make(file, args)
        size = file.stat().st_size
        found = {part: _child(part, file, args) for part in PARTS}
    trained, framework = found["train"], found["framework"]
    print(
        json.dumps(
            {
                "patches": args.patches,
                "file_mb": round(size / 1e6),
                "threads": int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)),
                "framework_mb": framework["peak_mb"],
                "peak_mb": trained["peak_mb"],
                "above_framework_mb": round(trained["peak_mb"] - framework["peak_mb"], 1),
                "images": trained["images"],
                "images_per_second": trained["images_per_second"],
                "read_per_second": found["read"]["read_per_second"],
                "reading_share": round(
                    trained["images_per_second"] / found["read"]["read_per_second"], 4
                ),
            },
            indent=2,
        )
    )


def _make(file: Path, args: argparse.Namespace) -> None:
    """Write patches of two classes, of which one is a little brighter."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2, args.patches)
    with h5py.File(file, "w") as stored:
        x = stored.create_dataset(
            "x",
            (args.patches, EDGE, EDGE, 3),
            np.uint8,
            chunks=(args.chunk, EDGE, EDGE, 3) if args.chunk else None,
            compression="gzip" if args.gzip else None,
        )
        for first in range(0, args.patches, 1000):
            some = codes[first : first + 1000, None, None, None]
            x[first : first + 1000] = rng.integers(0, 200, (len(some), EDGE, EDGE, 3)) + 20 * some
    with h5py.File(file.with_name("made_train_y.h5"), "w") as stored:
        stored["y"] = codes.reshape(-1, 1, 1, 1).astype(np.uint8)


def _child(part: str, file: Path, args: argparse.Namespace) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, "--part", part, "--file", str(file), "--steps", str(args.steps)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result


def _train(args: argparse.Namespace) -> dict[str, float]:
    import napari_lungcls as lc
    from napari_lungcls.utils.memory import peak_memory_mb

    times: list[float] = []
    run = lc.patch_training(
        args.file,
        lc.TrainingSettings(epochs=1, pretrained="none"),
        cancelled=lambda: 0 < args.steps <= len(times),
    )
    for step in run:
        # The step that ends an epoch has waited for the validation.
        if step.record is None:
            times.append(time.perf_counter())
    return {
        "peak_mb": round(peak_memory_mb(), 1),
        "images": len(times) * BATCH,
        "images_per_second": round((len(times) - 1) * BATCH / (times[-1] - times[0]), 1),
    }


def _framework(args: argparse.Namespace) -> dict[str, float]:
    from napari_lungcls.learning.trainer import ASKED_PIXELS
    from napari_lungcls.network.engines import OptimizerOptions, create_engine
    from napari_lungcls.network.spec import NetworkSpec, Normalisation
    from napari_lungcls.network.tiles import Tiles
    from napari_lungcls.utils.memory import peak_memory_mb

    norm = Normalisation(mean=(100, 100, 100), std=(50, 50, 50))
    spec = NetworkSpec(
        zooms=(1,), tile=EDGE, stages=(4,), hidden=0, classes=2, pooling="mean", padding="zeros",
        normalisation=norm,
    )  # fmt: skip
    engine = create_engine("torch", spec)
    engine.prepare(OptimizerOptions())
    rng = np.random.default_rng(0)
    for size in (BATCH, BATCH, BATCH, ASKED_PIXELS // EDGE**2):
        pixels = rng.integers(0, 255, (size, 1, EDGE, EDGE, 3)).astype(np.float32)
        tiles = Tiles(pixels, np.arange(size), np.zeros((size, 1, 2)))
        if size == BATCH:
            codes = rng.integers(0, 2, size)
            engine.train_step(tiles, codes, np.ones(size, np.float32), 1e-3)
        else:
            engine.logits(tiles)
    return {"peak_mb": round(peak_memory_mb(), 1)}


def _read(args: argparse.Namespace) -> dict[str, float]:
    import napari_lungcls as lc
    from napari_lungcls.learning.augmentation import crop_edge
    from napari_lungcls.learning.examples import Side
    from napari_lungcls.learning.trainer import draw_epoch
    from napari_lungcls.patch_datasets.dataset import PatchSet
    from napari_lungcls.patch_datasets.settings import for_patches

    data = lc.open_patches(args.file)
    settings = for_patches(lc.TrainingSettings(), data.size, data.source)
    examples = PatchSet(data, data.codes(data.scheme()))
    rng, everything, edge = (
        np.random.default_rng(0),
        Side(np.arange(len(data))),
        crop_edge(settings),
    )
    drawn = draw_epoch(examples, everything.rows, settings, rng)
    began = time.perf_counter()
    for rows in drawn[:READ_BATCHES]:
        examples.crops(rows, everything, EDGE, edge, rng)
    done = min(READ_BATCHES, len(drawn)) * BATCH
    return {"read_per_second": round(done / (time.perf_counter() - began), 1)}


PARTS = {"train": _train, "framework": _framework, "read": _read}

if __name__ == "__main__":
    main()
