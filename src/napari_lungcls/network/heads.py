"""The heads of a network as they are painted: normalisation folded away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.network.spec import NetworkSpec

Floats = NDArray[np.float32]

EPSILON = 1e-5
"""What batch normalisation adds to a variance."""


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
        """Take the heads out of a network's arrays, as they are in evaluation.

        `γ · (x − μ) / √(σ² + ε) + β` of a sum of linear maps is a sum of linear maps.
        """
        gain: NDArray[np.float64] = np.ones(spec.summed)
        shift: NDArray[np.float64] = np.zeros(spec.summed)
        out = None
        if spec.hidden:
            norm = {n: state[f"heads.norm.{n}"].astype(np.float64) for n in ("weight", "bias")}
            gain = norm["weight"] / np.sqrt(state["heads.norm.running_var"] + np.float64(EPSILON))
            shift = norm["bias"] - gain * state["heads.norm.running_mean"]
            out = state["heads.out.weight"], state["heads.out.bias"]
        weights = {
            (zoom, stage): (state[spec.head_name(zoom, stage)] * gain[:, np.newaxis]).astype(
                np.float32
            )
            for zoom, stage in spec.reads
        }
        bias = gain * state[spec.bias_name] + shift
        return cls(weights, bias.astype(np.float32), out)

    def logits(self, summed: Floats) -> Floats:
        """Turn sums, bias included, into logits; channels lie along the first axis."""
        if self.out is None:
            return summed
        weight, bias = self.out
        hidden = np.maximum(summed, 0)
        found: Floats = np.tensordot(weight, hidden, 1) + bias.reshape(-1, *[1] * (summed.ndim - 1))
        return found
