"""Optimisers, and the precision in which PyTorch trains and paints."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

from napari_lungcls.errors import InputError
from napari_lungcls.network.engines.protocol import OptimizerOptions, Precision


def fastest(device: torch.device) -> str:
    """Name the precision in which a device runs convolutions fastest: fp32, bf16 or fp16."""
    if device.type == "cuda":
        # GPUs before Ampere only imitate bf16.
        major, _ = torch.cuda.get_device_capability(device)
        return "bf16" if major >= 8 else "fp16" if major >= 7 else "fp32"
    if device.type == "cpu" and _multiplies_bf16():
        return "bf16"
    return "fp32"


def chosen(precision: Precision, device: torch.device) -> str:
    """Turn `auto` into the fastest precision; refuse one that the device cannot compute in.

    Raises
    ------
    InputError
        When it cannot.
    """
    if precision == "auto":
        return fastest(device)
    if precision == "fp16" and device.type == "cpu":
        raise InputError(
            "a CPU does not paint in fp16", setting="precision", suggestion="use auto, fp32 or bf16"
        )
    if precision == "bf16" and device.type == "mps":
        raise InputError(
            "this device does not paint in bf16",
            setting="precision",
            suggestion="use auto, fp32 or fp16",
        )
    return precision


def _multiplies_bf16() -> bool:
    """Tell whether the CPU has AVX512-BF16 or AMX and torch was built to use them."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    cpu = torch.cpu
    return bool(cpu._is_avx512_bf16_supported() or cpu._is_amx_tile_supported())


Kind = TypeVar("Kind", bound=torch.optim.Optimizer)

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def make_optimizer(
    options: OptimizerOptions, arrays: Mapping[str, Tensor]
) -> torch.optim.Optimizer:
    """Build the optimiser over arrays by name; `set_rate` comes before its first step."""
    rates = dict.fromkeys(options.rate_of(name) for name in arrays)
    groups = [
        {"params": [a for n, a in arrays.items() if options.rate_of(n) == rate], "share": rate}
        for rate in rates
    ]
    decay, epsilon = options.weight_decay, options.epsilon
    # One pass over the arrays instead of ten.
    fused = next(iter(arrays.values())).device.type in ("cpu", "cuda")
    if options.optimizer == "sgd":
        momentum = options.momentum
        return _plain(torch.optim.SGD)(
            groups, lr=0.0, momentum=momentum, weight_decay=decay, nesterov=True, fused=fused
        )
    if options.optimizer == "rmsprop":
        return _plain(torch.optim.RMSprop)(
            groups, lr=0.0, alpha=options.betas[1], eps=epsilon, weight_decay=decay
        )
    kind: type[torch.optim.Adam] = (
        torch.optim.AdamW if options.optimizer == "adamw" else torch.optim.Adam
    )
    return _plain(kind)(
        groups, lr=0.0, betas=options.betas, eps=epsilon, weight_decay=decay, fused=fused
    )


def _plain(kind: type[Kind]) -> type[Kind]:
    """Give an optimiser of PyTorch without what prepares it for `torch.compile`.

    Its methods are wrapped in functions that import the compiler, `torch._dynamo`, when they are
    first called: that takes as long as importing PyTorch, and a window stands still meanwhile.
    """
    names = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in names}
    methods["step"] = torch.no_grad()(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), methods)


def laid_out(moment: Tensor, parameter: Tensor) -> Tensor:
    """Give a moment the order in memory of its parameter: fused steps go through both as one."""
    if moment.shape != parameter.shape:
        return moment
    return torch.empty_like(parameter, requires_grad=False).copy_(moment)


def set_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Give every group its share of the learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * group["share"]


class MixedPrecision:
    """Computes forward passes in `precision`, and takes steps in float32.

    Parameters
    ----------
    precision
        `auto` is `bf16` on graphics cards and processors that compute with it, `fp16` on older
        graphics cards, and else `fp32`.
    device
        Where the network is.

    Raises
    ------
    InputError
        When the device does not compute in that precision.

    Notes
    -----
    Micikevicius et al. 2018 (arXiv 1710.03740): float16 needs its loss scaled, bfloat16 does
    not, having the range of float32.
    """

    def __init__(self, precision: Precision, device: torch.device) -> None:
        self._device = device
        chosen = fastest(device) if precision == "auto" else precision
        if chosen == "fp16" and device.type == "cpu":
            raise InputError(
                "fp16 needs a graphics card", setting="precision", suggestion="use bf16 or fp32"
            )
        if chosen != "fp32" and device.type == "mps":
            raise InputError(
                "on mps it can only be fp32", setting="precision", suggestion="use that, or auto"
            )
        self.name = chosen
        self._scaler = torch.amp.GradScaler(device.type, enabled=chosen == "fp16")

    def computing(self) -> Any:
        """Give the context in which the forward pass runs."""
        kind = _DTYPES.get(self.name, torch.bfloat16)
        return torch.autocast(self._device.type, kind, enabled=self.name != "fp32")

    def step(self, loss: Tensor, optimizer: torch.optim.Optimizer, clip_norm: float | None) -> None:
        """Go down the gradient of a loss; its norm is clipped in the loss's own units."""
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if clip_norm is not None:
            self._scaler.unscale_(optimizer)
            learning = [p for group in optimizer.param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(learning, clip_norm)
        self._scaler.step(optimizer)
        self._scaler.update()
