"""Training steps in MXNet: optimisers, precision, running statistics and dropout as in PyTorch."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.images.geometry import STAGE_STRIDES, cell_count
from napari_lungcls.network.engines.checks import warn_of_foreign_checkpoint
from napari_lungcls.network.engines.mxnet.net import mx, to_device
from napari_lungcls.network.engines.protocol import OptimizerOptions, Precision
from napari_lungcls.network.parameters import DETAIL, PARTS, stage_of
from napari_lungcls.network.state import State

_MOMENTS = {
    "sgd": ("momentum_buffer",),
    "rmsprop": ("square_avg",),
    "adam": ("exp_avg", "exp_avg_sq"),
    "adamw": ("exp_avg", "exp_avg_sq"),
}
"""What each optimiser remembers of a parameter, as PyTorch calls it."""


def is_of_backbone(name: str) -> bool:
    """Tell whether an array of the model file belongs to the backbone."""
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
        """Whether parameters of the backbone stay as they are."""

    def step(self, learning_rate: float, scale: float = 1.0) -> None:
        """Take one step down the gradients that the last backward pass left.

        Parameters
        ----------
        learning_rate
            Of the heads; the backbone has its share of it.
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
            if not (self.frozen and is_of_backbone(name))
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


TYPES = {"fp32": "float32", "fp16": "float16"}
"""What MXNet calls the numbers of each precision that it computes convolutions in."""


def resolve_precision(precision: Precision, context: Any) -> str:
    """Turn `auto` into what suits a device; refuse what it does not compute in.

    Parameters
    ----------
    precision
        What the user chose, for training or painting.
    context
        MXNet's name of the device. Only on GPUs has it convolutions in float16.

    Raises
    ------
    InputError
        When the device does not compute in that precision.
    """
    gpu = context.device_type == "gpu"
    if precision == "auto":
        return "fp16" if gpu else "fp32"
    if precision not in TYPES:
        raise InputError(
            f"the engine mxnet computes in fp32, and on GPUs in fp16, not in {precision}",
            setting="precision",
            suggestion={"precision": "auto", "engine": "torch"},
        )
    if precision == "fp16" and not gpu:
        raise InputError(
            "the engine mxnet computes in fp16 on GPUs only",
            setting="precision",
            suggestion="use auto or fp32",
        )
    return precision


class LossScale:
    """Takes steps on a loss that is multiplied before its backward pass.

    Gradients that float16 would round to 0 then survive. Where one is not finite, the step is
    left out and the factor halved; after `patience` good steps in a row it is doubled.

    Parameters
    ----------
    dynamic
        Whether to do so; else the factor is 1 and every step is taken.

    Attributes
    ----------
    factor
        What the next loss is multiplied by.
    patience
        Good steps between two doublings.

    Notes
    -----
    Micikevicius et al. 2018 (arXiv 1710.03740). First factor, rule and patience are those of
    PyTorch's `GradScaler`. The largest factor is that of MXNet's own `LossScaler`: with it the
    squares of scaled gradients, from which clipping takes the norm, stay far from the largest
    float32.
    """

    LARGEST = 2.0**24
    SMALLEST = 1.0

    def __init__(self, *, dynamic: bool) -> None:
        self.factor = 2.0**16 if dynamic else 1.0
        self.patience = 2000
        self._dynamic = dynamic
        self._good = 0

    def step(self, loss: Any, optimizer: Optimizer, learning_rate: float) -> None:
        """Go down the gradient of a recorded loss `(1,)`, if all of it is finite."""
        loss.backward(mx.nd.ones_like(loss) * self.factor)
        if self._dynamic and not optimizer.finite():
            self.factor = max(self.factor / 2, self.SMALLEST)
            self._good = 0
            return
        optimizer.step(learning_rate, self.factor)
        self._good += 1
        if self._dynamic and self._good % self.patience == 0:
            self.factor = min(2 * self.factor, self.LARGEST)


STATISTICS = ("running_mean", "running_var")
"""How the names of arrays end that a network gathers and does not learn."""


class RunningVariances:
    """Running variances as they were before a step.

    Parameters
    ----------
    body
        Gluon's parameters of backbone and detail under the names of the model file.
    fixed
        Parts of the backbone whose statistics stay.
    """

    def __init__(self, body: Mapping[str, Any], fixed: Collection[str]) -> None:
        self._now = {
            name: each
            for name, each in body.items()
            if name.endswith("running_var") and name.partition(".")[0] not in fixed
        }
        self._before = {name: each.data().copy() for name, each in self._now.items()}

    def unbias(self, tiles: int, zooms: int, shape: tuple[int, int]) -> None:
        """Let them follow the unbiased variance, after the step's backward pass.

        MXNet adds a tenth of the biased variance of the batch, `(n − 1) / n` of the other.

        Parameters
        ----------
        tiles, zooms
            Numbers of both in the batch; detail sees one zoom.
        shape
            Height and width of a tile in zoomed pixels.
        """
        for name, old in self._before.items():
            of_backbone = name.partition(".")[0] in PARTS
            stride = STAGE_STRIDES[stage_of(name) if of_backbone else DETAIL]
            rows, columns = (cell_count(edge, stride) for edge in shape)
            values = tiles * (zooms if of_backbone else 1) * rows * columns
            if values > 1:
                new = self._now[name].data()
                new += (new - 0.9 * old) / (values - 1)


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
