"""Settings in a file of their own, as a training takes and a search writes them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_lungcls.annotation.documents import read_document, write_document
from napari_lungcls.errors import InputError
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.utils.renamed import current_names

_WHAT = "settings file"

HERE = ("engine", "device")
"""Settings that say what a machine has, and are not written down for others."""


def read_settings(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read settings from a YAML or JSON file: those that it names, by their names.

    Raises
    ------
    InputError
        Naming the file, and the setting that is wrong.
    """
    found = read_document(path, _WHAT)
    if not isinstance(found, dict):
        raise InputError(f"{path}: settings are written as 'name: value', such as epochs: 20")
    values = {str(name).replace("-", "_"): value for name, value in found.items()}
    try:
        values = current_names(values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    for name in values:
        if name not in TrainingSettings.model_fields:
            raise InputError(f"{path}: there is no setting {name}; see docs/training.md for all")
    try:
        TrainingSettings.check(**values)
    except InputError as error:
        raise InputError(f"{path}: {error.setting}: {error.problem}") from error
    return values


def chosen_settings(
    path: str | os.PathLike[str] | None, given: Mapping[str, Any]
) -> TrainingSettings:
    """Return the settings of a file, where there is one, and those given, which win.

    Raises
    ------
    InputError
        Naming the setting that is wrong, and the file if it is from there.
    """
    return TrainingSettings.check(**{**(read_settings(path) if path else {}), **given})


def write_settings(path: str | os.PathLike[str], settings: TrainingSettings) -> Path:
    """Write settings to a YAML or JSON file, all but engine and device.

    Raises
    ------
    InputError
        When the file cannot be written.
    """
    return write_document(path, settings.model_dump(mode="json", exclude={*HERE}), _WHAT)
