"""What the paint window says of how far a painting is and how it ended. No Qt."""

import numpy as np

from napari_lungcls.inference.watching import PaintingStep
from napari_lungcls.utils.humanize import percent


def outcome(last: PaintingStep, seconds: float) -> str:
    """Say in words how a painting ended."""
    if last.done < last.total:
        return f"Cancelled: {percent(last.visited, 0)} painted. The layer keeps what is there."
    blind = int(last.counts[0])
    left_out = f" {blind:,} cells see no valid pixels and stay empty." if blind else ""
    return f"Painted {cells(last.map.header.shape)} in {seconds:.1f}\N{NO-BREAK SPACE}s.{left_out}"


def cells(shape: tuple[int, ...]) -> str:
    """Say how many cells a map has: `512 × 512 cells in 20 planes`."""
    planes = int(np.prod(shape[:-2], dtype=np.int64))
    flat = f"{shape[-2]:,} × {shape[-1]:,} cells"
    return flat if planes == 1 else f"{flat} in {planes:,} planes"
