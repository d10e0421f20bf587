"""The numbers that MXNet's convolutions compute in, and the loss scaling that float16 needs."""

from __future__ import annotations

from typing import Any

from napari_lungcls.errors import InputError
from napari_lungcls.network.engines.mxnet.net import mx
from napari_lungcls.network.engines.mxnet.training import Optimizer
from napari_lungcls.network.engines.protocol import Precision

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
