"""The parameters that a network starts with: one seed, the same numbers in every engine."""

from __future__ import annotations

import math

import numpy as np

from napari_lungcls.network.engines.protocol import State
from napari_lungcls.network.parameters import stage_channels
from napari_lungcls.network.spec import NetworkSpec


def initial_state(spec: NetworkSpec, seed: int) -> State:
    """Draw the parameters of a network that has learned nothing.

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
