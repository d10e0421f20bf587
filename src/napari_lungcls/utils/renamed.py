"""Names that settings had in earlier versions: they still work, and a warning says so."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from napari_lungcls.errors import InputError, LungclsWarning

RENAMED = {
    "readout": "pooling",
    "thaw_after": "unfreeze_after",
    "tolerance": "min_delta",
    "trunk_rate": "backbone_lr_factor",
}
"""Settings of training by the names of version 0.x, and what they are called now."""


def current_name(setting: str, *, warn: bool = True) -> str:
    """Return what a setting is called now; with `warn`, warn of a former name.

    Warns
    -----
    LungclsWarning
        Naming the setting as it is called now.
    """
    name = RENAMED.get(setting, setting)
    if warn and name != setting:
        warnings.warn(
            LungclsWarning(f"{setting} is called {name} now; the old name will go", setting=name),
            stacklevel=3,
        )
    return name


def current_names(settings: Mapping[str, Any], *, warn: bool = True) -> dict[str, Any]:
    """Return settings by what they are called now; with `warn`, warn of each former name.

    Raises
    ------
    InputError
        When a setting is given by both of its names.
    """
    for old, new in RENAMED.items():
        if old in settings and new in settings:
            raise InputError(f"{old} is its former name; give one of the two", setting=new)
    return {current_name(name, warn=warn): value for name, value in settings.items()}
