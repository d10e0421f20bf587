"""Importing MXNet 1.9.1 today: every workaround, and every reason why it cannot run here."""

from __future__ import annotations

import ctypes
import importlib
import platform
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

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
