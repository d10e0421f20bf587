"""Optimisers for MXNet that take PyTorch's steps, to the rounding."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.network.engines.mxnet_net import mx, to_device
from napari_lungcls.network.engines.protocol import OptimizerOptions, State

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
"""PyTorch's defaults for Adam and AdamW."""


class Optimizer:
    """Adam, AdamW, or SGD with Nesterov's momentum.

    Parameters
    ----------
    options
        Which one, with which momentum, weight decay and clipping.
    parameters
        Gluon's parameters that learn, by name.

    Notes
    -----
    Kingma and Ba 2015 (arXiv 1412.6980); Loshchilov and Hutter 2019 (arXiv 1711.05101), where
    AdamW's decay does not pass through the moments; Sutskever et al. 2013 for Nesterov's
    momentum, in the form PyTorch has. Gluon's own `Trainer` differs: its Adam adds epsilon
    before the correction of the second moment's bias, so that epsilon fades in.
    """

    def __init__(self, options: OptimizerOptions, parameters: Mapping[str, Any]) -> None:
        self._options = options
        self._parameters = dict(parameters)
        self._moments: dict[str, dict[str, Any]] = {}
        self._steps = 0

    def step(self, learning_rate: float) -> None:
        """Take one step down the gradients that the last backward pass left."""
        self._steps += 1
        factor = self._clip_factor()
        for name, parameter in self._parameters.items():
            weight, gradient = parameter.data(), parameter.grad()
            if name not in self._moments:
                self._moments[name] = {key: mx.nd.zeros_like(weight) for key in self._keys}
            moments = self._moments[name]
            if self._options.optimizer == "sgd":
                self._sgd(weight, gradient, moments, learning_rate, factor)
            else:
                self._adam(weight, gradient, moments, learning_rate, factor)

    def state(self) -> State:
        """Return moments and step counts as `<parameter>.<moment>`."""
        found: State = {}
        for name, moments in self._moments.items():
            for key, array in moments.items():
                found[f"{name}.{key}"] = array.asnumpy()
            if self._options.optimizer != "sgd":
                found[f"{name}.step"] = np.array(self._steps, np.float32)
        return found

    def load(self, state: Mapping[str, NDArray[np.float32]]) -> None:
        """Take over what `state` returned."""
        self._moments = {}
        for name, parameter in self._parameters.items():
            if not all(f"{name}.{key}" in state for key in self._keys):
                continue
            context = parameter.data().context
            self._moments[name] = {
                key: to_device(state[f"{name}.{key}"], context) for key in self._keys
            }
        steps = [int(state[key]) for key in state if key.endswith(".step")]
        self._steps = max(steps, default=0)

    @property
    def _keys(self) -> tuple[str, ...]:
        sgd = self._options.optimizer == "sgd"
        return ("momentum_buffer",) if sgd else ("exp_avg", "exp_avg_sq")

    def _clip_factor(self) -> float:
        """Return what all gradients are multiplied by, so that their common norm is bounded."""
        if self._options.clip_norm is None:
            return 1.0
        gradients = [parameter.grad() for parameter in self._parameters.values()]
        squares = mx.nd.multi_sum_sq(*gradients, num_arrays=len(gradients)).asnumpy()
        norm = math.sqrt(squares.sum(dtype=np.float64))
        return min(1.0, self._options.clip_norm / (norm + 1e-6))

    def _adam(
        self, weight: Any, gradient: Any, moments: Mapping[str, Any], rate: float, factor: float
    ) -> None:
        decay = self._options.weight_decay
        if self._options.optimizer == "adamw" and decay:
            weight *= 1 - rate * decay
            decay = 0.0
        # Dividing by √(v / c₂) + ε is dividing by (√v + ε · √c₂) / √c₂.
        root = math.sqrt(1 - BETA2**self._steps)
        mx.nd.adam_update(
            weight,
            gradient,
            moments["exp_avg"],
            moments["exp_avg_sq"],
            lr=rate * root / (1 - BETA1**self._steps),
            beta1=BETA1,
            beta2=BETA2,
            epsilon=EPSILON * root,
            wd=decay,
            rescale_grad=factor,
            lazy_update=False,
            out=weight,
        )

    def _sgd(
        self, weight: Any, gradient: Any, moments: Mapping[str, Any], rate: float, factor: float
    ) -> None:
        gradient = gradient * factor + weight * self._options.weight_decay
        velocity = moments["momentum_buffer"]
        velocity *= self._options.momentum
        velocity += gradient
        weight -= rate * (gradient + self._options.momentum * velocity)
