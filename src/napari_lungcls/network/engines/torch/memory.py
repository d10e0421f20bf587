"""Memory in which the cells of a tile lie, used again and again: what is fresh is slow."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from napari_lungcls.network.engines.torch.threads import side_by_side

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
