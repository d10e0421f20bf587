"""Dropout with a generator of the engine's own, so that seeds and checkpoints repeat a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.network.engines.checks import warn_of_foreign_checkpoint
from napari_lungcls.network.engines.mxnet.net import to_device
from napari_lungcls.network.engines.protocol import State

_KEY = "dropout.pcg64"


class Dropout:
    """Leaves features out of a training step.

    Parameters
    ----------
    rate
        Share of them that is left out.
    seed
        Of the generator.
    """

    def __init__(self, rate: float = 0.0, seed: int = 0) -> None:
        self._rate = rate
        self._bits = np.random.PCG64(seed)

    def __call__(self, features: Any) -> Any:
        """Set some to 0 and scale the others, so that the mean stays."""
        if self._rate == 0:
            return features
        keep = 1 - self._rate
        mask = np.random.Generator(self._bits).random(features.shape) < keep
        return features * to_device(mask / keep, features.context)

    def state(self) -> State:
        """Return where the generator stands, as a checkpoint holds it."""
        words = self._bits.state["state"]
        numbers = b"".join(word.to_bytes(16, "little") for word in (words["state"], words["inc"]))
        return {_KEY: np.frombuffer(numbers, np.uint8).astype(np.float32)}

    def load(self, state: Mapping[str, NDArray[np.float32]], engine: str) -> None:
        """Continue from a checkpoint; one of another engine says nothing of this generator."""
        if _KEY not in state:
            warn_of_foreign_checkpoint(engine)
            return
        numbers = state[_KEY].astype(np.uint8).tobytes()
        self._bits.state = {
            **self._bits.state,
            "state": {
                "state": int.from_bytes(numbers[:16], "little"),
                "inc": int.from_bytes(numbers[16:], "little"),
            },
        }
