"""What the paint window says of how far a painting is and how it ended. No Qt."""

import numpy as np

from napari_lungcls.inference.watching import PaintingStep


def outcome(last: PaintingStep, seconds: float) -> str:
    """Say in words how a painting ended."""
    if last.done < last.total:
        return f"Cancelled: {percent(last.visited)} painted. The layer keeps what is there."
    blind = int(last.counts[0])
    left_out = f" {blind:,} cells see no valid pixels and stay empty." if blind else ""
    return f"Painted {cells(last.map.header.shape)} in {seconds:.1f}\N{NO-BREAK SPACE}s.{left_out}"


def cells(shape: tuple[int, ...]) -> str:
    """Say how many cells a map has: `512 × 512 cells in 20 planes`."""
    planes = int(np.prod(shape[:-2], dtype=np.int64))
    flat = f"{shape[-2]:,} × {shape[-1]:,} cells"
    return flat if planes == 1 else f"{flat} in {planes:,} planes"


def size(count: int) -> str:
    """Say how much `count` bytes are: `3.4 MB`."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= unit:
            return (
                f"{count / unit:.3g} {name}" if count < 1000 * unit else f"{count // unit:,} {name}"
            )
    return f"{count} bytes"


def percent(share: float) -> str:
    """Write a share as `37 %`; what is begun is not 0, what is not complete is not 100."""
    if 0 < share < 0.01:
        return "under 1 %"
    return f"{min(round(100 * share), 99) if share < 1 else 100} %"
