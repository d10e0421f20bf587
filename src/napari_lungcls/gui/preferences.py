"""The plugin's settings in napari's preferences: engine, device, folder. No Qt."""

import re
import warnings
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError, field_validator

from napari_lungcls.errors import LungclsWarning
from napari_lungcls.network.engines import ENGINES

PLUGIN = "napari-lungcls"
SECTION = "defaults"
"""Key of the configuration in the manifest."""

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:[0-9]+)?")


class Preferences(BaseModel, frozen=True, extra="ignore"):
    """Defaults for the windows.

    Attributes
    ----------
    engine
        Deep-learning library, one of `ENGINES`.
    device
        `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
    folder
        Where file dialogs start; the home folder by default.
    """

    engine: str = "torch"
    device: str = "auto"
    folder: Path = Field(default_factory=Path.home)

    @field_validator("engine")
    @classmethod
    def _known_engine(cls, value: str) -> str:
        if value not in ENGINES:
            raise ValueError(f"there is no engine {value!r}; choose from {', '.join(ENGINES)}")
        return value

    @field_validator("device", mode="before")
    @classmethod
    def _known_device(cls, value: Any) -> str:
        text = str(value).strip().lower()
        if not _DEVICE.fullmatch(text):
            raise ValueError(f"there is no device {value!r}; use auto, cpu, cuda, cuda:1 or mps")
        return text

    @field_validator("folder", mode="before")
    @classmethod
    def _existing_folder(cls, value: Any) -> Path:
        text = str(value).strip()
        folder = Path(text).expanduser() if text else Path.home()
        if not folder.is_dir():
            raise ValueError(f"there is no folder {text}")
        return folder


def preferences() -> Preferences:
    """Read the preferences; missing or invalid values are replaced by defaults.

    Warns
    -----
    LungclsWarning
        If a value is invalid.
    """
    return checked(_stored())


def checked(values: dict[str, Any]) -> Preferences:
    """Validate preferences; an invalid value gives a warning and the default."""
    try:
        return Preferences.model_validate(values)
    except ValidationError as error:
        bad = {str(problem["loc"][0]): str(problem["msg"]) for problem in error.errors()}
    for name, reason in bad.items():
        warnings.warn(
            f"Preferences > Lung classification > {name}: {reason.removeprefix('Value error, ')}; "
            "the default is used",
            LungclsWarning,
            stacklevel=3,
        )
    return Preferences.model_validate({k: v for k, v in values.items() if k not in bad})


def _stored() -> dict[str, Any]:
    """Give the values that napari stores for this plugin; none if it is not installed."""
    from napari.settings import get_plugin_settings

    try:
        section = getattr(get_plugin_settings(PLUGIN), SECTION)
    except KeyError:
        return {}
    return {name: getattr(section, name) for name in Preferences.model_fields}
