"""The settings with the defaults that suit patches: torchvision's own ResNet-18 classifier."""

from __future__ import annotations

from typing import Any

from pydantic import create_model

from napari_lungcls.errors import InputError
from napari_lungcls.learning.settings import TrainingSettings

DEFAULTS: dict[str, Any] = {
    "zooms": (1,),
    "stages": (4,),
    "readout": "mean",
    "padding": "zeros",
    # A label holds for the whole patch: what turns and shifts would bring in past its edges is
    # made up.
    "rotation": "right",
    "random_phase": False,
    # Right angles need no interpolation, which sharpness makes up for.
    "sharpness": 0.0,
    # Measured for points only.
    "label_smoothing": 0.0,
    # Sets of patches are large, and compared by their own parts.
    "final": "none",
}

LARGEST_WINDOW = 512
SMALLEST_WINDOW = 16


def _changed(name: str, **changes: Any) -> Any:
    field = TrainingSettings.model_fields[name]
    return field.annotation, field.merge_field_infos(field, **changes)


_WINDOW = {"default": None, "description": "edge of the window, in pixels [the patches' edge]"}

PatchSettings: type[TrainingSettings] = create_model(
    "PatchSettings",
    __base__=TrainingSettings,
    __module__=__name__,
    window=_changed("window", **_WINDOW),
    **{name: _changed(name, default=value) for name, value in DEFAULTS.items()},
)
"""`TrainingSettings` with other defaults; what is set holds for patches as for points."""


def for_patches(settings: TrainingSettings, size: tuple[int, int], source: str) -> TrainingSettings:
    """Complete settings for patches of a size: what was not set gets the defaults of patches.

    Raises
    ------
    InputError
        When the network cannot look at such patches.
    """
    given = settings.model_dump(include=settings.model_fields_set)
    # What is left to the program is left to these defaults.
    given = {name: value for name, value in given.items() if value != ()}
    chosen = PatchSettings(**({"window": min(size)} | given)) if _fits(given, size) else None
    if chosen is None:
        height, width = size
        raise InputError(
            f"{source}: patches of {height} × {width} pixels are too "
            f"{'large' if min(size) > LARGEST_WINDOW else 'small'} for a window; "
            + (
                f"give --window, at most {LARGEST_WINDOW}, for the middle of each"
                if min(size) > LARGEST_WINDOW
                else f"use patches of at least {SMALLEST_WINDOW} pixels"
            )
        )
    if chosen.zooms != (1,):
        raise InputError("patches are seen at zoom 1 only; leave --zooms out")
    if chosen.window > min(size):
        raise InputError(
            f"{source}: a window of {chosen.window} is larger than the patches of "
            f"{size[0]} × {size[1]} pixels; use --window {min(size)} or less"
        )
    return chosen


def _fits(given: dict[str, Any], size: tuple[int, int]) -> bool:
    return "window" in given or SMALLEST_WINDOW <= min(size) <= LARGEST_WINDOW
