"""Many small pieces of work: side by side on a CPU's cores, and not each on all of them."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import torch

Task = TypeVar("Task")

SMALL = 560**2
"""Pixels up to which a piece is done by one core: sharing it out would cost more than it saves."""


def share_out(
    do: Callable[[Task], None],
    tasks: Sequence[Task],
    pixels: Callable[[Task], int],
    device: torch.device,
) -> None:
    """Do large tasks one by one, with all cores, and then small ones, with a core each.

    Parameters
    ----------
    do
        Does a task without gradients.
    tasks
        They write to different places. One may share out its own parts in turn.
    pixels
        Says how large a task is.
    device
        Where the work is done; anywhere but on a CPU it is one task after the other.
    """
    small = [task for task in tasks if pixels(task) <= SMALL]
    for task in tasks:
        if pixels(task) > SMALL:
            do(task)
    side_by_side(do, sorted(small, key=pixels, reverse=True), device)


def side_by_side(do: Callable[[Task], None], tasks: Sequence[Task], device: torch.device) -> None:
    """Do several tasks with a CPU's core each, a single one with all of them."""
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1 or len(tasks) < 2:
        for task in tasks:
            do(task)
        return

    def quietly(task: Task) -> None:
        # A mode belongs to the thread in which it was entered.
        with torch.inference_mode():
            do(task)

    for _ in _pool(threads).map(quietly, tasks):
        pass


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Make threads that compute with one core each; they are kept."""
    together = Barrier(threads + 1)

    def begin() -> None:
        # What a thread asks for holds for itself, once it has asked what it has, and for
        # threads that begin after it.
        torch.set_num_threads(1)
        assert torch.get_num_threads() == 1
        together.wait()

    pool = ThreadPoolExecutor(threads, "lungcls-paint", begin)
    for _ in range(threads):
        pool.submit(int)
    together.wait()
    torch.set_num_threads(threads)
    return pool


if hasattr(os, "register_at_fork"):
    # A forked process has none of its parent's threads.
    os.register_at_fork(after_in_child=_pool.cache_clear)
