"""A slide that is mostly glass, against as much tissue as is worth painting.

Paints a whole section from a zarr store to a zarr store, and in turn with it an image made of
its tissue alone, a crop repeated in mirror images. Blank glass is left out, so the first, though
larger, should not take longer.

    python benchmarks/glass.py SECTION.jpg [--tissue 500 2000 3100 4300] [--megapixels 12]

prints JSON: the medians of the rounds, and their ratio. Weights are random, which changes no
time; a model trained on the section may be given with --model.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import zarr
from numpy.typing import NDArray

import napari_lungcls as lc
from napari_lungcls.annotation import ClassScheme
from napari_lungcls.model import Model
from napari_lungcls.network.engines import create_engine
from napari_lungcls.network.model_file import ModelDocument
from napari_lungcls.network.spec import NetworkSpec, Normalisation


def main() -> None:
    """Paint both, round after round."""
    args = _arguments()
    section = lc.open_image(args.section)
    model = lc.load(args.model, device=args.device) if args.model else _random(args.device)
    plane = section.plane()
    whole = plane.read(slice(0, plane.shape[0]), slice(0, plane.shape[1]))
    top, bottom, left, right = args.tissue
    tissue = _repeated(whole[top:bottom, left:right], args.megapixels)
    seconds: dict[str, list[float]] = {"section": [], "tissue": []}
    processor: dict[str, list[float]] = {"section": [], "tissue": []}
    with tempfile.TemporaryDirectory(prefix="lungcls-benchmark-") as folder:
        stacks = {
            name: lc.open_image(_store(Path(folder) / f"{name}.zarr", image))
            for name, image in (("section", whole), ("tissue", tissue))
        }
        for i in range(args.rounds + 1):
            for name, stack in stacks.items():
                began, worked = time.perf_counter(), time.process_time()
                out = Path(folder) / "map.zarr"
                options = {"precision": "fp32", "probabilities": False, "overwrite": True}
                model.paint(stack, args.stride, out=out, **options)
                if i:
                    seconds[name].append(time.perf_counter() - began)
                    processor[name].append(time.process_time() - worked)
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    work = {name: statistics.median(found) for name, found in processor.items()}
    result = {
        "section_mpx": round(whole.shape[0] * whole.shape[1] / 1e6, 2),
        "tissue_mpx": round(tissue.shape[0] * tissue.shape[1] / 1e6, 2),
        "section_seconds": round(medians["section"], 2),
        "tissue_seconds": round(medians["tissue"], 2),
        "section_over_tissue": round(medians["section"] / medians["tissue"], 3),
        "section_processor_seconds": round(work["section"], 2),
        "tissue_processor_seconds": round(work["tissue"], 2),
        "processor_section_over_tissue": round(work["section"] / work["tissue"], 3),
    }
    print(json.dumps(result, indent=2))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="a slide that is mostly glass")
    parser.add_argument("section", type=Path)
    window = {"type": int, "nargs": 4, "default": (500, 2000, 3100, 4300)}
    parser.add_argument("--tissue", **window, help="rows and columns full of tissue")
    parser.add_argument("--megapixels", type=float, default=12.0, help="of tissue")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--stride", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    return parser.parse_args()


def _random(device: str) -> Model:
    norm = Normalisation(mean=(200, 170, 200), std=(40, 50, 40))
    spec = NetworkSpec(classes=3, normalisation=norm)
    document = ModelDocument(network=spec, scheme=ClassScheme.preset("lung"))
    return Model(document, create_engine("torch", spec, device="cpu").state(), device=device)


def _repeated(crop: NDArray[np.generic], megapixels: float) -> NDArray[np.generic]:
    """Fill a square of so many megapixels with mirror images of a crop."""
    edge = round((megapixels * 1e6) ** 0.5)
    pads = [(0, max(0, edge - n)) for n in crop.shape[:2]]
    return np.pad(crop, [*pads, (0, 0)], mode="symmetric")[:edge, :edge]


def _store(path: Path, image: NDArray[np.generic]) -> Path:
    array = zarr.create_array(path, shape=image.shape, dtype=image.dtype, chunks=(512, 512, 3))
    array[:] = image
    return path


if __name__ == "__main__":
    main()
