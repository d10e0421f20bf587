"""What augmentation does to tiles: bends, stain, brightness and contrast, blur and noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline
from scipy.ndimage import gaussian_filter
from skimage.color import hed_from_rgb, rgb_from_hed

from napari_lungcls.learning.settings_data import AugmentationSettings

Floats = NDArray[np.float64]

SPANS = 4
"""Spans of the coarse grid across a tile: bends are as wide as a quarter of it, or wider."""

FOLDS = 2.05
"""A span must be wider than this times the largest shift of a grid point along an axis.

Else tissue could fold over itself; Choi and Lee 2000, doi 10.1006/gmod.2000.0531.
"""

Tiles = NDArray[np.float32]

CUT = 3.0
"""Standard deviations at which a blur is cut off."""


def random_bend(most: float, places: Floats, size: int, rng: np.random.Generator) -> Floats:
    """Draw smooth fields of shifts that leave a place of each where it is.

    Each point of a coarse grid is shifted by `most` in a random direction; cubic B-splines lie
    between them (Rueckert et al. 1999, doi 10.1109/42.796284). What the point itself is shifted
    by is taken away, and a field that then moves anything farther than `most` is weakened.

    Parameters
    ----------
    most
        Largest shift against the point, in zoomed pixels.
    places
        `(n, zooms, 2)` where in its tile the bend leaves alone.
    size
        Edge of the tiles in zoomed pixels.
    rng
        Source of the draws.

    Returns
    -------
    ndarray, (n, zooms, 2, size, size)
        Zoomed pixels along y and x, for every pixel of the tiles.
    """
    n, zooms = places.shape[:2]
    spans = min(SPANS, max(1, math.floor((size - 1) / (FOLDS * most))))
    angle = rng.uniform(0, 2 * np.pi, (n, zooms, spans + 3, spans + 3))
    nodes = most * np.stack([np.sin(angle), np.cos(angle)], 2)
    grid = _weights(np.arange(size), size, spans)
    bend: Floats = grid @ nodes @ grid.T
    at = _weights(places.reshape(-1), size, spans).reshape(n, zooms, 2, 1, -1)
    own = at[:, :, :1] @ nodes @ at[:, :, 1:].swapaxes(-1, -2)
    bend -= own
    length = np.hypot(bend[:, :, :1], bend[:, :, 1:])
    bend *= most / np.maximum(length.max((3, 4), keepdims=True), most)
    return bend


def _weights(position: NDArray[Any], size: int, spans: int) -> Floats:
    """Weights `(n, spans + 3)` of the grid points at positions from 0 to `size − 1`."""
    knots = np.arange(-3, spans + 4) * ((size - 1) / spans)
    # The last knot inside must not end before the last pixel by rounding.
    where = np.clip(np.asarray(position, np.float64), knots[3], knots[-4])
    weights: Floats = BSpline.design_matrix(where, knots, 3).toarray()
    return weights


@dataclass(frozen=True)
class Light:
    """How the intensities of tiles are stretched and shifted.

    Attributes
    ----------
    gain
        `(n, 3)` factors around each tile's mean.
    shift
        `(n, 3)` in units of the image's spread.
    """

    gain: NDArray[np.float32]
    shift: NDArray[np.float32]


def random_light(settings: AugmentationSettings, n: int, rng: np.random.Generator) -> Light:
    """Draw changes of brightness and contrast, of each channel and of all channels alike.

    Strengths are standard deviations: with 0.1 a channel is shifted by a tenth of its spread
    and stretched by a tenth. As many numbers are drawn whatever is switched off.
    """
    gain = settings.colour * rng.standard_normal((n, 3))
    shift = settings.colour * rng.standard_normal((n, 3))
    gain += settings.contrast * rng.standard_normal((n, 1))
    shift += settings.brightness * rng.standard_normal((n, 1))
    return Light(np.exp(gain).astype(np.float32), shift.astype(np.float32))


def recolour(tiles: Tiles, std: NDArray[np.float32], light: Light) -> Tiles:
    """Stretch each channel around its mean over the tile, and shift it.

    Parameters
    ----------
    tiles
        `(n, zooms, y, x, 3)`.
    std
        `(3,)` standard deviation of the intensities.
    light
        The change of each point.
    """
    n, zooms, height, width = tiles.shape[:4]
    # A product with ones is ten times as fast as `mean` over the inner axes.
    ones = np.full((1, height * width), 1 / (height * width), np.float32)
    mean = (ones @ tiles.reshape(n, zooms, -1, 3))[:, :, np.newaxis]
    gain, shift = (
        each[:, np.newaxis, np.newaxis, np.newaxis] for each in (light.gain, light.shift)
    )
    changed: Tiles = tiles * gain
    changed += mean * (1 - gain) + shift * std
    return changed


@dataclass(frozen=True)
class StainChange:
    """How strongly stains took.

    Attributes
    ----------
    factor, shift
        `(n, 3)` for haematoxylin, eosin and the rest: the optical density of a stain is
        multiplied, then shifted.
    """

    factor: NDArray[np.float64]
    shift: NDArray[np.float64]


def random_stain(strength: float, n: int, rng: np.random.Generator) -> StainChange:
    """Draw changes of stains, uniform in `1 ± strength` and `0 ± strength`.

    Tellez et al. 2018, doi 10.1109/TMI.2018.2820199, who take 0.05; strong is 0.2 (Tellez et
    al. 2019, doi 10.1016/j.media.2019.101544).
    """
    factor, shift = strength * rng.uniform(-1, 1, (2, n, 3))
    return StainChange(1 + factor, shift)


def restain(tiles: Tiles, stain: StainChange) -> Tiles:
    """Change the amounts of haematoxylin, eosin and the rest in 8-bit RGB tiles.

    Optical densities `−log10((intensity + 1) / 256)` are separated into stains with the
    matrices of Ruifrok and Johnston 2001 as scikit-image has them, changed, and put together.
    scikit-image's own functions cut off negative amounts; here nothing is lost, and no change
    leaves every pixel as it was.

    Parameters
    ----------
    tiles
        `(n, zooms, y, x, 3)`, intensities above −1.
    stain
        The change of each point.

    Returns
    -------
    ndarray, float32
        Shape of `tiles`; above −1, beyond 255 where a stain was taken away from white.
    """
    # All of it is one matrix for each point, because separation and joining are linear.
    mixed = (hed_from_rgb * stain.factor[:, np.newaxis]) @ rgb_from_hed
    offset = -np.log(10) * (stain.shift @ rgb_from_hed)[:, np.newaxis, np.newaxis]
    # In place: new arrays of this size would take most of the time.
    logs = tiles + 1
    logs /= 256
    np.log(logs, out=logs)
    n, zooms = tiles.shape[:2]
    turned = logs.reshape(n, zooms, -1, 3) @ mixed[:, np.newaxis].astype(np.float32)
    turned += offset.astype(np.float32)
    np.exp(turned, out=turned)
    turned *= 256
    turned -= 1
    changed: Tiles = turned.reshape(tiles.shape)
    return changed


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
