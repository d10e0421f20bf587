"""What painting asks of a network, and how any engine answers with numpy alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.imaging.geometry import STAGE_STRIDES
from napari_lungcls.network.deciding import decide

if TYPE_CHECKING:
    from napari_lungcls.network.engines.protocol import Engine

Precision = Literal["auto", "fp32", "bf16", "fp16"]
"""The numbers that a trunk computes with; `auto` is the fastest that the device is good at."""

HALO = 64
"""Level pixels around a tile that are computed and thrown away."""

Floats = NDArray[np.float32]


class Painting(Protocol):
    """A network as it was at one moment, made for painting.

    What it computes stays on its device, as arrays that can be added and divided, until
    `answer` brings a few bytes per cell to numpy.

    Attributes
    ----------
    precision
        What the trunk computes with: fp32, bf16 or fp16.
    tile
        Edge of the tiles that suit it best, in level pixels and without their halo.
    bias
        `(classes, 1, 1)` the heads' common bias, on the device.
    """

    precision: str
    tile: int
    bias: Any

    def class_maps(self, pixels: NDArray[Any], zoom: int) -> dict[int, Any]:
        """Project the cells of a tile: stage to `(classes, rows, columns)`, without bias.

        `pixels` is `(y + 2·HALO, x + 2·HALO, 3)` level pixels, `y` and `x` multiples of the
        deepest stride. For a stage with stride `s` there are `y / s + 1` by `x / s + 1`
        cells; the first is centred on pixel `(HALO, HALO)`.
        """

    def empty(self, shape: tuple[int, ...]) -> Any:
        """Make a float32 array on the device, to be filled."""

    def read_off(self, maps: Any, rows: Floats, columns: Floats) -> Any:
        """Give `rows @ maps @ columns.T`, `(classes, y, x)`.

        No numbers come out where, and only where, a cell that is none takes part.
        """

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
    """Painting with any engine's `class_maps`, the rest in numpy.

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
        self._project = engine.class_maps
        self.bias = engine.bias()[:, np.newaxis, np.newaxis]

    def class_maps(self, pixels: NDArray[Any], zoom: int) -> dict[int, Any]:
        """Project the cells of a tile; see `Painting`."""
        found = {}
        for stage, maps in self._project(pixels, zoom).items():
            s = STAGE_STRIDES[stage]
            rows, columns = ((n - 2 * HALO) // s + 1 for n in pixels.shape[:2])
            halo = HALO // s
            found[stage] = maps[:, halo : halo + rows, halo : halo + columns]
        return found

    def empty(self, shape: tuple[int, ...]) -> Floats:
        """Make an array."""
        return np.empty(shape, np.float32)

    def read_off(self, maps: Floats, rows: Floats, columns: Floats) -> Floats:
        """Interpolate or average cells; see `Painting`."""
        finite = np.asarray(np.isfinite(maps).all(axis=0))
        if finite.all():
            return _between(rows, maps, columns)
        result = _between(rows, np.where(finite, maps, np.float32(0)), columns)
        result[:, _between(rows, (~finite).astype(np.float32), columns) > 0] = np.nan
        return result

    def answer(
        self, logits: Floats, *, probabilities: bool, threshold: float | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.float16] | None]:
        """Turn logits into cells; see `Painting`."""
        return classes_and_probabilities(logits, probabilities=probabilities, threshold=threshold)


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


def _between(rows: Floats, values: Floats, columns: Floats) -> Floats:
    result: Floats = rows @ (values @ columns.T)
    return result
