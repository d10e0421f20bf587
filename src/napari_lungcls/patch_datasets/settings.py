"""The settings with the defaults that suit patches: torchvision's own ResNet-18 classifier."""

from __future__ import annotations

from typing import Any

from pydantic import create_model

from napari_lungcls.errors import InputError
from napari_lungcls.learning.settings import TrainingSettings

DEFAULTS: dict[str, Any] = {
    "zooms": (1,),
    "stages": (4,),
    "pooling": "mean",
    "padding": "zeros",
    "hidden": 0,
    "freeze": "no",
    "batch_size": 32,
    # Sets of patches are seldom drawn as tissue is.
    "prior": "equal",
    # Measured for points only.
    "backbone_lr_factor": 1.0,
    "label_smoothing": 0.0,
    "dropout": 0.3,
    # Sets of patches are large, and compared by their own parts.
    "final": "none",
}

LARGEST = 1024
SMALLEST = 16


def _changed(name: str, **changes: Any) -> Any:
    field = TrainingSettings.model_fields[name]
    return field.annotation, field.merge_field_infos(field, **changes)


_TILE = {"description": "edge of what is seen of each patch, in pixels [the patches' edge]"}

PatchSettings: type[TrainingSettings] = create_model(
    "PatchSettings",
    __base__=TrainingSettings,
    __module__=__name__,
    tile=_changed("tile", **_TILE),
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
    given = {name: value for name, value in given.items() if value not in ((), None)}
    chosen = PatchSettings(**({"tile": min(size)} | given)) if _fits(given, size) else None
    if chosen is None:
        height, width = size
        raise InputError(
            f"{source}: patches of {height} × {width} pixels are too "
            f"{'large' if min(size) > LARGEST else 'small'} for a tile; "
            + (
                f"give a tile of at most {LARGEST} pixels for the middle of each"
                if min(size) > LARGEST
                else f"use patches of at least {SMALLEST} pixels"
            )
        )
    if chosen.zooms != (1,):
        raise InputError("patches are seen at zoom 1 only; leave the zooms out")
    assert chosen.tile is not None
    if chosen.tile > min(size):
        raise InputError(
            f"{source}: a tile of {chosen.tile} is larger than the patches of "
            f"{size[0]} × {size[1]} pixels; use one of {min(size)} or less"
        )
    return chosen


def _fits(given: dict[str, Any], size: tuple[int, int]) -> bool:
    return "tile" in given or SMALLEST <= min(size) <= LARGEST
