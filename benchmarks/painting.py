"""Painting against the hardware's own limit, and against classifying window by window.

Three things are timed in turn, round after round, in one process, so that whatever else the
machine does meets them alike; the figures are medians of the rounds.

- The bare backbone: ResNet-18 with its BatchNorm folded, on tiles that lie in memory already, at
  the tile size that suits it best. Nothing that reads every pixel once can be faster. Where the
  device computes faster in another precision, the backbone in that precision too.
- `paint` from a zarr store to a zarr store: reading, averaging, backbone, detail, heads,
  interpolation, the hidden layer, compressing, and the map's pyramid.
- The same weights window by window, 64 pixels at each zoom per point, in large batches that lie
  in memory already: what a rival could reach at best.

    python benchmarks/painting.py [--device auto] [--edge 6144] [--rounds 5] [--quick]

prints JSON. Weights and image are random, which changes no time; no part of the image is blank,
because painting leaves blank glass out. What was run goes to stderr.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import zarr

import napari_lungcls as lc
from napari_lungcls.annotation import ClassScheme
from napari_lungcls.model import Model
from napari_lungcls.network.engines import State, create_engine
from napari_lungcls.network.engines.torch.engine import resolve_device
from napari_lungcls.network.engines.torch.net import Network, folded, folded_detail
from napari_lungcls.network.engines.torch.painting import DTYPES
from napari_lungcls.network.model_file import ModelDocument, software_versions
from napari_lungcls.network.spec import NetworkSpec, Normalisation

TILES = {"cpu": (256, 512, 1024), "cuda": (512, 1024, 2048), "mps": (512, 1024, 2048)}
"""Edges of which the bare backbone takes the fastest; on CPUs larger ones leave the cache."""

BATCH = 64
WINDOW = 64
"""Edge of the windows of a rival."""
STRIDES = (8, 4)

Work = Callable[[], float]
"""Does a piece of work and returns its size in megapixels, or in windows."""


def main() -> None:
    """Time everything in turn and print the medians."""
    args = _arguments()
    device = resolve_device(args.device)
    spec = _spec(args.zooms)
    engine = create_engine("torch", spec, device=str(device))
    document = ModelDocument(network=spec, scheme=ClassScheme.preset("lung"))
    model = Model(document, engine.state(), device=str(device))
    reduced = _reduced_precision(device)
    with tempfile.TemporaryDirectory(prefix="lungcls-benchmark-") as folder:
        stack = lc.open_image(_write_image(Path(folder) / "image.zarr", _shape(args)))
        work: dict[str, Work] = {"backbone": _backbone(spec, device, "fp32")}
        if reduced:
            work["backbone_reduced"] = _backbone(spec, device, reduced)
        work["windows"] = _windows(engine.state(), spec, device)
        for stride in STRIDES:
            work[f"paint{stride}"] = _paint(model, stack, stride, Path(folder), "fp32")
        if reduced:
            work["reduced"] = _paint(model, stack, STRIDES[0], Path(folder), reduced)
        speeds = _alternate(work, args.rounds, warm=[f"paint{STRIDES[1]}"])
    print(json.dumps(_result(speeds, reduced), indent=2))
    _describe(args, device)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="painting against the hardware's limit")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--edge", type=int, default=6144, help="pixels of the painted image")
    parser.add_argument("--zooms", type=int, nargs="+", default=[1])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="half an image of 4096, two rounds")
    args = parser.parse_args()
    if args.quick:
        args.edge, args.rounds = 4096, 2
    return args


def _spec(zooms: list[int]) -> NetworkSpec:
    norm = Normalisation(mean=(200, 170, 200), std=(40, 50, 40))
    return NetworkSpec(zooms=tuple(zooms), classes=3, normalisation=norm)


def _reduced_precision(device: torch.device) -> str | None:
    """Tell which precision `auto` would try on the device, None where there is no faster one."""
    from napari_lungcls.network.engines.torch.optimizer import fastest

    found = fastest(device)
    return None if found == "fp32" else found


def _shape(args: argparse.Namespace) -> tuple[int, int]:
    return (args.edge // 2 if args.quick else args.edge), args.edge


def _write_image(path: Path, shape: tuple[int, int]) -> Path:
    """Write an image with structure at all sizes, and no square of it in one colour."""
    rng = np.random.default_rng(0)
    image = np.zeros((*shape, 3), np.uint8)
    for size in (128, 16, 4, 1):
        counts = [-(-n // size) for n in shape]
        part = rng.integers(0, 60, (*counts, 3), np.uint8)
        image += part.repeat(size, 0).repeat(size, 1)[: shape[0], : shape[1]]
    array = zarr.create_array(path, shape=image.shape, dtype="u1", chunks=(512, 512, 3))
    array[:] = image
    return path


def _backbone(spec: NetworkSpec, device: torch.device, precision: str) -> Work:
    """Return the bare backbone over a tile of the size at which it is fastest."""
    dtype = DTYPES[precision]
    backbone = folded(Network(spec).backbone).to(device, dtype)

    def over(edge: int, side: int = 2048) -> Work:
        tile = torch.randn((1, 3, edge, edge), device=device, dtype=dtype)
        tile = tile.contiguous(memory_format=torch.channels_last)
        count = max(1, side // edge) ** 2

        def run() -> float:
            with torch.inference_mode():
                for _ in range(count):
                    backbone(tile)
            _wait(device)
            return count * edge**2 / 1e6

        return run

    edges = TILES[device.type]
    speeds = _alternate({str(edge): over(edge, edges[-1]) for edge in edges}, rounds=1)
    best = max(speeds, key=lambda name: speeds[name])
    print(f"the bare {precision} backbone is fastest with tiles of {best} pixels", file=sys.stderr)
    return over(int(best))


def _windows(state: State, spec: NetworkSpec, device: torch.device) -> Work:
    """Return the same weights over a batch of windows; zeros past their edges, the cheapest."""
    network = Network(spec).eval().to(device)
    with torch.no_grad():
        for name, array in network.named_arrays().items():
            array.copy_(torch.from_numpy(state[name]))
    network.backbone = folded(network.backbone)
    if network.detail is not None:
        network.detail = folded_detail(network.detail)
    shape = (BATCH, len(spec.zooms), 3, WINDOW, WINDOW)
    windows = torch.randn(shape, device=device)
    owner = torch.arange(BATCH, device=device)
    places = torch.full((BATCH, len(spec.zooms), 2), (WINDOW - 1) / 2, device=device)
    count = 4

    def run() -> float:
        with torch.inference_mode():
            for _ in range(count):
                network.classify(network.features(windows, owner, places)).argmax(1).cpu()
        _wait(device)
        return float(count * BATCH)

    return run


def _paint(model: Model, stack: lc.ImageStack, stride: int, folder: Path, precision: str) -> Work:
    def run() -> float:
        out = folder / "map.zarr"
        options = {"probabilities": False, "overwrite": True, "precision": precision}
        model.paint(stack, stride, out=out, **options)
        height, width = stack.plane_shape
        return height * width / 1e6

    return run


def _alternate(work: dict[str, Work], rounds: int, warm: Sequence[str] = ()) -> dict[str, float]:
    """Give the median speed of each, taking turns; a first round is not counted.

    Parameters
    ----------
    work
        By name.
    rounds
        That are counted.
    warm
        What another work prepares as well, and the first round leaves out.
    """
    speeds: dict[str, list[float]] = {name: [] for name in work}
    for i in range(rounds + 1):
        for name, do in work.items():
            if not i and name in warm:
                continue
            began = time.perf_counter()
            size = do()
            if i:
                speeds[name].append(size / (time.perf_counter() - began))
    return {name: statistics.median(found) for name, found in speeds.items()}


def _result(speeds: dict[str, float], reduced: str | None) -> dict[str, object]:
    paint = speeds["paint8"]
    windows = {stride: speeds["windows"] * stride**2 / 1e6 for stride in STRIDES}
    lower = speeds.get("reduced")
    return {
        "backbone_mpx_s": round(speeds["backbone"], 3),
        "paint_mpx_s": round(paint, 3),
        "reduced_precision": reduced,
        "paint_reduced_mpx_s": None if lower is None else round(lower, 3),
        "windows_mpx_s_stride8": round(windows[8], 5),
        "windows_mpx_s_stride4": round(windows[4], 5),
        "paint_over_backbone": round(paint / speeds["backbone"], 3),
        "backbone_reduced_mpx_s": None if lower is None else round(speeds["backbone_reduced"], 3),
        "paint_reduced_over_trunk_reduced": None
        if lower is None
        else round(lower / speeds["backbone_reduced"], 3),
        "reduced_over_fp32": None if lower is None else round(lower / paint, 3),
        "paint_over_windows_stride8": round(paint / windows[8], 1),
        "paint_over_windows_stride4": round(speeds["paint4"] / windows[4], 1),
    }


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _describe(args: argparse.Namespace, device: torch.device) -> None:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    described = {
        "device": name,
        "threads": torch.get_num_threads(),
        "settings": vars(args),
        "versions": software_versions(),
    }
    print(json.dumps(described), file=sys.stderr)


if __name__ == "__main__":
    main()
