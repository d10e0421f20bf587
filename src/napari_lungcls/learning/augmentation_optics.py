"""Changes that optics and camera make: blur and noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Tiles = NDArray[np.float32]

CUT = 3.0
"""Standard deviations at which a blur is cut off."""


def per_zoom(strength: NDArray[np.float64], zooms: Sequence[int]) -> NDArray[np.float64]:
    """Say how much of a blur or noise each zoom shows, `(n, zooms)`.

    `strength` `(n,)` is that of the finest zoom. A level that averages twice as many pixels
    along each axis shows half of either.
    """
    return strength[:, np.newaxis] * (min(zooms) / np.asarray(zooms, np.float64))


def blurred(tiles: Tiles, sigma: NDArray[np.float64]) -> Tiles:
    """Blur tiles; what lies beyond a tile's edge is its reflection.

    Parameters
    ----------
    tiles
        `(n, zooms, y, x, 3)`.
    sigma
        `(n, zooms)` standard deviations of the Gaussian, in zoomed pixels.
    """
    out = np.empty_like(tiles)
    for index in np.ndindex(*sigma.shape):
        # Channel by channel the inner loop runs along a row: twice as fast.
        planar = np.ascontiguousarray(tiles[index].transpose(2, 0, 1))
        soft = gaussian_filter(planar, sigma[index], mode="reflect", truncate=CUT, axes=(1, 2))
        out[index] = soft.transpose(1, 2, 0)
    return out


def noisy(
    tiles: Tiles,
    strength: NDArray[np.float64],
    std: NDArray[np.float32],
    rng: np.random.Generator,
) -> Tiles:
    """Add Gaussian noise, another number for each pixel and channel.

    Parameters
    ----------
    tiles
        `(n, zooms, y, x, 3)`.
    strength
        `(n, zooms)` standard deviations of the noise, in units of `std`.
    std
        `(3,)` standard deviation of the intensities.
    rng
        Source of the draws.
    """
    spread = (strength[..., np.newaxis] * std).astype(np.float32)
    grain = rng.standard_normal(tiles.shape, np.float32)
    grain *= spread[:, :, np.newaxis, np.newaxis]
    grain += tiles
    return grain
