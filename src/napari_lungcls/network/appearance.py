"""What images look like in numbers, and how far one is from those that a model was trained on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, model_validator

from napari_lungcls.images.sampling import LEAST, sampled_tiles, tiles_enough
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.network.spec import Normalisation

TILES = 64
"""Tiles of the training images together, and of an image that is compared with them."""

EDGE = 128
"""Edge of these tiles, in zoomed pixels of the finest zoom."""

LEAST_EDGE = 16
"""Edge of tiles that are too small to compare."""

SCALES = (1.0, 2.0, 4.0)
"""Standard deviations of the Gaussians whose differences are the bands of texture, in pixels."""

SHADES = (10.0, 90.0)
"""Percentiles of a tile: its background, and its most strongly stained tissue."""

SHRINK = 0.1
"""Share of the correlations that is given up, as few tiles overstate them."""

LEAST_SPREAD = 0.02
"""Standard deviation between tiles that is assumed at the least: 5 % of the light, or of the
contrast, is no other stain even where the training images were more alike than that."""

Value = Annotated[float, Field(ge=-1e6, le=1e6)]


class Appearance(BaseModel, frozen=True, extra="ignore", allow_inf_nan=False):
    """Statistics of tiles: percentiles of their shades, energies of bands of texture.

    Attributes
    ----------
    edge
        Of the tiles, in zoomed pixels of the finest zoom.
    tiles
        How many there were.
    names
        Of the `k` features; those of texture begin with `texture`.
    mean
        `(k,)` means over the tiles.
    spread
        `(k,)` standard deviations between tiles.
    correlation
        `(k, k)` of the features over tiles.
    low, high
        Intensities between which all but the outermost thousandths lie.
    """

    edge: int = Field(ge=LEAST_EDGE, le=EDGE)
    tiles: int = Field(ge=LEAST)
    names: list[str] = Field(max_length=16, min_length=1)
    mean: list[Value]
    spread: list[Annotated[float, Field(gt=0, le=1e6)]]
    correlation: list[list[Annotated[float, Field(ge=-1, le=1)]]]
    low: float
    high: float

    @model_validator(mode="after")
    def _fits_together(self) -> Appearance:
        k = len(self.names)
        lengths = {len(self.mean), len(self.spread), len(self.correlation)}
        if lengths | set(map(len, self.correlation)) != {k}:
            raise ValueError(f"statistics are not of {k} features")
        return self

    def differences(self, other: Appearance) -> dict[str, float]:
        """Give by how many standard deviations between tiles each mean of another differs."""
        if self.names != other.names:
            return {}
        found = (np.array(other.mean) - self.mean) / self.spread
        return dict(zip(self.names, found.tolist(), strict=True))

    def distance(self, other: Appearance) -> float | None:
        """Give how far another appearance is: Mahalanobis's distance of the means over √k.

        Returns
        -------
        float or None
            1 for means that differ like those of two tiles; None where features are not the
            same.
        """
        if not (found := self.differences(other)):
            return None
        steps = np.array(list(found.values()))
        related = (1 - SHRINK) * np.array(self.correlation) + SHRINK * np.eye(len(steps))
        # What a stranger wrote need not be a correlation: then no direction counts for less.
        values, vectors = np.linalg.eigh((related + related.T) / 2)
        along = vectors.T @ steps
        return float(math.sqrt(np.mean(along**2 / np.maximum(values, SHRINK / 2))))


def describe_tiles(
    tiles: Iterable[NDArray[Any]], normalisation: Normalisation, *, rgb: bool
) -> Appearance | None:
    """Compute the statistics of tiles.

    Parameters
    ----------
    tiles
        Each `(edge, edge, 3)`, in intensities of the image.
    normalisation
        Of the network; it scales what has no optical density.
    rgb
        Whether they have colours. Those of integer type count as optical densities.

    Returns
    -------
    Appearance or None
        None of fewer tiles than `sampling.LEAST`.
    """
    rows, ends, edge, names = [], [], EDGE, tuple[str, ...]()
    for tile in tiles:
        edge = tile.shape[0]
        found = _features(_shades(tile, normalisation, rgb=rgb))
        names = tuple(found)
        rows.append(list(found.values()))
        ends.append(np.percentile(tile, (0.1, 99.9)))
    if len(rows) < LEAST:
        return None
    table = np.clip(np.array(rows), -1e5, 1e5)
    spread = np.maximum(table.std(axis=0), LEAST_SPREAD)
    scaled = (table - table.mean(axis=0)) / spread
    low, high = np.array(ends).T
    return Appearance(
        edge=edge,
        tiles=len(rows),
        names=list(names),
        mean=table.mean(axis=0).round(5).tolist(),
        spread=spread.round(5).tolist(),
        correlation=np.clip(scaled.T @ scaled / len(rows), -1, 1).round(4).tolist(),
        low=float(low.min()),
        high=float(high.max()),
    )


def describe_images(
    stacks: Sequence[tuple[ImageStack, float]], normalisation: Normalisation
) -> Appearance | None:
    """Compute the statistics with which images are compared later.

    Parameters
    ----------
    stacks
        Images, and for each the image pixels per zoomed pixel of the finest zoom.
    normalisation
        Of the network.

    Returns
    -------
    Appearance or None
        None where too little can be read, or some images have colours and some have not.
    """
    colours = {stack.rgb for stack, _ in stacks}
    if len(colours) > 1:
        return None
    # Of many images some are left out, but none counts for more than another.
    chosen = stacks[:: -(-len(stacks) // TILES)]
    each = -(-TILES // len(chosen))
    tiles = (
        tile[0]
        for number, (stack, zoom) in enumerate(chosen)
        for tile in sampled_tiles(
            stack, (zoom,), EDGE, tiles_enough(stack, zoom, EDGE, each), seed=number
        )
    )
    return describe_tiles(tiles, normalisation, rgb=colours == {True})


def _shades(
    tile: NDArray[Any], normalisation: Normalisation, *, rgb: bool
) -> dict[str, NDArray[np.float32]]:
    """Give optical densities by colour, or normalised intensities `(edge, edge)`."""
    if rgb and tile.dtype.kind == "u":
        white = float(np.iinfo(tile.dtype).max)
        density = -np.log10((tile.astype(np.float32) + 1) / (white + 1))
        return {name: density[..., k] for k, name in enumerate(("red", "green", "blue"))}
    mean, std = (np.array(each, np.float32) for each in (normalisation.mean, normalisation.std))
    values = (tile.astype(np.float32) - mean) / std
    if rgb:
        return {name: values[..., k] for k, name in enumerate(("red", "green", "blue"))}
    return {"grey": values.mean(axis=-1)}


def _features(shades: dict[str, NDArray[np.float32]]) -> dict[str, float]:
    from scipy.ndimage import gaussian_filter

    found = {
        f"{name} {at:g} %": float(value)
        for name, shade in shades.items()
        for at, value in zip(SHADES, np.percentile(shade, SHADES), strict=True)
    }
    grey = np.mean(list(shades.values()), axis=0)
    before = grey
    for scale in SCALES:
        after = gaussian_filter(grey, scale)
        found[f"texture {scale:g} px"] = math.log10(float((before - after).std()) + 1e-4)
        before = after
    return found
