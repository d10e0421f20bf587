"""Engines by name; none is imported before it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

from napari_lungcls.errors import InputError
from napari_lungcls.network.engines.protocol import (
    Engine,
    EngineUnavailableError,
    OptimizerOptions,
    Painting,
    Precision,
    TrainStep,
)
from napari_lungcls.network.spec import NetworkSpec
from napari_lungcls.network.state import State
from napari_lungcls.utils.library_order import is_wrong_order

ENGINES = {"torch": "torch.engine", "mxnet": "mxnet.engine"}
"""Engine names and the modules in this folder that hold them as `create` and `status`.

Importing such a module may raise `EngineUnavailableError`; docs/engines.md says more.
"""

__all__ = [
    "ENGINES",
    "Engine",
    "EngineUnavailableError",
    "OptimizerOptions",
    "Painting",
    "Precision",
    "State",
    "TrainStep",
    "create_engine",
    "engine_status",
]


def create_engine(name: str, spec: NetworkSpec, *, device: str = "auto", seed: int = 0) -> Engine:
    """Build a network with random parameters.

    Parameters
    ----------
    name
        One of `ENGINES`.
    spec
        The network's shape.
    device
        `auto`, `cpu`, `cuda` (`cuda:1` …) or `mps`.
    seed
        Of the random parameters.

    Raises
    ------
    InputError
        When there is no such engine or device here; `EngineUnavailableError` when its
        library is missing or cannot run here.
    """
    if name not in ENGINES:
        raise InputError(f"there is no engine {name!r}; choose from {', '.join(ENGINES)}")
    return cast(Engine, _module(name).create(spec, device=device, seed=seed))


def engine_status(name: str) -> dict[str, object]:
    """Tell whether an engine can run here, and what it needs if it cannot.

    Returns
    -------
    dict
        `available`; then `version`, `devices` and where there is something to know
        about devices that are not used, `notes`; or else `reason`, one sentence.
    """
    try:
        return cast(dict[str, object], _module(name).status())
    except EngineUnavailableError as error:
        return {"available": False, "reason": str(error), "devices": []}


def _module(name: str) -> Any:
    try:
        return import_module(f"{__name__}.{ENGINES[name]}")
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise EngineUnavailableError(f"{name} is not installed; pip install {name}") from error
    except OSError as error:
        if not is_wrong_order(error):
            raise
        raise EngineUnavailableError(
            f"{name} cannot be loaded after Qt here ({error})",
            suggestion="start napari anew so that it is loaded first, see 'The program' in "
            "docs/faq.md",
        ) from error
