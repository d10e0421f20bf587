"""Changes of colour: stain, brightness, contrast; every zoom of a point gets the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.color import hed_from_rgb, rgb_from_hed

from napari_lungcls.learning.settings_data import AugmentationSettings

Tiles = NDArray[np.float32]


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
