"""Paint a small map in processes that are killed at random moments, until it is complete.

Run as a program: `python killing.py KILLS MODEL OUT...`. It prints a list of runs for each output:
blocks that were complete before it, blocks that it said were complete when it began (None when
it was killed before), blocks that it reported, and whether it was killed. The processes that are
killed are copies of this one, so torch is imported once.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch

from napari_lungcls.images.stack import ImageStack
from napari_lungcls.inference.grid import MapGrid
from napari_lungcls.inference.resume import Record, record_file
from napari_lungcls.model import Model, load

torch.set_num_threads(1)

EDGE = 16
"""Of a block, in cells."""
STACK = ImageStack(
    np.random.default_rng(0).uniform(0, 250, (2, 100, 130)).astype(np.float32), source="made"
)
BLOCKS = 2 * 2 * 3
"""Of a map of it at stride 4."""


Run = tuple[int, int | None, int, bool]


def paint(model: Model, out: Path, log: Path) -> None:
    """Paint; write down with how many blocks it begins, and a line for each further one."""
    with log.open("wb", buffering=0) as told:
        for step in model.painting(STACK, out=out, resume=True):
            told.write(f"{step.done}\n".encode())


def complete(out: Path) -> int:
    """Count the blocks that the record of an unfinished map calls complete."""
    record = Record.find(record_file(out))
    if record is None:
        return 0
    record.close()
    return int(record.done.sum())


def lines(log: Path) -> list[str]:
    """Read what a run wrote down so far."""
    return log.read_text().splitlines() if log.exists() else []


def run_and_kill(model: Model, out: Path, log: Path, draw: random.Random) -> bool:
    """Kill a process a moment after it has painted a few blocks; False when it was faster."""
    pid = os.fork()
    if pid == 0:
        paint(model, out, log)
        os._exit(0)
    goal = draw.randrange(4)
    while len(lines(log)) < goal:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return False
        time.sleep(0.001)
    time.sleep(draw.uniform(0, 0.03))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return True


def runs(model: Model, out: Path, kills: int) -> list[Run]:
    """Kill painting processes, then let one end."""
    log, draw, found = out.with_name(f"{out.name}.log"), random.Random(kills), list[Run]()
    while not out.exists():
        before, killed = complete(out), len(found) < kills
        log.unlink(missing_ok=True)
        if killed:
            killed = run_and_kill(model, out, log, draw)
        else:
            paint(model, out, log)
        told = lines(log)
        found.append((before, int(told[0]) if told else None, max(0, len(told) - 1), killed))
    log.unlink(missing_ok=True)
    return found


if __name__ == "__main__":
    MapGrid.block = EDGE  # type: ignore[assignment,method-assign]
    _, count, path, *outs = sys.argv
    loaded = load(path)
    assert loaded.engine.name
    print(json.dumps([runs(loaded, Path(out), int(count)) for out in outs]))
