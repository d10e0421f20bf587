"""Paint a small map in processes that are killed at random moments, until it is complete.

Run as a program: `python killing.py KILLS MODEL OUT...`. It prints for each output how many blocks
were reported as painted, and how often the one that was reported most. The processes that are
killed are copies of this one, so torch is imported once.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch

from napari_lungcls.imaging.stack import ImageStack
from napari_lungcls.model import Model, load
from napari_lungcls.painting.grid import MapGrid

torch.set_num_threads(1)

EDGE = 16
"""Of a block, in cells."""
STACK = ImageStack(
    np.random.default_rng(0).uniform(0, 250, (2, 100, 130)).astype(np.float32), source="made"
)
BLOCKS = 2 * 2 * 3
"""Of a map of it at stride 4."""


def paint(model: Model, out: Path, log: Path, *, resume: bool = True) -> None:
    """Paint; write down every block that is reported."""
    with log.open("ab", buffering=0) as told:
        for step in model.painting(STACK, out=out, resume=resume):
            if step.block is not None:
                block = step.block
                told.write(f"{block.index[0]} {block.rows.start} {block.columns.start}\n".encode())


def lines(log: Path) -> list[str]:
    """Read what was written down so far."""
    return log.read_text().splitlines() if log.exists() else []


def killed(model: Model, out: Path, kills: int) -> dict[str, int]:
    """Kill painting processes, then let one end."""
    log, draw = out.with_name(f"{out.name}.log"), random.Random(kills)
    for _ in range(kills):
        pid = os.fork()
        if pid == 0:
            paint(model, out, log)
            os._exit(0)
        goal = len(lines(log)) + draw.randrange(1 + BLOCKS // kills)
        while len(lines(log)) < goal:
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.05))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    paint(model, out, log)
    counts = Counter(lines(log))
    log.unlink()
    return {"reported": len(counts), "most": max(counts.values())}


if __name__ == "__main__":
    MapGrid.block = EDGE  # type: ignore[assignment,method-assign]
    _, count, path, *outs = sys.argv
    loaded = load(path)
    assert loaded.engine.name
    print(json.dumps([killed(loaded, Path(out), int(count)) for out in outs]))
