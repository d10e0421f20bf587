"""The heads of a network: what turns cells into logits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.network.spec import NetworkSpec

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Heads:
    """What turns cells into logits.

    Attributes
    ----------
    weights
        For each zoom and stage `(summed, channels)`.
    bias
        `(summed,)`, added once.
    out
        Weight `(classes, hidden)` and bias `(classes,)` behind the hidden layer's ReLU; None
        where the heads are linear and what is summed are the logits.
    """

    weights: Mapping[tuple[int, int], Floats]
    bias: Floats
    out: tuple[Floats, Floats] | None

    @classmethod
    def of(cls, spec: NetworkSpec, state: Mapping[str, Floats]) -> Heads:
        """Take the heads out of a network's arrays."""
        weights = {(zoom, stage): state[spec.head_name(zoom, stage)] for zoom, stage in spec.reads}
        out = (state["heads.out.weight"], state["heads.out.bias"]) if spec.hidden else None
        return cls(weights, state[spec.bias_name], out)

    def logits(self, summed: Floats) -> Floats:
        """Turn sums, bias included, into logits; channels lie along the first axis."""
        if self.out is None:
            return summed
        weight, bias = self.out
        hidden = np.maximum(summed, 0)
        found: Floats = np.tensordot(weight, hidden, 1) + bias.reshape(-1, *[1] * (summed.ndim - 1))
        return found
