"""Threads and memory for many small pieces of work, both used again and again."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Barrier
from typing import TypeVar

import torch
from torch import Tensor

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


AT_ONCE = {"cpu": 4 * 2**20, "cuda": 2**28, "mps": 2**26}
"""Bytes of a layer that are computed in one go: on a CPU they fit its cache."""


class Memory:
    """Three pieces of memory: one that a layer reads, one it fills, and one to lay aside.

    Parameters
    ----------
    dtype, device
        Of what lies in it.
    """

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self._pieces = [torch.empty(0, dtype=dtype, device=device) for _ in range(3)]

    def rows(self, n: int, channels: int, *beside: Tensor) -> Tensor:
        """Lend `(n, channels)`, whatever it holds, that shares nothing with up to two others."""
        taken = {tensor.untyped_storage().data_ptr() for tensor in beside}
        free = [
            i
            for i, piece in enumerate(self._pieces)
            if not piece.numel() or piece.untyped_storage().data_ptr() not in taken
        ]
        size = n * channels
        # The smallest that is large enough; else the one that grows by least.
        at = min(free, key=lambda i: ((m := self._pieces[i].numel()) < size, abs(m - size)))
        if self._pieces[at].numel() < size:
            self._pieces[at] = self._pieces[at].new_empty(size)
        return self._pieces[at][:size].view(n, channels)

    def image(self, channels: int, shape: tuple[int, int], *beside: Tensor) -> Tensor:
        """Lend `(1, channels, rows, columns)`, channels last in memory."""
        rows, columns = shape
        lent = self.rows(rows * columns, channels, *beside)
        return lent.view(1, rows, columns, channels).permute(0, 3, 1, 2)


def in_pieces(
    do: Callable[[slice], None], n: int, size: int, device: torch.device, multiple: int = 1
) -> None:
    """Compute `n` rows, each of which takes `size` bytes, piece by piece.

    A piece has a multiple of some rows, but for the last.
    """
    count = max(1, -(-n * size // AT_ONCE[device.type]))
    if device.type == "cpu":
        # No thread shall be left without a piece.
        threads = torch.get_num_threads()
        count = threads * -(-count // threads)
    each = max(1, -(-n // (multiple * count))) * multiple
    ends = [*range(0, n, each), n]
    side_by_side(do, [slice(*pair) for pair in pairwise(ends)], device)
