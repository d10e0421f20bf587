"""Tiles: pieces of tissue with the points that lie in them, as a network sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Tiles:
    """A batch of `n` tiles and `m` points in them.

    Attributes
    ----------
    pixels
        `(n, zooms, y, x, 3)` zoomed pixels, in intensities of the image, any type.
    owner
        `(m,)` the tile in which each point lies.
    places
        `(m, zooms, 2)` `(y, x)` of each point in its tile, in zoomed pixels; what lies beyond
        the outermost cells is read as they are. The pooling `mean` does not look at them.
    factors
        `(m, zooms)` by which what is read of each zoom is multiplied, 0 for a zoom that is
        dropped; None where nothing is.
    """

    pixels: NDArray[Any]
    owner: NDArray[np.intp]
    places: NDArray[np.float64]
    factors: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        """Count the points."""
        return len(self.owner)

    @classmethod
    def joined(cls, parts: Sequence[Tiles]) -> Tiles:
        """Put batches of tiles of one size behind each other."""
        counts = np.cumsum([0, *(len(part.pixels) for part in parts)])
        owners = [part.owner + first for part, first in zip(parts, counts[:-1], strict=True)]
        dropped = [part.factors for part in parts if part.factors is not None]
        return cls(
            np.concatenate([part.pixels for part in parts]),
            np.concatenate(owners),
            np.concatenate([part.places for part in parts]),
            np.concatenate(dropped) if len(dropped) == len(parts) else None,
        )
