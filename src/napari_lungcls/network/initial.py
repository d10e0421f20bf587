"""The parameters that a network starts with: one seed, the same numbers in every engine."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.network.engines.protocol import State
from napari_lungcls.network.parameters import stage_channels, stage_of, trunk_shapes
from napari_lungcls.network.spec import NetworkSpec

_BLOCK = 16


def initial_state(spec: NetworkSpec, seed: int) -> State:
    """Draw He's initialisation of the trunk, and small heads.

    Returns
    -------
    dict
        Every array of the network. Convolutions follow a normal distribution with the
        variance `2 / (outputs · side²)`, heads one with `1 / (zooms · channels)` of all
        stages; batch normalisation and bias are neutral.

    Notes
    -----
    He et al. 2015, "Delving deep into rectifiers", equation 14, doi 10.1109/ICCV.2015.123.
    The torch engine draws with its library's own `normal_`; the numbers are the same but
    for rounding, so that a seed names one start whatever engine is chosen. A test compares.
    """
    draw = _Normal(seed)
    state: State = {}
    for name, shape in trunk_shapes().items():
        if stage_of(name) > spec.stages[-1]:
            continue
        if len(shape) == 4:
            state[name] = draw(shape, math.sqrt(2 / (shape[0] * shape[2] * shape[3])))
        else:
            neutral = 1 if name.endswith(("weight", "running_var")) else 0
            state[name] = np.full(shape, neutral, np.float32)
    fan_in = len(spec.zooms) * sum(stage_channels(stage) for stage in spec.stages)
    for stage in spec.stages:
        shape = (len(spec.zooms), spec.classes, stage_channels(stage))
        for zoom, head in zip(spec.zooms, draw(shape, fan_in**-0.5), strict=True):
            state[spec.head_name(zoom, stage)] = head
    state[spec.bias_name] = np.zeros(spec.classes, np.float32)
    return state


class _Normal:
    """Normal numbers as PyTorch's CPU generator gives them for arrays of 16 and more.

    Mersenne Twister words become uniform numbers of 24 bits, and within each block of 16
    the first eight and the last eight make eight pairs for the method of Box and Muller
    (1958, doi 10.1214/aoms/1177706645). Where the size is no multiple of 16, the last 16
    numbers are drawn anew.
    """

    def __init__(self, seed: int) -> None:
        self._words = np.random.RandomState(seed % 2**32)  # its way of seeding is torch's

    def __call__(self, shape: tuple[int, ...], std: float) -> NDArray[np.float32]:
        size = math.prod(shape)
        values = self._uniform(size)
        whole = size // _BLOCK * _BLOCK
        values[:whole] = _box_muller(values[:whole])
        if whole < size:
            values[-_BLOCK:] = _box_muller(self._uniform(_BLOCK))
        return (values * np.float32(std)).reshape(shape)

    def _uniform(self, size: int) -> NDArray[np.float32]:
        words = self._words.randint(0, 2**32, size, np.uint32)
        return (words & np.uint32(2**24 - 1)).astype(np.float32) * np.float32(2**-24)


def _box_muller(uniform: NDArray[np.float32]) -> NDArray[np.float32]:
    halves = uniform.reshape(-1, 2, _BLOCK // 2)
    radius = np.sqrt(-2 * np.log(1 - halves[:, 0]))
    angle = np.float32(2 * math.pi) * halves[:, 1]
    pairs: NDArray[np.float32] = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    return pairs.reshape(-1)
