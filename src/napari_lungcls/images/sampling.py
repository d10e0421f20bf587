"""A few places of an image that stand for its tissue."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.images.damage import DamagedInput
from napari_lungcls.images.pyramid import BlockCache, read_windows
from napari_lungcls.images.stack import ImageStack, Plane
from napari_lungcls.images.tissue import coarse_picture, tissue_of

PLANES = 4
"""Planes of a stack that are looked at, spread evenly."""


OVER, LEAST = 6, 8
"""Tiles together are so many times as large as the planes that they lie on, and so many more."""


def tissue_places(stack: ImageStack, count: int, seed: int = 0) -> NDArray[np.float64]:
    """Draw places in the tissue of an image; anywhere, where no tissue can be told apart.

    Parameters
    ----------
    stack
        The image.
    count
        How many.
    seed
        Of the draw; the same seed gives the same places.

    Returns
    -------
    ndarray, (count, ndim)
        Pixels `(…, y, x)`, in a random order; the same may come twice.
    """
    rng = np.random.default_rng(seed)
    numbers = np.unique(np.linspace(0, np.prod(stack.leading) - 1, PLANES).astype(int))
    shares = np.diff(np.linspace(0, count, len(numbers) + 1).astype(int))
    found = []
    for number, n in zip(numbers, shares, strict=True):
        index = np.unravel_index(number, stack.leading) if stack.leading else ()
        plane = stack.plane([int(i) for i in index])
        where = _in_plane(plane, int(n), rng)
        found.append(np.column_stack([np.tile(np.array(index, np.float64), (n, 1)), where]))
    places: NDArray[np.float64] = rng.permutation(np.concatenate(found))
    return places


def tiles_enough(stack: ImageStack, zoom: float, edge: int, most: int) -> int:
    """Give how many tiles are worth reading: of a small image more would be the same again.

    Parameters
    ----------
    stack
        The image.
    zoom
        Image pixels per zoomed pixel.
    edge
        Of the tiles, in zoomed pixels.
    most
        How many are wanted of a large image.
    """
    planes = min(PLANES, math.prod(stack.leading))
    pixels = planes * math.prod(stack.plane_shape) / zoom**2
    return min(most, math.ceil(OVER * pixels / edge**2) + LEAST)


def _in_plane(plane: Plane, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw pixels `(count, 2)` of a plane."""
    try:
        picture = coarse_picture(plane)
    except DamagedInput:
        picture = None
    shape = np.array(plane.shape)
    tissue = None if picture is None else tissue_of(picture)
    if tissue is None:
        return np.asarray(rng.integers(0, shape, (count, 2)), np.float64)
    cells = np.argwhere(tissue)
    chosen = cells[rng.integers(0, len(cells), count)] + rng.random((count, 2))
    where = np.floor(chosen * shape / tissue.shape)
    return np.asarray(np.minimum(where, shape - 1), np.float64)


def sampled_tiles(
    stack: ImageStack, zooms: Sequence[float], edge: int, count: int, seed: int = 0
) -> Iterator[NDArray[Any]]:
    """Read tiles around such places, but those that are damaged or hold what is no number.

    Parameters
    ----------
    stack
        The image.
    zooms
        Image pixels per zoomed pixel.
    edge
        Of the tiles, in zoomed pixels.
    count, seed
        See `tissue_places`.

    Yields
    ------
    ndarray, (zooms, edge, edge, 3)
        In intensities of the image.
    """
    cache = BlockCache()
    for place in tissue_places(stack, count, seed):
        try:
            (tile,), _ = read_windows(stack, place[np.newaxis], zooms, edge, cache=cache)
        except DamagedInput:
            continue
        if np.isfinite(tile).all():
            yield tile
