"""What painting asks of a network, and how any engine answers with numpy alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_lungcls.images.geometry import STAGE_STRIDES
from napari_lungcls.network.decision import decide
from napari_lungcls.network.heads import Heads

if TYPE_CHECKING:
    from napari_lungcls.network.engines.protocol import Engine

Precision = Literal["auto", "fp32", "bf16", "fp16"]
"""The numbers that a trunk computes with; `auto` is the fastest that the device is good at."""

HALO = 64
"""Level pixels around a tile that are computed and thrown away."""

FINE = (-1, 0)
"""Stages with so many cells that they are read where a map needs them, and never kept."""

STRIP = 2**18
"""Numbers that are summed at once."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Taps:
    """Linear interpolation along one axis: two cells for every position.

    Attributes
    ----------
    first, second
        `(n,)` int64: the cells.
    share
        `(n,)` float32: how much of the second.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    share: Floats

    @classmethod
    def of(cls, position: ArrayLike, count: int) -> Taps:
        """Find the cells beside positions in units of cells; beyond the ends they are held."""
        where = np.clip(np.asarray(position, np.float64), 0, count - 1)
        first = np.minimum(np.floor(where), max(count - 2, 0)).astype(np.int64)
        second = np.minimum(first + 1, count - 1)
        return cls(first, second, (where - first).astype(np.float32))

    def __len__(self) -> int:
        """Count the positions."""
        return len(self.first)

    def part(self, some: slice, start: int = 0) -> Taps:
        """Take some positions, in an array that begins with the cell `start`."""
        return Taps(self.first[some] - start, self.second[some] - start, self.share[some])

    @property
    def are_cells(self) -> bool:
        """Whether every position is a cell."""
        return not self.share.any()


Weights = Taps | Floats
"""How an axis is read: interpolated, or by a matrix `(positions, cells)`."""


@dataclass(frozen=True, eq=False)
class Lattice:
    """Where a stage of one tile is read.

    Attributes
    ----------
    stage
        Of the network.
    y, x
        Ascending positions in level pixels, counted from the first pixel behind the halo.
    out
        `(len(y), len(x), summed)` on the device; what the stage says is added to it.
    """

    stage: int
    y: NDArray[np.float64]
    x: NDArray[np.float64]
    out: Any


@dataclass(frozen=True, eq=False)
class Term:
    """What one stage says at a grid of positions.

    Attributes
    ----------
    maps
        `(rows, columns, summed)` on the device.
    rows, columns
        How they are read; None where `maps` holds what is said at the positions.
    """

    maps: Any
    rows: Weights | None = None
    columns: Weights | None = None


class Painting(Protocol):
    """A network as it was at one moment, made for painting.

    What it computes stays on its device until `answer` brings a few bytes per cell to numpy.
    Maps hold what the heads make of cells: `summed` numbers each, see `NetworkSpec`.

    Attributes
    ----------
    precision
        What the trunk computes with: fp32, bf16 or fp16.
    tile
        Edge of the tiles that suit it best, in level pixels and without their halo.
    """

    precision: str
    tile: int

    def head_maps(
        self, pixels: NDArray[Any], zoom: int, lattices: Sequence[Lattice] = ()
    ) -> dict[int, Any]:
        """Project the cells of a tile: stage to `(rows, columns, summed)`, without bias.

        `pixels` is `(y + 2·HALO, x + 2·HALO, 3)` level pixels, `y` and `x` multiples of the
        deepest stride. Stages that have lattices are read there, at positions in `[0, y)` and
        `[0, x)`, and not returned; stem and detail always are. For another layer with stride
        `s` there are `y / s + 1` by `x / s + 1` cells; the first is centred on pixel
        `(HALO, HALO)`.
        """

    def zeros(self, shape: tuple[int, ...]) -> Any:
        """Make a float32 array on the device."""

    def logits(self, terms: Sequence[Term], temperature: float = 1.0) -> Any:
        """Add up all stages and zooms at a grid of positions, and let the heads decide.

        No numbers come out where, and only where, a cell that is none takes part.

        Returns
        -------
        array on the device, (classes, y, x)
        """

    def to_numpy(self, logits: Any) -> Floats:
        """Bring logits to numpy."""

    def answer(
        self, logits: Any, *, probabilities: bool, threshold: float | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.float16] | None]:
        """Turn logits `(classes, y, x)` into the cells of a map.

        Returns
        -------
        classes : ndarray, (y, x), uint8
            Code of the likeliest class, or as the threshold says (see `decide`), plus 1; 0
            where a logit is no number, because the network saw intensities that are none.
        probabilities : ndarray, (classes, y, x), float16, or None
            0 for all classes where none is painted.
        """


class HostPainting:
    """Painting with any engine's `head_maps`, the rest in numpy.

    Parameters
    ----------
    engine
        The network.
    tile
        Edge of the tiles that the engine is given, without their halo.
    """

    precision = "fp32"

    def __init__(self, engine: Engine, tile: int = 512) -> None:
        self.tile = tile
        self._project = engine.head_maps
        self._heads = Heads.of(engine.spec, engine.state())

    def head_maps(
        self, pixels: NDArray[Any], zoom: int, lattices: Sequence[Lattice] = ()
    ) -> dict[int, Any]:
        """Project the cells of a tile; see `Painting`."""
        found = {}
        for stage, maps in self._project(pixels, zoom).items():
            s = STAGE_STRIDES[stage]
            cells = np.moveaxis(maps, 0, -1)
            here = [lattice for lattice in lattices if lattice.stage == stage]
            if stage not in FINE and not here:
                rows, columns = ((n - 2 * HALO) // s + 1 for n in pixels.shape[:2])
                halo = HALO // s
                own = cells[halo : halo + rows, halo : halo + columns]
                found[stage] = np.ascontiguousarray(own)
            for lattice in here:
                y, x = (
                    Taps.of((side + HALO) / s, count)
                    for side, count in zip((lattice.y, lattice.x), cells.shape, strict=False)
                )
                lattice.out[...] += _between(y, cells, x)
        return found

    def zeros(self, shape: tuple[int, ...]) -> Floats:
        """Make an array."""
        return np.zeros(shape, np.float32)

    def logits(self, terms: Sequence[Term], temperature: float = 1.0) -> Floats:
        """Sum and decide; see `Painting`."""
        rows, columns = lattice_shape(terms)
        strips = []
        for some in strips_of(rows, columns * len(self._heads.bias)):
            total = np.tile(self._heads.bias, (some.stop - some.start, columns, 1))
            for term in terms:
                if term.rows is None or term.columns is None:
                    total += term.maps[some]
                else:
                    total += _between(part_of(term.rows, some), term.maps, term.columns)
            strips.append(self._heads.logits(np.moveaxis(total, -1, 0)))
        found: Floats = np.concatenate(strips, axis=1) / np.float32(temperature)
        return found

    def to_numpy(self, logits: Floats) -> Floats:
        """Give them as they are."""
        return logits

    def answer(
        self, logits: Floats, *, probabilities: bool, threshold: float | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.float16] | None]:
        """Turn logits into cells; see `Painting`."""
        return classes_and_probabilities(logits, probabilities=probabilities, threshold=threshold)


def lattice_shape(terms: Sequence[Term]) -> tuple[int, int]:
    """Count the rows and columns of the positions at which terms are added up."""
    term = terms[0]
    if term.rows is None or term.columns is None:
        rows, columns = term.maps.shape[:2]
        return int(rows), int(columns)
    return len(term.rows), len(term.columns)


def strips_of(rows: int, size: int) -> list[slice]:
    """Cut rows of so many numbers into strips of about `STRIP`."""
    each = max(1, STRIP // size)
    return [slice(start, min(start + each, rows)) for start in range(0, rows, each)]


def part_of(weights: Weights, some: slice) -> Weights:
    """Take the weights of some positions."""
    return weights.part(some) if isinstance(weights, Taps) else weights[some]


def classes_and_probabilities(
    logits: Floats, *, probabilities: bool = True, threshold: float | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.float16] | None]:
    """Turn logits `(k, h, w)` into the cells of a map.

    Parameters
    ----------
    logits
        Divided by the temperature already.
    probabilities
        Whether to give them.
    threshold
        See `decide`; it meets the probabilities as a map keeps them, in half precision.

    Returns
    -------
    classes : ndarray, (h, w), uint8
        Code of the likeliest class, or as the threshold says, plus 1; 0 where a logit is no
        number, because the network saw intensities that are none.
    probabilities : ndarray, (k, h, w), float16, or None
        Softmax of the logits, 0 for all classes where none is painted.
    """
    blind = ~np.isfinite(logits).all(axis=0)
    if blind.any():
        logits = np.where(blind, np.float32(0), logits)
    if threshold is None and not probabilities:
        classes = (decide(logits, axis=0) + 1).astype(np.uint8)
        classes[blind] = 0
        return classes, None
    odds = np.exp(logits - logits.max(axis=0))
    odds /= odds.sum(axis=0)
    half = odds.astype(np.float16)
    answered = decide(logits if threshold is None else half, threshold, axis=0)
    classes = (answered + 1).astype(np.uint8)
    classes[blind], half[:, blind] = 0, 0
    return classes, half if probabilities else None


def _between(rows: Weights, maps: Floats, columns: Weights) -> Floats:
    """Read `(rows, columns, summed)` between cells, those that hold no numbers too."""
    found = _along(_along(maps, rows, 0), columns, 1)
    if np.isfinite(found).all():
        return found
    # No number times no weight is nothing, and not: no number.
    wrong: NDArray[np.bool_] = np.asarray(~np.isfinite(maps).all(axis=2))
    found = _along(_along(np.where(wrong[..., None], np.float32(0), maps), rows, 0), columns, 1)
    seen = _along(_along(wrong[..., None].astype(np.float32), rows, 0), columns, 1)
    return np.where(seen > 0, np.float32(np.nan), found)


def _along(maps: Floats, weights: Weights, axis: int) -> Floats:
    if isinstance(weights, Taps):
        share = weights.share.reshape(-1, *[1] * (2 - axis))
        # Infinite cells give no number here, and are then looked after.
        with np.errstate(invalid="ignore"):
            first = np.take(maps, weights.first, axis)
            return first + share * (np.take(maps, weights.second, axis) - first)
    with np.errstate(invalid="ignore"):
        found: Floats = np.moveaxis(np.tensordot(weights, maps, (1, axis)), 0, axis)
    return found
