"""Peak memory of painting against the size of the stack.

Makes zarr stacks of growing size, uncompressed, and paints each in a process of its own, with
probabilities, from a zarr store to a zarr store. Another process only loads what all of them
load and paints one small tile: the framework's own footprint. What the others use above that is
what painting needs.

Planes hold tissue in one corner and glass elsewhere, so that even gigabytes are painted in
minutes; tissue is what takes memory.

    python benchmarks/memory.py [--gigabytes 0.25 1 4] [--stride 4] [--quick]

prints JSON: for each size the peak in MB (10⁶ bytes) and how much of it is above the framework.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import zarr

import napari_lungcls as lc
from napari_lungcls.annotation import ClassScheme
from napari_lungcls.model import Model
from napari_lungcls.network.engines import create_engine
from napari_lungcls.network.model_file import ModelDocument
from napari_lungcls.network.spec import NetworkSpec, Normalisation
from napari_lungcls.utils.memory import peak_memory_mb

EDGE = 8192
"""Height and width of the planes."""
TISSUE = 2304
"""Edge of the corner that holds tissue: one block, and parts of others."""
SMALL = 128
LIMIT_MB = 600


def main() -> None:
    """Paint stack after stack, each in a process of its own."""
    args = _arguments()
    if args.child:
        _paint(args.child, args.stride, args.precision)
        return
    with tempfile.TemporaryDirectory(prefix="lungcls-benchmark-", dir=args.folder) as folder:
        own = _peak(_write(Path(folder) / "small.zarr", 0, SMALL), args)
        rows = []
        for size in args.gigabytes:
            planes = max(1, round(size * 1e9 / (3 * EDGE**2)))
            peak = _peak(_write(Path(folder) / f"{size}.zarr", planes, EDGE), args)
            gigabytes = round(planes * 3 * EDGE**2 / 1e9, 2)
            above = round(peak - own, 1)
            rows.append({"gigabytes": gigabytes, "peak_mb": peak, "above_framework_mb": above})
            print(json.dumps(rows[-1]), file=sys.stderr)
    most = max(row["above_framework_mb"] for row in rows)
    result = {
        "framework_mb": own,
        "stride": args.stride,
        "precision": args.precision,
        "stacks": rows,
        "most_above_framework_mb": most,
        "limit_mb": LIMIT_MB,
        "within_limit": most <= LIMIT_MB,
    }
    print(json.dumps(result, indent=2))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="peak memory of painting")
    parser.add_argument("--gigabytes", type=float, nargs="+", default=[0.25, 1, 4])
    parser.add_argument("--stride", type=int, default=4)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--folder", type=Path, help="where the stacks are made")
    parser.add_argument("--quick", action="store_true", help="two small stacks")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.quick:
        args.gigabytes = [0.2, 0.6]
    return args


def _write(path: Path, planes: int, edge: int) -> Path:
    """Write a stack of planes, or a single small one, without compression."""
    rng = np.random.default_rng(0)
    shape = (planes, edge, edge, 3) if planes else (edge, edge, 3)
    chunk = min(1024, edge)
    chunks = (*(1,) * (len(shape) - 3), chunk, chunk, 3)
    array = zarr.create_array(path, shape=shape, dtype="u1", chunks=chunks, compressors=None)
    inner = min(TISSUE, edge)
    for i in range(max(1, planes)):
        plane = np.full((edge, edge, 3), 240, np.uint8)
        plane[:inner, :inner] = rng.integers(60, 255, (inner, inner, 3), np.uint8)
        array[(i,) if planes else ...] = plane
    return path


def _peak(path: Path, args: argparse.Namespace) -> float:
    command = [sys.executable, __file__, "--child", str(path), "--stride", str(args.stride)]
    command += ["--precision", args.precision]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


def _paint(path: Path, stride: int, precision: str) -> None:
    """Paint one stack in this process and print the peak."""
    norm = Normalisation(mean=(200, 170, 200), std=(40, 50, 40))
    spec = NetworkSpec(classes=3, normalisation=norm)
    document = ModelDocument(network=spec, scheme=ClassScheme.preset("lung"))
    model = Model(document, create_engine("torch", spec, device="cpu").state(), device="cpu")
    stack = lc.open_image(path)
    model.paint(stack, stride, out=path.with_suffix(".map.zarr"), precision=precision)
    print(round(peak_memory_mb(), 1))


if __name__ == "__main__":
    main()
