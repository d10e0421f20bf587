"""Painting in PyTorch: the backbone over large tiles, stage by stage, without the blank glass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

import numpy as np
import torch
from cachetools import FIFOCache
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from napari_lungcls.images.geometry import STAGE_STRIDES
from napari_lungcls.network.engines.glass import FINE, GRANULE, Foreground, find_glass, find_seen
from napari_lungcls.network.engines.host_painting import classes_and_probabilities, strips_of
from napari_lungcls.network.engines.interpolation import Floats, Taps
from napari_lungcls.network.engines.protocol import HALO, ReadGrid, T, Term
from napari_lungcls.network.engines.receptive_field import STEM_RADIUS, block_radius
from napari_lungcls.network.engines.rectangles import Bools, Box, Edges, area, parts
from napari_lungcls.network.engines.torch.execution import Memory, share_out, side_by_side
from napari_lungcls.network.engines.torch.fine import StemPart, TorchDetail
from napari_lungcls.network.engines.torch.heads import TorchHeads, between
from napari_lungcls.network.engines.torch.layers import Blank, ReadStem, ShiftedBackbone, all_of
from napari_lungcls.network.engines.torch.net import Network
from napari_lungcls.network.parameters import DETAIL
from napari_lungcls.network.state import Heads

TILE = 2048
"""Edge of the tiles in zoomed pixels, without their halo."""

FIRST = {"cpu": 560, "cuda": 2304, "mps": 1152}
"""Edge of the parts in which the stem and layer1 are computed: on a CPU they fit its cache."""

# Zoomed pixels that the first and the last cell of a part see beyond it. The stem is read between
# its last cell and the next part's first, which sees a little more.
AROUND_STEM = (STEM_RADIUS, 4)
AROUND_FIRST = (block_radius(1, 2), block_radius(1, 2) + 1 - STAGE_STRIDES[1])

REACH = HALO // GRANULE
FAINT = 1 / 20
"""Blank glass differs from its colour by at most this share of a standard deviation."""

COLOURS = 64
"""Colours of glass that are remembered."""

WITHIN: Edges = (False, False, False, False)

Part = tuple[slice, slice, Edges]

Told = tuple[Tensor, Tensor | None]
"""Cells `(n, channels)` of a tile, and which of all its cells they are; None: all of them."""

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
        What the backbone computes with; heads and sums are float32.

    Notes
    -----
    A cell of layer1 sees 21 pixels on each side, a cell of layer3 or layer4 more than the halo
    holds. So the stem and layer1 are computed in small parts that overlap by just that, for
    the sake of the cache. What is deeper is computed layer by layer over the whole tile, or
    cell by cell where some of it is blank: hardly anything is computed twice.
    """

    def __init__(self, network: Network, device: torch.device, precision: str) -> None:
        self.precision = precision
        self.tile = TILE
        self._spec, self._device, self._dtype = network.spec, device, DTYPES[precision]
        arrays = {n: a.detach().cpu().numpy() for n, a in network.named_arrays().items()}
        self._heads = TorchHeads(Heads.of(self._spec, arrays), device)
        self._detail = None
        with torch.no_grad():
            self._backbone = ShiftedBackbone(network.backbone, device, self._dtype)
            if network.detail is not None:
                head = self._heads.weights[self._spec.zooms[0], DETAIL]
                self._detail = TorchDetail(network.detail, head, device, self._dtype)
        self._mean = np.asarray(self._spec.normalisation.mean)
        self._std = np.asarray(self._spec.normalisation.std)
        self._blanks: FIFOCache[tuple[float, ...] | None, Blank] = FIFOCache(COLOURS)
        self._spare: list[Memory] = []
        self._lock = Lock()

    def head_maps(
        self, pixels: NDArray[Any], zoom: int, lattices: Sequence[ReadGrid] = ()
    ) -> dict[int, Tensor]:
        """Project the cells of a tile; see `Painting`."""
        # Blank glass is left out where that saves enough; its cells are known from its colour.
        glass = find_glass(pixels, FAINT * self._std).if_worth(HALO)
        stem = [lattice for lattice in lattices if lattice.stage == 0]
        with torch.inference_mode(), self._memory() as memory:
            blank = self._blank(glass.colour)
            if glass.colour is None:
                stages = self._all(pixels, blank, memory, stem, zoom)
            else:
                for lattice in stem:
                    lattice.out.add_(self._heads.weights[zoom, 0] @ blank.cells[0])
                seen = find_seen(glass, HALO, REACH)
                stages = self._some(pixels, glass.colour, seen, blank, memory, stem, zoom)
            maps = {}
            for stage, told in stages:
                if stage not in self._spec.stages:
                    continue
                layer = _Layer(told, stage, self._heads.weights[zoom, stage], blank, pixels.shape)
                here = [lattice for lattice in lattices if lattice.stage == stage]
                if here:
                    for lattice in here:
                        layer.read(lattice)
                else:
                    maps[stage] = layer.own()
            for lattice in lattices:
                if lattice.stage == DETAIL:
                    assert self._detail is not None
                    self._detail.read(lattice, pixels, (self._mean, self._std), glass)
        return maps

    def zeros(self, shape: tuple[int, ...]) -> Tensor:
        """Make a tensor."""
        return torch.zeros(shape, device=self._device)

    def logits(self, terms: Sequence[Term], temperature: float = 1.0) -> Tensor:
        """Sum and decide; see `Painting`."""
        return self._heads.logits(terms, temperature)

    def to_numpy(self, logits: Tensor) -> Floats:
        """Bring logits to numpy."""
        return np.asarray(logits.cpu().numpy(), np.float32)

    def each(self, do: Callable[[T], None], tasks: Sequence[T]) -> None:
        """Call a function for each task, with a core each on a CPU; see `Painting`."""
        side_by_side(do, tasks, self._device)

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
            values = logits.softmax(dim=0)
            values[:, blind] = 0
            return classes.cpu().numpy(), values.half().cpu().numpy()

    @contextmanager
    def _memory(self) -> Iterator[Memory]:
        """Lend memory to one tile at a time."""
        with self._lock:
            memory = self._spare.pop() if self._spare else Memory(self._dtype, self._device)
        yield memory
        self._spare.append(memory)

    def _blank(self, colour: NDArray[np.float64] | None) -> Blank:
        """Give what glass of a colour looks like, or what stands for it where there is none."""
        key = None if colour is None else tuple(colour.tolist())
        with self._lock:
            if key not in self._blanks:
                if colour is None:
                    self._blanks[key] = self._backbone.plain()
                else:
                    normalised = torch.from_numpy((colour - self._mean) / self._std)
                    self._blanks[key] = self._backbone.blank(normalised)
            return self._blanks[key]

    def _all(
        self,
        pixels: NDArray[Any],
        blank: Blank,
        memory: Memory,
        stem: Sequence[ReadGrid],
        zoom: int,
    ) -> Iterator[tuple[int, Told]]:
        """Compute all cells of a tile, stage by stage."""
        # Stem and layer1 part by part, each part small enough for the cache.
        rows, columns = (n // FINE for n in pixels.shape[:2])
        everywhere = np.ones((rows, columns), np.bool_)
        shape = (pixels.shape[0] // (s := STAGE_STRIDES[1]), pixels.shape[1] // s)
        x = memory.image(64, shape)
        first = x

        def put(part: Part) -> None:
            values = self._cut_out(pixels, self._mean, part[:2], AROUND_FIRST, part[2])
            read = self._stem_part(stem, part, AROUND_FIRST[0], zoom)
            _place(first, part).copy_(self._backbone.first(values, blank, part[2], read))

        self._part_by_part(put, everywhere)
        for stage in self._backbone.stages:
            if stage > 1:
                x = self._backbone.whole(x, stage, blank, memory)
            # Positions first, as they lie in memory.
            yield stage, (x[0].permute(1, 2, 0).flatten(0, 1), None)

    def _some(
        self,
        pixels: NDArray[Any],
        colour: NDArray[np.float64],
        seen: Foreground,
        blank: Blank,
        memory: Memory,
        stem: Sequence[ReadGrid],
        zoom: int,
    ) -> Iterator[tuple[int, Told]]:
        """Compute the cells that are not blank, stage by stage."""
        # One row of memory per cell behind the pool; those of blank squares are never filled.
        wanted = seen.stem.repeat(per := FINE // STAGE_STRIDES[1], 0).repeat(per, 1)
        x = all_of(memory.rows(wanted.size + 1, 64), wanted)
        image = x.values[:-1].view(1, *wanted.shape, 64).permute(0, 3, 1, 2)

        def put(part: Part) -> None:
            values = self._cut_out(pixels, colour, part[:2], AROUND_STEM)
            read = self._stem_part(stem, (*part[:2], WITHIN), AROUND_STEM[0], zoom)
            _place(image, part).copy_(self._backbone.stem(values, blank, read))

        self._part_by_part(put, seen.stem)
        for stage in self._backbone.stages:
            x = self._backbone.chosen(x, stage, blank, seen.blocks[stage], memory)
            at = torch.from_numpy(np.flatnonzero(seen.blocks[stage][1])).to(self._device)
            yield stage, (x.values[:-1], at)

    def _stem_part(
        self, stem: Sequence[ReadGrid], part: Part, before: int, zoom: int
    ) -> ReadStem | None:
        """Say what is read of the stem in a part that is computed with so much before it."""
        if not stem:
            return None
        y, x, (left, _, top, _) = part
        # The stem's first cell is centred three pixels behind the first that is seen.
        first = y.start - (before - 3) * (not top), x.start - (before - 3) * (not left)
        return StemPart.of(stem, self._heads.weights[zoom, 0], (y, x), first).read

    def _part_by_part(self, put: Callable[[Part], None], seen: Bools) -> None:
        """Compute what lies at the beginning, where more than glass is seen."""
        found = list(parts(seen, FINE, FIRST[self._device.type] // FINE))
        share_out(put, found, lambda part: area(part[:2]), self._device)

    def _cut_out(
        self,
        pixels: NDArray[Any],
        colour: NDArray[np.float64],
        box: Box,
        around: tuple[int, int],
        edges: Edges = WITHIN,
    ) -> Tensor:
        """Normalise a part with its margin where it has no edge, `(1, 3, y, x)`.

        What glass looks like is taken away.
        """
        (y, x), (before, behind) = box, around
        left, right, top, bottom = edges
        height, width = pixels.shape[:2]
        y0, y1 = y.start - before * (not top), y.stop + behind * (not bottom)
        x0, x1 = x.start - before * (not left), x.stop + behind * (not right)
        rows, columns = slice(max(0, y0), min(y1, height)), slice(max(0, x0), min(x1, width))
        inside = np.require(pixels[rows, columns], requirements=["C", "W"])
        values = torch.from_numpy(inside).to(self._device, torch.float32, copy=True)
        shift = torch.tensor(colour, dtype=torch.float32, device=self._device)
        scale = torch.tensor(1 / self._std, dtype=torch.float32, device=self._device)
        values = values.sub_(shift).mul_(scale).to(self._dtype).permute(2, 0, 1).unsqueeze(0)
        # Where the margin is wider than what there is, more glass follows.
        beyond = [columns.start - x0, x1 - columns.stop, rows.start - y0, y1 - rows.stop]
        return F.pad(values, beyond) if any(beyond) else values


def _place(cells: Tensor, part: Part) -> Tensor:
    """Give the place of a part among the cells `(1, channels, rows, columns)` of layer1."""
    y, x = (slice(side.start // (s := STAGE_STRIDES[1]), side.stop // s) for side in part[:2])
    return cells[:, :, y, x]


class _Layer:
    """The cells of one layer in a tile, to be projected.

    Parameters
    ----------
    told
        The cells.
    stage
        Of the network.
    head
        `(summed, channels)`.
    blank
        What cells are that are not told.
    shape
        Of the tile in pixels, halo included.
    """

    def __init__(
        self, told: Told, stage: int, head: Tensor, blank: Blank, shape: tuple[int, ...]
    ) -> None:
        self._values, self._at = told
        self._places = None if self._at is None else self._at.cpu().numpy()
        self._head, self._glass = head, head @ blank.cells[stage]
        self._stride = STAGE_STRIDES[stage]
        self._rows, self._columns = (n // self._stride for n in shape[:2])

    def read(self, lattice: ReadGrid) -> None:
        """Add what the cells say between them, strip by strip."""
        s = self._stride
        y, x = (
            Taps.of((side + HALO) / s, count)
            for side, count in zip((lattice.y, lattice.x), (self._rows, self._columns), strict=True)
        )

        def add(some: slice) -> None:
            first, last = int(y.first[some][0]), int(y.second[some][-1])
            lattice.out[some] += between(
                self._project(slice(first, last + 1)), y.part(some, first), x
            )

        is_cpu = self._head.device.type == "cpu"
        size = max(len(x), self._columns) * len(self._head)
        strips = strips_of(len(y), size) if is_cpu else [slice(0, len(y))]
        side_by_side(add, strips, self._head.device)

    def own(self) -> Tensor:
        """Give the tile's own cells and one more behind them: `(rows, columns, summed)`."""
        halo = HALO // self._stride
        found = torch.empty((self._rows, self._columns, len(self._head)), device=self._head.device)

        def put(some: slice) -> None:
            found[some] = self._project(some)

        side_by_side(put, strips_of(self._rows, self._columns * len(self._head)), self._head.device)
        return found[halo : 1 - halo, halo : 1 - halo]

    def _project(self, rows: slice) -> Tensor:
        """Project some rows of cells: `(rows, columns, summed)`."""
        some = slice(rows.start * self._columns, rows.stop * self._columns)
        shape = (rows.stop - rows.start, self._columns, len(self._head))
        if self._at is None or self._places is None:
            return torch.mm(self._values[some].float(), self._head.T).view(shape)
        ends = slice(*np.searchsorted(self._places, (some.start, some.stop)).tolist())
        flat = self._glass.repeat(some.stop - some.start, 1)
        found = torch.addmm(self._glass, self._values[ends].float(), self._head.T)
        return flat.index_copy_(0, self._at[ends] - some.start, found).view(shape)
