"""Blank glass in a tile, and what of it is not blank."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from napari_lungcls.images.geometry import STAGE_STRIDES
from napari_lungcls.network.engines.receptive_field import STEM_RADIUS, Ends, block_radius, sees_any
from napari_lungcls.network.engines.rectangles import Bools

GRANULE = 32
"""Edge in zoomed pixels of the squares that are computed or not; the deepest stage's stride."""

FINE = 16
"""Edge of these squares behind the stem."""

GRAIN = 8
"""Edge of the smallest squares that are of one colour or not."""

WORTH = 0.85
"""Share of a tile's squares up to which it is faster to compute them one by one than all."""

ASKED = 1000
"""Grains that are asked for their colour, at most."""


@dataclass(frozen=True)
class Glass:
    """Where a tile is nothing but glass.

    Attributes
    ----------
    colour
        `(3,)` the glass, or None where there is none.
    other
        `(rows, columns)` grains that hold something else, as many as make whole squares.
    """

    colour: NDArray[np.float64] | None
    other: Bools

    def seen(self, sight: int, stride: int, edge: int = 1) -> Bools:
        """Tell which cells, or squares, `(rows, columns)` see more than glass.

        Parameters
        ----------
        sight
            How many pixels they see on each side.
        stride
            Pixels from one to the next.
        edge
            A square's edge: it sees what any of its pixels does. A cell is a single pixel.
        """

        def ends(grains: int) -> Ends:
            first = np.arange(0, grains * GRAIN, stride)
            last = first + edge - 1 + sight
            return np.maximum(first - sight, 0) // GRAIN, np.minimum(last // GRAIN + 1, grains)

        rows, columns = (ends(grains) for grains in self.other.shape)
        return sees_any(self.other, rows, columns)

    def lattice(
        self, y: NDArray[np.float64], x: NDArray[np.float64], sight: tuple[int, int]
    ) -> Bools:
        """Tell at which positions `(len(y), len(x))` more than glass is seen.

        Parameters
        ----------
        y, x
            In pixels, inside the tile.
        sight
            How many pixels before and behind the one below a position are seen.
        """

        def ends(positions: NDArray[np.float64], grains: int) -> Ends:
            at = np.floor(positions).astype(np.intp)
            first, last = at - sight[0], at + sight[1]
            return np.maximum(first, 0) // GRAIN, np.minimum(last // GRAIN + 1, grains)

        rows, columns = (
            ends(side, grains) for side, grains in zip((y, x), self.other.shape, strict=True)
        )
        return sees_any(self.other, rows, columns)

    def if_worth(self, sight: int) -> Glass:
        """Give this glass, or none where it leaves hardly a square out.

        What lies past a tile's end is taken for more of the glass. A few even grains in tissue
        shall not decide that.
        """
        if self.colour is None or self.seen(sight, GRANULE, GRANULE).mean() <= WORTH:
            return self
        return Glass(None, np.ones_like(self.other))


@dataclass(frozen=True)
class Foreground:
    """The parts of a tile that are not blank glass.

    Attributes
    ----------
    stem
        `(rows, columns)` squares of `FINE` pixels behind the stem.
    blocks
        Per stage `(rows, columns)` its cells, after its first and after its second block.
    """

    stem: Bools
    blocks: dict[int, tuple[Bools, Bools]]


def find_glass(pixels: NDArray[np.generic], tolerance: NDArray[np.float64]) -> Glass:
    """Look for grains of one colour, the commonest there is.

    Parameters
    ----------
    pixels
        `(y, x, 3)`; what is left over at the ends of whole grains is no glass.
    tolerance
        `(3,)` how far from the colour glass may lie.
    """
    low, high = _extremes(pixels)
    even = np.asarray((high - low <= 2 * tolerance).all(axis=2))
    per = GRANULE // GRAIN
    rows, columns = (per * -(-n // GRANULE) for n in pixels.shape[:2])
    other = np.ones((rows, columns), np.bool_)
    if not even.any():
        return Glass(None, other)
    middles = (low[even] + high[even]) / 2
    # Some thousand of them tell. Of colours that are equally common the darkest is taken.
    middles, counts = np.unique(middles[:: 1 + len(middles) // ASKED], axis=0, return_counts=True)
    colour = middles[counts.argmax()]
    blank = ((low >= colour - tolerance) & (high <= colour + tolerance)).all(axis=2)
    other[: blank.shape[0], : blank.shape[1]] = ~blank
    return Glass(colour, other)


def find_seen(glass: Glass, sight: int, halo: int) -> Foreground:
    """Find what of a tile must be computed.

    Parameters
    ----------
    glass
        Where the tile is nothing but glass.
    sight
        How many pixels around its own a cell sees at most.
    halo
        Squares around the tile that are needed only where its own are computed.
    """
    # Squares of the halo are needed only where a square of the tile itself is computed.
    squares = glass.seen(sight, GRANULE, GRANULE)
    own = np.zeros_like(squares)
    # One square more at the end, whose first cells belong to the tile.
    own[halo : 1 - halo, halo : 1 - halo] = True
    squares &= maximum_filter(squares & own, 2 * halo + 1)

    def needed(seen: Bools) -> Bools:
        per = seen.shape[0] // squares.shape[0]
        return seen & squares.repeat(per, 0).repeat(per, 1)

    def cells(stage: int, block: int) -> Bools:
        return needed(glass.seen(min(block_radius(stage, block), sight), STAGE_STRIDES[stage]))

    blocks = {stage: (cells(stage, 1), cells(stage, 2)) for stage in STAGE_STRIDES}
    return Foreground(needed(glass.seen(min(STEM_RADIUS, sight), FINE, FINE)), blocks)


def _extremes(pixels: NDArray[np.generic]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the least and the greatest value of each whole grain: `(rows, columns, 3)`."""
    rows, columns = (n // GRAIN for n in pixels.shape[:2])
    if not rows * columns:
        none = np.empty((rows, columns, 3))
        return none, none
    # Row by row first: numpy compares long rows many values at a time. Then columns, as rows.
    lines = pixels[: rows * GRAIN, : columns * GRAIN].reshape(rows, GRAIN, -1)
    low, high = (
        ends.reshape(rows * columns, GRAIN * 3).T.copy().reshape(GRAIN, 3, -1)
        for ends in (lines.min(axis=1), lines.max(axis=1))
    )
    shape = (rows, columns, 3)
    return (
        low.min(axis=0).T.reshape(shape).astype(np.float64),
        high.max(axis=0).T.reshape(shape).astype(np.float64),
    )
