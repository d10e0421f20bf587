"""Changes that optics and camera make: sharpness, blur and noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Windows = NDArray[np.float32]

SOFTER = 0.4
"""How far windows are softened, as a share of how far they are sharpened.

Softening by more than 0.25 would invert the finest detail, which limits the setting.
"""

CUT = 3.0
"""Standard deviations at which a blur is cut off."""


def per_zoom(strength: NDArray[np.float64], zooms: Sequence[int]) -> NDArray[np.float64]:
    """Say how much of a blur or noise each zoom shows, `(n, zooms)`.

    `strength` `(n,)` is that of the finest zoom. A level that averages twice as many pixels
    along each axis shows half of either.
    """
    return strength[:, np.newaxis] * (min(zooms) / np.asarray(zooms, np.float64))


def random_sharpness(most: float, n: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw how much each window is sharpened, `(n,)`, from `-SOFTER · most` to `most`.

    Windows that are sampled between pixels are a little softer than the image that is painted,
    which is why they are sharpened more than they are softened.
    """
    return rng.uniform(-SOFTER * most, most, n).astype(np.float32)


def sharpen(windows: Windows, strength: NDArray[np.float32]) -> None:
    """Sharpen windows in place, or soften them; edges are held.

    Parameters
    ----------
    windows
        `(n, zooms, y, x, 3)`.
    strength
        `(n,)`: along each axis a pixel is changed by this share of its differences from both
        of its neighbours; negative ones soften. Where an image is smooth, 1/8 makes up for
        bilinear interpolation half-way between pixels, and 1/12 for that anywhere.
    """
    for window, share in zip(windows, strength, strict=True):
        for lower, upper in (
            (window[:, :-1], window[:, 1:]),
            (window[:, :, :-1], window[:, :, 1:]),
        ):
            step = upper - lower
            step *= share
            lower -= step
            upper += step


def blurred(windows: Windows, sigma: NDArray[np.float64]) -> Windows:
    """Blur windows; what lies beyond a window's edge is its reflection.

    Parameters
    ----------
    windows
        `(n, zooms, y, x, 3)`.
    sigma
        `(n, zooms)` standard deviations of the Gaussian, in level pixels.
    """
    out = np.empty_like(windows)
    for index in np.ndindex(*sigma.shape):
        # Channel by channel the inner loop runs along a row: twice as fast.
        planar = np.ascontiguousarray(windows[index].transpose(2, 0, 1))
        soft = gaussian_filter(planar, sigma[index], mode="reflect", truncate=CUT, axes=(1, 2))
        out[index] = soft.transpose(1, 2, 0)
    return out


def noisy(
    windows: Windows,
    strength: NDArray[np.float64],
    std: NDArray[np.float32],
    rng: np.random.Generator,
) -> Windows:
    """Add Gaussian noise, another number for each pixel and channel.

    Parameters
    ----------
    windows
        `(n, zooms, y, x, 3)`.
    strength
        `(n, zooms)` standard deviations of the noise, in units of `std`.
    std
        `(3,)` standard deviation of the intensities.
    rng
        Source of the draws.
    """
    spread = (strength[..., np.newaxis] * std).astype(np.float32)
    grain = rng.standard_normal(windows.shape, np.float32)
    grain *= spread[:, :, np.newaxis, np.newaxis]
    grain += windows
    return grain
