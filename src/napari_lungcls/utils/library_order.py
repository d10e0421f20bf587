"""The order in which libraries are loaded, where it matters: PyTorch before Qt on Windows.

With some versions of both, PyTorch cannot be loaded into a process that has loaded Qt: Windows then
says that `c10.dll` could not be initialized (WinError 1114, pytorch/pytorch#166628).
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec

WINDOWS = sys.platform == "win32"

NOT_INITIALIZED = 1114
"""Windows' number for a library that could not be initialized."""


def load_before_qt() -> None:
    """Load PyTorch now, where it could not be loaded after Qt."""
    if WINDOWS and find_spec("torch") is not None:
        import_module("torch")


def is_wrong_order(error: OSError) -> bool:
    """Tell whether a library could not be loaded because of what was loaded before it."""
    return getattr(error, "winerror", None) == NOT_INITIALIZED
