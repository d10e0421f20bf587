"""Devices for MXNet: the CPU, and those NVIDIA GPUs that its last release can use."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from napari_lungcls.errors import InputError
from napari_lungcls.network.engines.mxnet.runtime import DRIVER

NEWEST = (8, 9)
"""Compute capability of the newest GPUs that run its binaries: Ada. They hold no PTX."""
OLDEST = (5, 0)

_NAME, _MAJOR, _MINOR = 256, 75, 76


@dataclass(frozen=True)
class Gpu:
    """A GPU as its driver describes it."""

    index: int
    name: str
    capability: tuple[int, int]

    @property
    def obstacle(self) -> str | None:
        """Why MXNet cannot use it; None if it can."""
        if OLDEST <= self.capability <= NEWEST:
            return None
        major, minor = self.capability
        age = "new" if self.capability > NEWEST else "old"
        return (
            f"{self.name} (compute capability {major}.{minor}) is too {age} for MXNet, whose "
            "last release is made for CUDA 11 and runs from 5.0 to 8.9"
        )


def find_gpus() -> list[Gpu]:
    """Ask the NVIDIA driver for its GPUs; none without a driver."""
    try:
        driver = ctypes.CDLL(DRIVER)
    except OSError:
        return []
    count = ctypes.c_int()
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return []
    return [_describe(driver, index) for index in range(count.value)]


def resolve_device(name: str, gpus: list[Gpu], *, cuda: bool) -> int | None:
    """Turn `auto`, `cpu`, `cuda` or `cuda:N` into the index of a GPU, or None for the CPU.

    Parameters
    ----------
    name
        What the user chose.
    gpus
        Those of this machine.
    cuda
        Whether the installed build can use any.

    Raises
    ------
    InputError
        When the device is not there or cannot be used, with the reason.
    """
    if name == "cpu":
        return None
    if name == "auto":
        usable = [gpu.index for gpu in gpus if cuda and gpu.obstacle is None]
        return usable[0] if usable else None
    kind, _, number = name.partition(":")
    if kind != "cuda" or not (number.isdecimal() or name == "cuda"):
        raise InputError(f"{name!r} is none of auto, cpu and cuda", setting="device")
    index = int(number or 0)
    if index >= len(gpus):
        raise InputError(
            f"there is no {name!r} on this machine", setting="device", suggestion="use auto or cpu"
        )
    if not cuda:
        raise InputError(
            f"there is no {name!r} for this build of MXNet",
            setting="device",
            suggestion=("uninstall mxnet and install mxnet-cu112, or", {"engine": "torch"}),
        )
    if (obstacle := gpus[index].obstacle) is not None:
        raise InputError(obstacle, setting="device", suggestion={"engine": "torch"})
    return index


def describe_devices(gpus: list[Gpu], *, cuda: bool) -> tuple[list[str], list[str]]:
    """List the devices that can be used, and sentences about those that cannot."""
    usable = [gpu for gpu in gpus if cuda and gpu.obstacle is None]
    devices = ["cpu", *(f"cuda:{gpu.index} {gpu.name}" for gpu in usable)]
    if gpus and not cuda:
        return devices, [
            f"{gpus[0].name} is not used: this build of MXNet has no CUDA; "
            "install mxnet-cu112 instead of mxnet, or use the engine torch"
        ]
    return devices, [gpu.obstacle for gpu in gpus if gpu.obstacle is not None]


def _describe(driver: ctypes.CDLL, index: int) -> Gpu:
    device, name = ctypes.c_int(), ctypes.create_string_buffer(_NAME)
    major, minor = ctypes.c_int(), ctypes.c_int()
    driver.cuDeviceGet(ctypes.byref(device), index)
    driver.cuDeviceGetName(name, _NAME, device)
    driver.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device)
    driver.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device)
    return Gpu(index, name.value.decode(errors="replace"), (major.value, minor.value))
