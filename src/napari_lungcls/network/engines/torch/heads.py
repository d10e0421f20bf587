"""The heads in PyTorch: maps interpolated between their cells, summed, and turned into logits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from napari_lungcls.network.engines.host_painting import strips_of
from napari_lungcls.network.engines.interpolation import Taps, Weights, part_of
from napari_lungcls.network.engines.protocol import Term
from napari_lungcls.network.engines.torch.execution import side_by_side
from napari_lungcls.network.state import Heads


class TorchHeads:
    """The heads on a device; see `heads.Heads`.

    Parameters
    ----------
    heads
        Of the network.
    device
        Where they are wanted.
    """

    def __init__(self, heads: Heads, device: torch.device) -> None:
        def tensor(array: np.ndarray) -> Tensor:
            return torch.from_numpy(array.copy()).to(device)

        self._device = device
        self.weights = {at: tensor(weight) for at, weight in heads.weights.items()}
        self._bias = tensor(heads.bias)
        self._out = None if heads.out is None else tuple(tensor(each) for each in heads.out)

    @property
    def summed(self) -> int:
        """Number of maps that are added up."""
        return len(self._bias)

    def logits(self, terms: Sequence[Term], temperature: float) -> Tensor:
        """Sum and decide: `(classes, rows, columns)`; see `Painting.logits`."""
        rows, columns = terms[0].shape
        classes = self.summed if self._out is None else len(self._out[1])
        found = torch.empty((classes, rows, columns), device=self._device)

        def sum_rows(some: slice) -> None:
            total = self._bias.repeat(some.stop - some.start, columns, 1)
            for term in terms:
                if term.rows is None or term.columns is None:
                    total += term.maps[some]
                else:
                    total += between(term.maps, part_of(term.rows, some), term.columns)
            flat = total.flatten(0, 1)
            if self._out is not None:
                weight, bias = self._out
                flat = torch.addmm(bias, flat.clamp_(min=0), weight.T)
            flat /= temperature
            found[:, some] = flat.T.view(classes, -1, columns)

        with torch.inference_mode():
            is_cpu = self._device.type == "cpu"
            size = columns * self.summed
            strips = strips_of(rows, size) if is_cpu else [slice(0, rows)]
            side_by_side(sum_rows, strips, self._device)
        return found


def between(maps: Tensor, rows: Weights, columns: Weights) -> Tensor:
    """Read `(rows, columns, channels)` between cells.

    No numbers come out where, and only where, a cell that is none takes part.
    """
    found = _along(_along(maps, rows, 0), columns, 1)
    if bool(found.sum().isfinite()):
        return found
    wrong = ~maps.isfinite().all(dim=2, keepdim=True)
    found = _along(_along(torch.where(wrong, 0.0, maps), rows, 0), columns, 1)
    seen = _along(_along(wrong.float(), rows, 0), columns, 1)
    return torch.where(seen > 0, torch.nan, found)


def _along(maps: Tensor, weights: Weights, axis: int) -> Tensor:
    if not isinstance(weights, Taps):
        matrix = torch.from_numpy(weights).to(maps.device)
        if axis == 1:
            return torch.matmul(matrix, maps)
        found: Tensor = torch.tensordot(matrix, maps, ([1], [0]))
        return found
    first = torch.from_numpy(weights.first).to(maps.device)
    values = maps.index_select(axis, first)
    if weights.are_cells:
        return values
    second = torch.from_numpy(weights.second).to(maps.device)
    share = torch.from_numpy(weights.share).to(maps.device)
    # Spelled out for every channel along columns: short loops are slow.
    if axis == 0:
        share = share[:, None, None]
    else:
        share = share[:, None].expand(-1, maps.shape[2]).contiguous()
    return values.lerp_(maps.index_select(axis, second), share)
