"""Optimisers for MXNet that take PyTorch's steps, to the rounding."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.network.engines.mxnet.net import mx, to_device
from napari_lungcls.network.engines.protocol import OptimizerOptions, State
from napari_lungcls.network.parameters import PARTS

_MOMENTS = {
    "sgd": ("momentum_buffer",),
    "rmsprop": ("square_avg",),
    "adam": ("exp_avg", "exp_avg_sq"),
    "adamw": ("exp_avg", "exp_avg_sq"),
}
"""What each optimiser remembers of a parameter, as PyTorch calls it."""


def is_of_trunk(name: str) -> bool:
    """Tell whether an array of the model file belongs to the trunk."""
    return name.partition(".")[0] in PARTS


class Optimizer:
    """Adam, AdamW, RMSprop, or SGD with Nesterov's momentum.

    Parameters
    ----------
    options
        Which one, with which momentum, weight decay and clipping.
    parameters
        Gluon's parameters that learn, under the names of the model file.

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
        self._steps: dict[str, int] = {}
        self.frozen = options.freeze
        """Whether parameters of the trunk stay as they are."""

    def step(self, learning_rate: float, scale: float = 1.0) -> None:
        """Take one step down the gradients that the last backward pass left.

        Parameters
        ----------
        learning_rate
            Of the heads; the trunk has its share of it.
        scale
            What the loss was multiplied by before that pass.
        """
        learning = self._learning()
        factor = self._clip_factor(learning, scale) / scale
        for name, parameter in learning.items():
            weight, gradient = parameter.data(), parameter.grad()
            if name not in self._moments:
                self._moments[name] = {key: mx.nd.zeros_like(weight) for key in self._keys}
            self._steps[name] = self._steps.get(name, 0) + 1
            rate = learning_rate * self._options.rate_of(name)
            move = {"sgd": self._sgd, "rmsprop": self._rmsprop}.get(
                self._options.optimizer, self._adam
            )
            move(weight, gradient * factor, self._moments[name], rate, self._steps[name])

    def finite(self) -> bool:
        """Tell whether all gradients that the last backward pass left are finite numbers."""
        gradients = [parameter.grad() for parameter in self._learning().values()]
        return bool(mx.nd.multi_all_finite(*gradients, num_arrays=len(gradients)).asscalar())

    def state(self) -> State:
        """Return moments and step counts as `<parameter>.<moment>`."""
        found: State = {}
        for name, moments in self._moments.items():
            for key, array in moments.items():
                found[f"{name}.{key}"] = array.asnumpy()
            if self._options.optimizer != "sgd":
                found[f"{name}.step"] = np.array(self._steps[name], np.float32)
        return found

    def load(self, state: Mapping[str, NDArray[np.float32]]) -> None:
        """Take over what `state` returned."""
        self._moments, self._steps = {}, {}
        for name, parameter in self._parameters.items():
            if not all(f"{name}.{key}" in state for key in self._keys):
                continue
            context = parameter.data().context
            self._moments[name] = {
                key: to_device(state[f"{name}.{key}"], context) for key in self._keys
            }
            self._steps[name] = int(state.get(f"{name}.step", 0))

    @property
    def _keys(self) -> tuple[str, ...]:
        return _MOMENTS[self._options.optimizer]

    def _learning(self) -> dict[str, Any]:
        return {
            name: parameter
            for name, parameter in self._parameters.items()
            if not (self.frozen and is_of_trunk(name))
        }

    def _clip_factor(self, learning: Mapping[str, Any], scale: float) -> float:
        """Return what unscaled gradients are multiplied by, so that their norm is bounded."""
        if self._options.clip_norm is None:
            return 1.0
        gradients = [parameter.grad() for parameter in learning.values()]
        squares = mx.nd.multi_sum_sq(*gradients, num_arrays=len(gradients)).asnumpy()
        norm = math.sqrt(squares.sum(dtype=np.float64)) / scale
        return min(1.0, self._options.clip_norm / (norm + 1e-6))

    def _adam(
        self, weight: Any, gradient: Any, moments: Mapping[str, Any], rate: float, step: int
    ) -> None:
        decay = self._options.weight_decay
        if self._options.optimizer == "adamw" and decay:
            weight *= 1 - rate * decay
            decay = 0.0
        beta1, beta2 = self._options.betas
        # Dividing by √(v / c₂) + ε is dividing by (√v + ε · √c₂) / √c₂.
        root = math.sqrt(1 - beta2**step)
        mx.nd.adam_update(
            weight,
            gradient,
            moments["exp_avg"],
            moments["exp_avg_sq"],
            lr=rate * root / (1 - beta1**step),
            beta1=beta1,
            beta2=beta2,
            epsilon=self._options.epsilon * root,
            wd=decay,
            lazy_update=False,
            out=weight,
        )

    def _rmsprop(
        self, weight: Any, gradient: Any, moments: Mapping[str, Any], rate: float, _step: int
    ) -> None:
        """Divide by the root of the squares' average (Hinton 2012, lecture 6e of Coursera)."""
        gradient = gradient + weight * self._options.weight_decay
        squares, alpha = moments["square_avg"], self._options.betas[1]
        squares *= alpha
        squares += (1 - alpha) * gradient * gradient
        weight -= rate * gradient / (squares.sqrt() + self._options.epsilon)

    def _sgd(
        self, weight: Any, gradient: Any, moments: Mapping[str, Any], rate: float, _step: int
    ) -> None:
        gradient = gradient + weight * self._options.weight_decay
        velocity = moments["momentum_buffer"]
        velocity *= self._options.momentum
        velocity += gradient
        weight -= rate * (gradient + self._options.momentum * velocity)
