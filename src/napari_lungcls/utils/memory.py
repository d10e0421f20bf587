"""How much memory this process has used, and large arrays that need not stay in it."""

from __future__ import annotations

import functools
import math
import shutil
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_lungcls.errors import InputError

SCRATCH_BYTES = 256 * 2**20
"""Arrays above this lie in a temporary file, which the system can take out of memory."""


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, in MB (10⁶ bytes)."""
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset) / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts kibibytes, macOS bytes.
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def give_back() -> None:
    """Hand memory that is free, but kept for later, back to the system where that can be asked.

    glibc keeps what each thread has freed: in time more than what is in use.
    """
    if (trim := _trim()) is not None:
        trim(0)


@functools.cache
def _trim() -> Callable[[int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    return getattr(ctypes.CDLL(None), "malloc_trim", None)


def scratch(
    shape: tuple[int, ...],
    dtype: DTypeLike,
    remedy: str = "use a larger stride, fewer planes, no probabilities, or paint to a file",
) -> NDArray[Any]:
    """Make an array of zeros; a large one lies in a file that goes when the array goes.

    Parameters
    ----------
    shape, dtype
        Of the array.
    remedy
        What to do when there is no room.

    Raises
    ------
    InputError
        When the disk has no room for it.
    """
    kind = np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    if size <= SCRATCH_BYTES:
        return np.zeros(shape, kind)
    if size > (free := shutil.disk_usage(tempfile.gettempdir()).free):
        raise InputError(
            f"{size / 1e9:.1f} GB are needed in {tempfile.gettempdir()}, which has "
            f"{free / 1e9:.1f} GB left; {remedy}"
        )
    with tempfile.TemporaryFile(prefix="lungcls-") as file:
        file.truncate(size)
        # The mapping keeps the nameless file; with the last array its space is free again.
        return np.memmap(file, kind, mode="r+", shape=shape)
