"""Importing MXNet 1.9.1 today and finding its devices: workarounds, and why it cannot run here."""

from __future__ import annotations

import ctypes
import importlib
import platform
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from napari_lungcls.errors import InputError
from napari_lungcls.network.engines.protocol import EngineUnavailableError

CPU_BUILD = "mxnet"
CUDA_BUILD = "mxnet-cu112"
WANTED = "1.9.1"

DRIVER = "libcuda.so.1"
CUDA_LIBRARIES = {
    "cuda_runtime": ("libcudart.so.11.0",),
    "cublas": ("libcublasLt.so.11", "libcublas.so.11"),
    "cufft": ("libcufft.so.10",),
    "curand": ("libcurand.so.10",),
    "cusparse": ("libcusparse.so.11",),
    "cusolver": ("libcusolver.so.11",),
    "cuda_nvrtc": ("libnvrtc.so.11.2",),
    "nvtx": ("libnvToolsExt.so.1",),
    "nccl": ("libnccl.so.2",),
    "cudnn": ("libcudnn.so.8",),
}
"""What the CUDA build links to, in the order in which one needs the other.

The keys are folders of `nvidia` in site-packages, where the wheels of PyPI put them.
"""

_PLATFORMS = {("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "x86_64")}
_ELSEWHERE = "use the engine torch"


def load() -> Any:
    """Import MXNet.

    Returns
    -------
    module
        `mxnet`. Afterwards numpy is as it was before.

    Raises
    ------
    EngineUnavailableError
        One sentence that says why it cannot run here and what to do.
    """
    if "mxnet" in sys.modules:
        return sys.modules["mxnet"]
    build = _installed_build()
    _check_surroundings()
    if build == CUDA_BUILD:
        _load_cuda()
    try:
        with _numpy_of_old(), warnings.catch_warnings():
            # It asks for names that numpy 1 already deprecates.
            warnings.simplefilter("ignore")
            return importlib.import_module("mxnet")
    except (ImportError, OSError, AttributeError) as error:
        raise EngineUnavailableError(
            f"MXNet is installed but cannot be imported ({error}); install it anew in an "
            f"environment of its own, or {_ELSEWHERE}"
        ) from error


def _installed_build() -> str:
    """Return the name of the one build that is installed."""
    here = (sys.platform, platform.machine())
    if here not in _PLATFORMS:
        raise EngineUnavailableError(
            f"MXNet has no release for {' '.join(here)}, only for Linux on x86_64 and aarch64 "
            f"and macOS on x86_64; {_ELSEWHERE}"
        )
    found = {name: v for name in (CPU_BUILD, CUDA_BUILD) if (v := _version(name))}
    if len(found) > 1:
        raise EngineUnavailableError(
            f"{CPU_BUILD} and {CUDA_BUILD} are both installed and fill the same folder; "
            f"uninstall both, then install one of them"
        )
    if not found or find_spec("mxnet") is None:
        raise EngineUnavailableError(
            "MXNet is not installed; install napari-lungcls with the extra mxnet, or "
            "mxnet-cu112 for an NVIDIA GPU of the generations Maxwell to Ada"
        )
    ((build, number),) = found.items()
    if number != WANTED:
        raise EngineUnavailableError(
            f"{build} {number} is installed, and {WANTED} is needed; "
            f"pip install '{build}=={WANTED}'"
        )
    return build


def _check_surroundings() -> None:
    """Refuse a numpy or a Python that MXNet was not made for."""
    if int(np.__version__.split(".")[0]) > 1:
        raise EngineUnavailableError(
            f"MXNet needs numpy 1, and numpy {np.__version__} is installed; "
            f"pip install 'numpy<2' in an environment of its own, or {_ELSEWHERE}"
        )
    if sys.version_info >= (3, 12) and find_spec("distutils") is None:
        raise EngineUnavailableError(
            "MXNet needs distutils, which Python 3.12 dropped; pip install setuptools"
        )


def _load_cuda() -> None:
    """Load what the CUDA build links to, so that the dynamic linker need not search for it."""
    for folder, names in CUDA_LIBRARIES.items():
        for name in names:
            if not _is_loaded_from(_places(folder, name)):
                raise EngineUnavailableError(
                    f"the CUDA 11 library {name} was not found; install napari-lungcls with "
                    "the extra mxnet-cu112, which brings it"
                )
    if not _is_loaded_from([DRIVER]):
        raise EngineUnavailableError(
            f"there is no NVIDIA driver here ({DRIVER}), which {CUDA_BUILD} needs even for "
            f"the CPU; install the driver, or uninstall {CUDA_BUILD} and install {CPU_BUILD}"
        )


def _places(folder: str, name: str) -> list[str]:
    """List where a library may lie: in the wheel of NVIDIA, or where the system has its own."""
    spec = find_spec("nvidia")
    roots = [] if spec is None else list(spec.submodule_search_locations or [])
    files = [Path(root, folder, "lib", name) for root in roots]
    return [*(str(file) for file in files if file.is_file()), name]


def _is_loaded_from(places: list[str]) -> bool:
    for place in places:
        try:
            ctypes.CDLL(place, ctypes.RTLD_GLOBAL)
        except OSError:
            continue
        return True
    return False


@contextmanager
def _numpy_of_old() -> Iterator[None]:
    """Let numpy have the name `bool`, which 1.24 dropped and MXNet reads when it is imported."""
    if "bool" in vars(np):
        yield
        return
    np.bool = bool  # type: ignore[attr-defined,assignment,misc,unused-ignore]
    try:
        yield
    finally:
        del np.bool  # type: ignore[attr-defined,misc,unused-ignore]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


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
