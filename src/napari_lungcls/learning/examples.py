"""What training learns from: labelled squares of level pixels, wherever they come from."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


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

    def around(self, rows: NDArray[np.intp]) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Give the squares from which training windows are sampled.

        Returns
        -------
        squares : ndarray, (m, zooms, c, c, 3)
            Level pixels, wide enough for any turn: `c` is at least `2 · reach + 2`.
        places : ndarray, (m, zooms, 2)
            Where in its square each example lies.
        """

    def centred(
        self, rows: NDArray[np.intp], window: int
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Give windows without turn or shift, as answers are given through.

        Returns
        -------
        windows : ndarray, (m, zooms, window, window, 3)
        places : ndarray, (m, zooms, 2)
        """
