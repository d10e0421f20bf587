"""One block of a map: every zoom's class maps, read off at the block's cells and added."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.imaging.geometry import to_level
from napari_lungcls.imaging.levels import Level
from napari_lungcls.imaging.stack import Plane
from napari_lungcls.network.deciding import decide
from napari_lungcls.network.engines import Engine
from napari_lungcls.painting.tiles import TILE, region_cells

Floats = NDArray[np.float32]


class Painter:
    """Paints with one network; windows and layers play no part here.

    Parameters
    ----------
    engine
        The network.
    zooms
        Image pixels per level pixel for each of the network's zooms, see `effective_zooms`.
    temperature
        Logits are divided by it.
    tile
        Edge of the tiles that the trunk sees, without their halo.

    Notes
    -----
    The heads are linear, so projecting the trunk's cells to the classes before they are
    interpolated gives exactly what interpolating the features would, at the price of `k`
    maps in place of hundreds of channels.
    """

    def __init__(
        self,
        engine: Engine,
        zooms: tuple[float, ...],
        *,
        temperature: float = 1.0,
        tile: int = TILE,
    ) -> None:
        self.engine = engine
        self.zooms = zooms
        self.temperature = temperature
        self.tile = tile
        self._bias = engine.bias()[:, np.newaxis, np.newaxis]

    def logits(self, plane: Plane, y: NDArray[np.float64], x: NDArray[np.float64]) -> Floats:
        """Logits at the grid of image positions `y` × `x`, both ascending.

        Returns
        -------
        ndarray, (classes, len(y), len(x))
        """
        total: Floats = np.tile(self._bias, (1, len(y), len(x)))
        spec = self.engine.spec
        averaged = spec.window if spec.readout == "mean" else None
        around = ((averaged or 1) - 1) / 2
        for zoom, effective in zip(spec.zooms, self.zooms, strict=True):
            at_y, at_x = to_level(y, effective), to_level(x, effective)
            found = region_cells(
                self.engine,
                Level(plane, effective),
                zoom,
                (at_y[0] - around, at_y[-1] + around),
                (at_x[0] - around, at_x[-1] + around),
                self.tile,
            )
            for cells in found:
                total += cells.at(at_y, at_x, averaged)
        return total / np.float32(self.temperature)


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
        number, because the
        network saw intensities that are none.
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
