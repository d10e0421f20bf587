"""Painting with the head maps of any engine: interpolation, sums and classes in numpy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.images.geometry import STAGE_STRIDES
from napari_lungcls.network.decision import predicted_class
from napari_lungcls.network.engines.interpolation import Floats, Taps, Weights, part_of
from napari_lungcls.network.engines.protocol import FINE, HALO, Engine, ReadGrid, T, Term
from napari_lungcls.network.state import Heads

STRIP = 2**18
"""Numbers that are summed at once."""


class HostPainting:
    """Painting with any engine's `head_maps`, the rest in numpy.

    Parameters
    ----------
    engine
        The network.
    precision
        What its convolutions compute with.
    project
        Gives head maps in that precision; the engine's `head_maps` if not given.
    """

    tile = 512

    def __init__(
        self,
        engine: Engine,
        precision: str = "fp32",
        project: Callable[[NDArray[Any], int], dict[int, Floats]] | None = None,
    ) -> None:
        self.precision = precision
        self._project = project or engine.head_maps
        self._heads = Heads.of(engine.spec, engine.state())

    def head_maps(
        self, pixels: NDArray[Any], zoom: int, lattices: Sequence[ReadGrid] = ()
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
        rows, columns = terms[0].shape
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

    def each(self, do: Callable[[T], None], tasks: Sequence[T]) -> None:
        """Call a function for one task after the other: this engine has all cores at work."""
        for task in tasks:
            do(task)

    def answer(
        self, logits: Floats, *, probabilities: bool, threshold: float | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.float16] | None]:
        """Turn logits into cells; see `Painting`."""
        return classes_and_probabilities(logits, probabilities=probabilities, threshold=threshold)


def strips_of(rows: int, size: int) -> list[slice]:
    """Cut rows of so many numbers into strips of about `STRIP`."""
    each = max(1, STRIP // size)
    return [slice(start, min(start + each, rows)) for start in range(0, rows, each)]


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
        See `predicted_class`; it meets the probabilities as a map keeps them, in half precision.

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
        classes = (predicted_class(logits, axis=0) + 1).astype(np.uint8)
        classes[blind] = 0
        return classes, None
    values = np.exp(logits - logits.max(axis=0))
    values /= values.sum(axis=0)
    half = values.astype(np.float16)
    answered = predicted_class(logits if threshold is None else half, threshold, axis=0)
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
