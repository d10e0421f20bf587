"""Painting in PyTorch: the trunk over large tiles, stage by stage, without the blank glass."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_lungcls.imaging.geometry import STAGE_STRIDES, align_up
from napari_lungcls.network.engines.glass import GRANULE, Box, Piece, find_glass, pieces
from napari_lungcls.network.engines.painting import HALO, Floats, classes_and_probabilities
from napari_lungcls.network.engines.torch_layers import Blank, Edges, ShiftedTrunk
from napari_lungcls.network.engines.torch_net import Network

TILE = 2048
"""Edge of the tiles in level pixels, without their halo."""

FIRST = {"cpu": 560, "cuda": 2304, "mps": 1152}
"""Edge of the parts in which the stem and layer1 are computed: on a CPU they fit its cache."""

BEFORE, BEHIND = 21, 18
"""Level pixels that the first and the last cell of a part see beyond it; see `blind`."""

REACH = HALO // GRANULE
FAINT = 1 / 20
"""Blank glass differs from its colour by at most this share of a standard deviation."""

COLOURS = 64
"""Colours of glass that are remembered."""

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchPainting:
    """A network as it was at one moment; see `painting.Painting`.

    Parameters
    ----------
    network
        The network.
    device
        Where it lies.
    precision
        What the trunk computes with; heads and sums are float32.

    Notes
    -----
    A cell of layer1 sees 21 pixels on each side, a cell of layer3 or layer4 more than the halo
    holds. So the stem and layer1 are computed in small parts that overlap by just that, for
    the sake of the cache, and what is deeper over the whole tile at once: hardly anything is
    computed twice.
    """

    def __init__(self, network: Network, device: torch.device, precision: str) -> None:
        self.precision = precision
        self.tile = TILE
        self._spec, self._device, self._dtype = network.spec, device, DTYPES[precision]
        with torch.no_grad():
            self._trunk = ShiftedTrunk(network.trunk, device, self._dtype)
            self._heads = {s: network.heads[str(s)].detach().clone() for s in self._spec.stages}
            self.bias = network.bias.detach().clone().reshape(-1, 1, 1)
        self._mean = np.asarray(self._spec.normalisation.mean)
        self._std = np.asarray(self._spec.normalisation.std)
        self._blanks: OrderedDict[tuple[float, ...] | None, Blank] = OrderedDict()

    def class_maps(self, pixels: NDArray[Any], zoom: int) -> dict[int, Tensor]:
        """Project the cells of a tile; see `Painting`."""
        glass = find_glass(pixels, FAINT * self._std, min(HALO, self._spec.sight // 2))
        colour = self._mean if glass.colour is None else glass.colour
        with torch.inference_mode():
            blank = self._blank(glass.colour)
            maps = self._blank_maps(pixels.shape, blank, zoom)
            needed = np.zeros_like(glass.seen)
            # One square more at the end, whose first cells belong to the tile.
            rows, columns = ((n - 2 * HALO) // GRANULE + 1 for n in pixels.shape[:2])
            needed[REACH : REACH + rows, REACH : REACH + columns] = True
            for piece in pieces(needed, glass.seen, REACH):
                for stage, cells in self._stages(pixels, colour, piece.box, blank):
                    self._project(cells, stage, zoom, piece, maps[stage])
        return maps

    def empty(self, shape: tuple[int, ...]) -> Tensor:
        """Make a tensor."""
        return torch.empty(shape, device=self._device)

    def read_off(self, maps: Tensor, rows: Floats, columns: Floats) -> Tensor:
        """Interpolate or average cells; see `Painting`."""
        with torch.inference_mode():
            y, x = (torch.from_numpy(w).to(self._device) for w in (rows, columns))
            finite = maps.isfinite().all(dim=0)
            if bool(finite.all()):
                return _between(y, maps, x)
            result = _between(y, torch.where(finite, maps, 0.0), x)
            result[:, _between(y, (~finite).float(), x) > 0] = torch.nan
            return result

    def answer(
        self, logits: Tensor, *, probabilities: bool, threshold: float | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.float16] | None]:
        """Turn logits into cells; see `Painting`."""
        if threshold is not None:
            told = logits.cpu().numpy()
            return classes_and_probabilities(told, probabilities=probabilities, threshold=threshold)
        with torch.inference_mode():
            blind = ~logits.isfinite().all(dim=0)
            logits = torch.where(blind, 0.0, logits)
            classes = (logits.argmax(dim=0) + 1).to(torch.uint8)
            classes[blind] = 0
            if not probabilities:
                return classes.cpu().numpy(), None
            odds = logits.softmax(dim=0)
            odds[:, blind] = 0
            return classes.cpu().numpy(), odds.half().cpu().numpy()

    def _blank(self, colour: NDArray[np.float64] | None) -> Blank:
        """Give what glass of a colour looks like, or what stands for it where there is none."""
        key = None if colour is None else tuple(colour.tolist())
        if key not in self._blanks:
            if colour is None:
                self._blanks[key] = self._trunk.plain()
            else:
                normalised = torch.from_numpy((colour - self._mean) / self._std)
                self._blanks[key] = self._trunk.blank(normalised)
            if len(self._blanks) > COLOURS:
                self._blanks.popitem(last=False)
        return self._blanks[key]

    def _blank_maps(self, shape: tuple[int, ...], blank: Blank, zoom: int) -> dict[int, Tensor]:
        """Make the maps of a tile as if all of it were glass."""
        i = self._spec.zooms.index(zoom)
        maps = {}
        for stage in self._spec.stages:
            rows, columns = ((n - 2 * HALO) // STAGE_STRIDES[stage] + 1 for n in shape[:2])
            value = self._heads[stage][i] @ blank.cells[stage]
            maps[stage] = value.reshape(-1, 1, 1).repeat(1, rows, columns)
        return maps

    def _stages(
        self, pixels: NDArray[Any], colour: NDArray[np.float64], box: Box, blank: Blank
    ) -> Iterator[tuple[int, Tensor]]:
        """Compute the cells `(1, channels, rows, columns)` of a box, stage by stage."""
        cells = self._first(pixels, colour, box, blank)
        if 1 in self._spec.stages:
            yield 1, cells
        for stage in self._trunk.stages[1:]:
            cells = self._trunk.next(cells, stage, blank)
            if stage in self._spec.stages:
                yield stage, cells

    def _first(
        self, pixels: NDArray[Any], colour: NDArray[np.float64], box: Box, blank: Blank
    ) -> Tensor:
        """Compute layer1 over a box, part by part."""
        s = STAGE_STRIDES[1]
        height, width = pixels.shape[:2]
        top, left = (side.start * GRANULE for side in box)
        bottom = min(box[0].stop * GRANULE, height)
        right = min(box[1].stop * GRANULE, width)
        shape = (1, 64, -(-(bottom - top) // s), -(-(right - left) // s))
        cells = torch.empty(
            shape, dtype=self._dtype, device=self._device, memory_format=torch.channels_last
        )
        for y, x in product(self._parts(top, bottom), self._parts(left, right)):
            seen, edges = self._cut_out(pixels, colour, y, x)
            part = self._trunk.first(seen, blank, edges)
            i, j = (y.start - top) // s, (x.start - left) // s
            cells[..., i : i + part.shape[-2], j : j + part.shape[-1]] = part
        return cells

    def _parts(self, first: int, stop: int) -> Iterator[slice]:
        """Cut a side of a box into parts of about the same size."""
        count = -(-(stop - first) // FIRST[self._device.type])
        edge = align_up(-(-(stop - first) // count), GRANULE)
        for start in range(first, stop, edge):
            yield slice(start, min(start + edge, stop))

    def _cut_out(
        self, pixels: NDArray[Any], colour: NDArray[np.float64], y: slice, x: slice
    ) -> tuple[Tensor, Edges]:
        """Normalise a part with its margin, `(1, 3, y, x)`, and tell where the tile ends.

        What glass looks like is taken away.
        """
        (top, bottom), (left, right) = (
            (side.start == 0, side.stop == n) for side, n in zip((y, x), pixels.shape, strict=False)
        )
        rows = slice(y.start - BEFORE * (not top), y.stop + BEHIND * (not bottom))
        columns = slice(x.start - BEFORE * (not left), x.stop + BEHIND * (not right))
        inside = np.require(pixels[rows, columns], requirements=["C", "W"])
        values = torch.from_numpy(inside).to(self._device).float()
        shift = torch.tensor(colour, dtype=torch.float32, device=self._device)
        scale = torch.tensor(1 / self._std, dtype=torch.float32, device=self._device)
        values = ((values - shift) * scale).to(self._dtype)
        return values.permute(2, 0, 1).unsqueeze(0), (left, right, top, bottom)

    def _project(self, cells: Tensor, stage: int, zoom: int, piece: Piece, out: Tensor) -> None:
        """Add what the cells of a piece say to the maps of a tile that held glass."""
        per = GRANULE // STAGE_STRIDES[stage]
        halo = HALO // STAGE_STRIDES[stage]
        here, there = [], []
        for side, whole, n in zip(piece.core, piece.box, out.shape[1:], strict=True):
            first, last = side.start * per, min(side.stop * per, n + halo)
            there.append(slice(first - halo, last - halo))
            here.append(slice(first - whole.start * per, last - whole.start * per))
        chosen = cells[0, :, here[0], here[1]].float()
        head = self._heads[stage][self._spec.zooms.index(zoom)]
        # As one product of matrices: positions first, as they lie in memory.
        rows = chosen.permute(1, 2, 0).reshape(-1, chosen.shape[0])
        told = (rows @ head.T).reshape(*chosen.shape[1:], -1).permute(2, 0, 1)
        if not piece.own.all():
            own = torch.from_numpy(piece.own.repeat(per, 0).repeat(per, 1)).to(self._device)
            told = told.where(own[: told.shape[1], : told.shape[2]], 0.0)
        out[:, there[0], there[1]] += told


def _between(rows: Tensor, values: Tensor, columns: Tensor) -> Tensor:
    result: Tensor = rows @ (values @ columns.T)
    return result
