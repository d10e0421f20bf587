"""Whether a painted map says what the network says of a tile around each cell.

Draws cells at random over a whole section, reads the painted class of each, and asks the network
again about the cell's centre, in a tile around it that is so large that its edges are out of sight.
Painting goes other ways: tiles with halos, folded normalisation, lower precision, blank glass.

    python benchmarks/agreement.py MODEL.safetensors SECTION.jpg [--points 2000] [--columns A B]

prints JSON: the share of cells with the same class, of all and of those whose top probability
in the tile is over 0.9.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import napari_lungcls as lc
from napari_lungcls.imaging.windows import batches, read_windows
from napari_lungcls.network.fitting import check_image
from napari_lungcls.network.tiles import Tiles

STRIDE = 5
"""Odd, so that the centre of a cell is that of a pixel."""
BATCH = 4
SURE = 0.9


def main() -> None:
    """Paint, ask, compare."""
    parser = argparse.ArgumentParser(description="a painted map against tiles")
    parser.add_argument("model", type=Path)
    parser.add_argument("section", type=Path)
    parser.add_argument("--points", type=int, default=2000)
    parser.add_argument("--tile", type=int, default=512)
    parser.add_argument(
        "--columns", type=int, nargs=2, help="only cells between these columns of the image"
    )
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    model, stack = lc.load(args.model, device=args.device), lc.open_image(args.section)
    painted = model.paint(stack, STRIDE, precision=args.precision)
    rng = np.random.default_rng(0)
    height, width = painted.classes.shape
    first, last = (c // STRIDE for c in args.columns or (0, width * STRIDE))
    cells = np.column_stack(
        [rng.integers(0, height, args.points), rng.integers(first, last, args.points)]
    )
    classes = painted.classes[cells[:, 0], cells[:, 1]] - 1
    logits = _in_tiles(model, stack, cells * STRIDE + STRIDE // 2.0, args.tile)
    odds = np.exp(logits - logits.max(1, keepdims=True))
    odds /= odds.sum(1, keepdims=True)
    same, sure = classes == logits.argmax(1), odds.max(1) > SURE
    result = {
        "points": args.points,
        "precision": args.precision,
        "agree": round(float(same.mean()), 4),
        "sure": int(sure.sum()),
        "agree_where_sure": round(float(same[sure].mean()), 4),
    }
    print(json.dumps(result, indent=2))


def _in_tiles(model: lc.Model, stack: lc.ImageStack, points: np.ndarray, edge: int) -> np.ndarray:
    """Ask the network at points, each in a tile of its own of `edge` level pixels."""
    zooms = check_image(stack, model.document)
    logits = []
    for rows in batches(len(points), BATCH):
        pixels, places = read_windows(stack, points[rows], zooms, edge)
        logits.append(model.engine.logits(Tiles(pixels, np.arange(len(pixels)), places)))
    return np.concatenate(logits) / model.document.temperature


if __name__ == "__main__":
    main()
