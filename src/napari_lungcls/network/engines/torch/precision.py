"""The numbers that a device computes with fastest, and those that it can compute with."""

from __future__ import annotations

import torch

from napari_lungcls.errors import InputError
from napari_lungcls.network.engines.protocol import Precision


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
