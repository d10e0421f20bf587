"""A network's arrays: their initial values, and the heads among them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.network.parameters import stage_channels
from napari_lungcls.network.spec import NetworkSpec

State = dict[str, NDArray[np.float32]]
"""Parameters and running statistics under torchvision's names, heads included."""


def initial_state(spec: NetworkSpec, seed: int) -> State:
    """Draw the initial parameters of a network.

    Returns
    -------
    dict
        Every array of the network. Convolutions follow a normal distribution with the
        variance `2 / (outputs · side²)`, heads one with `2 / channels` of all that is read
        before a hidden layer and half of that without one; batch normalisation and biases are
        neutral.

    Notes
    -----
    He et al. 2015, "Delving deep into rectifiers", equation 14, doi 10.1109/ICCV.2015.123.
    """
    rng = np.random.default_rng(seed)
    read = sum(stage_channels(stage) for _, stage in spec.reads)
    heads = {spec.head_name(zoom, stage) for zoom, stage in spec.reads}
    state: State = {}
    for name, shape in spec.shapes().items():
        if len(shape) == 4:
            variance = 2 / (shape[0] * shape[2] * shape[3])
        elif name in heads:
            variance = (2 if spec.hidden else 1) / read
        elif name == "heads.out.weight":
            variance = 1 / spec.hidden
        else:
            is_one = name.endswith(("running_var", ".weight"))
            state[name] = np.full(shape, 1.0 if is_one else 0.0, np.float32)
            continue
        state[name] = rng.standard_normal(shape, np.float32) * np.float32(math.sqrt(variance))
    return state


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
