"""Memory use of this process, and large arrays in temporary files."""

from __future__ import annotations

import functools
import math
import shutil
import sys
import tempfile
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import numpy as np
from cachetools import LRUCache
from numpy.typing import DTypeLike, NDArray

from napari_lungcls.errors import InputError

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

SCRATCH_BYTES = 256 * 2**20
"""Larger arrays are put in a temporary file, which the system can page out."""


def byte_cache(limit: int, size: Callable[[V], int]) -> LRUCache[K, V]:
    """Make a cache that keeps the most recently used values, up to a number of bytes.

    The newest value is kept even if it alone exceeds `limit`. Threads that share the cache need
    a lock.

    Parameters
    ----------
    limit
        Bytes in all.
    size
        Gives the bytes of a value.
    """
    return LRUCache(limit, getsizeof=lambda value: min(limit, size(value)))


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
    """Return freed memory to the system, where possible.

    glibc keeps the memory that each thread has freed, in time more than is in use.
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
    """Make an array of zeros; a large one is in a file that is deleted with the array.

    Parameters
    ----------
    shape, dtype
        Of the array.
    remedy
        What to do if there is not enough disk space.

    Raises
    ------
    InputError
        When there is not enough disk space.
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
        # The mapping keeps the unnamed file alive; its space is freed with the last array.
        return np.memmap(file, kind, mode="r+", shape=shape)
