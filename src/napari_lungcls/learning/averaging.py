"""The moving average of a network's weights, which is often better than the last ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.network.engines import State

EVERY = 4
"""Steps between two states that are averaged; taking one costs a copy of the network."""


class Average:
    """Exponential moving average of all arrays, running statistics included.

    Parameters
    ----------
    decay
        Per step. Early on less is kept, so that the start does not linger: the average of `t`
        steps has the decay `min(decay, (1 + t) / (10 + t))`.
    state
        What to start from.

    Notes
    -----
    Tarvainen and Valpola 2017 (arXiv 1703.01780); the decay's rise is that of TensorFlow's
    `ExponentialMovingAverage`.
    """

    def __init__(self, decay: float, state: Mapping[str, NDArray[np.float32]]) -> None:
        self._decay = decay
        self.state: State = {name: array.copy() for name, array in state.items()}

    def is_due(self, steps: int) -> bool:
        """Tell whether the state after so many steps is averaged."""
        return steps % EVERY == 0

    def add(self, state: Mapping[str, NDArray[np.float32]], steps: int) -> None:
        """Move towards the state after `steps` steps."""
        keep = min(self._decay, (1 + steps) / (10 + steps)) ** EVERY
        for name, array in self.state.items():
            array *= np.float32(keep)
            array += np.float32(1 - keep) * state[name]
