"""Search for good settings: the space, the shared study, its trials.

Optuna is an extra. `Request` and `Search` need it and are loaded when first used; the search
space does not.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from napari_lungcls.errors import InputError

if TYPE_CHECKING:
    from napari_lungcls.hyperparameter_search.search import Request, Search

__all__ = ["Request", "Search"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if find_spec("optuna") is None:
        raise InputError(
            "the search for settings needs Optuna; install it with: "
            'python -m pip install "napari-lungcls[tune]"'
        )
    return getattr(import_module(f"{__name__}.search"), name)
