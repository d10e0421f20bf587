"""What training learns from: pieces of tissue with labelled points, wherever they come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.learning.regions import Region
from napari_lungcls.learning.splits import Rows, nobody
from napari_lungcls.network.tiles import Tiles


@dataclass(frozen=True, eq=False)
class Side:
    """One side of a split.

    Attributes
    ----------
    rows
        Its examples.
    regions
        The only pixels that may be read for it; none of them: all that the examples have.
    """

    rows: Rows = field(default_factory=nobody)
    regions: tuple[Region, ...] = ()

    def __len__(self) -> int:
        """Count the examples."""
        return len(self.rows)


@dataclass(frozen=True, eq=False)
class Crops:
    """Pieces of tissue from which tiles are made.

    Attributes
    ----------
    pixels
        `(n, zooms, c, c, 3)` zoomed pixels.
    rows
        `(m,)` the examples that lie in them; one may lie in several.
    owner
        `(m,)` in which.
    places
        `(m, zooms, 2)` where, in zoomed pixels.
    """

    pixels: NDArray[Any]
    rows: Rows
    owner: NDArray[np.intp]
    places: NDArray[np.float64]


class Examples(Protocol):
    """Labelled examples, numbered from 0; points of images, or patches of a data set."""

    @property
    def codes(self) -> NDArray[np.int64]:
        """`(n,)` classes."""

    @property
    def run_length(self) -> int:
        """How many neighbouring rows are read together at little more than the cost of one.

        1 when every row costs the same; batches are then drawn from all rows at random.
        """

    def at(self, zooms: Sequence[int]) -> Examples:
        """See some of the zooms only, given as their numbers."""

    def crops(
        self, rows: Rows, side: Side, tile: int, edge: int, rng: np.random.Generator
    ) -> Crops:
        """Cut a piece of tissue around each of some examples.

        Parameters
        ----------
        rows
            `(n,)` examples of the side, each of which lies in the middle `tile` of its crop.
        side
            Where tissue may come from, and which examples are given that also lie in it.
        tile, edge
            Edges of the tiles, and of the crops from which they can be made in any pose.
        rng
            Where an example lies in its crop.
        """

    def answering(self, side: Side, tile: int, batch: int) -> Iterator[tuple[Rows, Tiles]]:
        """Give tiles, `batch` at a time, through which all examples of a side are answered."""

    def sample(self, side: Side, count: int) -> NDArray[np.float32]:
        """Give about `count` pixels `(m, 3)` that a side may look at, evenly spread."""
