"""The engine that computes with PyTorch."""

import ctypes
import os
import sys
from importlib.util import find_spec
from pathlib import Path


def _load_library() -> None:
    """Load PyTorch's library before PyTorch is imported, while other Python threads go on.

    An import loads libraries under Python's lock. For this one of 400 MB that takes a third of a
    second, for which a window would stand still; a plain call of `dlopen` through `ctypes` lets
    the lock go. What cannot be loaded here is left to the import, which says why.
    """
    spec = find_spec("torch") if sys.platform == "linux" and "torch" not in sys.modules else None
    if spec is not None and spec.origin is not None:
        library = Path(spec.origin).parent / "lib" / "libtorch_cpu.so"
        ctypes.CDLL(None).dlopen(os.fsencode(library), os.RTLD_NOW)


_load_library()
