"""Readouts: the weights with which the cells of a stage become one vector per window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.imaging.geometry import STAGE_STRIDES, cell_count, readout_weights
from napari_lungcls.network.engines.protocol import Readouts
from napari_lungcls.network.spec import NetworkSpec


def readouts_at(
    spec: NetworkSpec,
    places: NDArray[np.float64],
    factors: NDArray[np.float32] | None = None,
    *,
    size: int | None = None,
) -> Readouts:
    """Weights of points over the cells of their windows.

    Parameters
    ----------
    spec
        The network; with its readout `mean`, all cells weigh the same.
    places
        `(n, zooms, 2)` where in its window each point lies, in level pixels.
    factors
        `(n, zooms)` by which the weights are multiplied, 0 for a zoom that is dropped.
    size
        Edge of the windows in level pixels; the network's own if not given.

    Returns
    -------
    dict
        Per stage `(n, zooms, cells)` float32.
    """
    n, zooms = places.shape[:2]
    edge = spec.window if size is None else size
    flat = places.reshape(-1, 2)
    found = {}
    for stage in spec.stages:
        stride = STAGE_STRIDES[stage]
        if spec.readout == "mean":
            cells = cell_count(edge, stride) ** 2
            weights = np.full((n, zooms, cells), 1 / cells, np.float32)
        else:
            weights = readout_weights(flat[:, 0], flat[:, 1], edge, stride)
            weights = weights.reshape(n, zooms, weights.shape[1])
        if factors is not None:
            weights = weights * factors[..., np.newaxis]
        found[stage] = weights
    return found
