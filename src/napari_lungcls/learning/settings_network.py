"""Settings: what the network sees, and what it starts from."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ValidationInfo, field_validator

from napari_lungcls.learning.form_hints import INSTALLED, SEES, START, setting
from napari_lungcls.network.engines import ENGINES
from napari_lungcls.network.parameters import STAGE_NAMES
from napari_lungcls.network.spec import Padding, Pooling

FEW = 200
"""Points below which a backbone with weights stays as it is, where the program chooses."""

TWO = (1, 2)
"""Zooms at which a backbone that learns looks, if it has weights or pixels are small."""

SMALL = 0.75
"""Micrometres per pixel below which they are: a tile then shows less than 192 µm of the tissue."""

FROZEN = (1, 2, 4)
"""Zooms at which one looks that stays as it is; a backbone without weights looks at zoom 1."""

STAGES_WANTED = f"must be some of {', '.join(STAGE_NAMES.values())}, each once"


RARE = 60
"""Points of a class below which it is rare: a backbone that learns fast learns it by heart."""

SLOW, FAST = 0.05, 0.3
"""Shares of the learning rate with which a backbone learns that has weights, where a class is rare
and where none is."""


class NetworkSettings(BaseModel):
    """The network's shape, the library that computes it, and its first parameters."""

    zooms: tuple[int, ...] = setting(
        (),
        "Zooms",
        "factors by which the image is shrunk before the network looks; auto: 1, or 1,2 where "
        f"pixels are below {SMALL} µm or training begins with weights from a file, or 1,2,4 where "
        "the backbone is frozen too",
        SEES,
        in_sight=True,
    )
    tile: int | None = setting(
        None,
        "Tile",
        "edge of the pieces of tissue that are learned from, in zoomed pixels [256, or the "
        "size of a smaller image]",
        SEES,
        unit="px",
        in_sight=True,
        typical=256,
        ge=16,
        le=1024,
    )
    stages: tuple[int, ...] = setting(
        (),
        "Stages",
        "what is read of the network: detail, stem, layer1 to layer4; auto: all, or those that "
        "the file has weights for",
        SEES,
        words={str(number): name for number, name in STAGE_NAMES.items()},
    )
    hidden: int = setting(
        32,
        "Hidden units",
        "units of the layer that joins stages and zooms; 0: linear heads",
        SEES,
        unit="units",
        ge=0,
        le=1024,
    )
    pooling: Pooling = setting(
        "point",
        "Pooling",
        "what is taken of a stage's cells: those at the point, or the mean over the tile",
        SEES,
    )
    padding: Padding = setting(
        "reflect", "Padding", "what convolutions see past a tile's edge in training", SEES
    )

    engine: str = setting(
        "torch",
        "Engine",
        "library that computes the network: torch or mxnet",
        START,
        choices=list(ENGINES),
        in_sight=len(INSTALLED) > 1,
    )
    device: str = setting(
        "auto",
        "Device",
        "auto, cpu, cuda, cuda:N or mps",
        START,
        choices=["auto", "cpu", "cuda", "mps"],
        other="name",
        in_sight=True,
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = setting(
        "auto",
        "Precision",
        "numbers that training computes with; auto: bf16 or fp16 where the device is faster "
        "with them, else fp32",
        START,
    )
    pretrained: str = setting(
        "auto",
        "Start from",
        "auto: ImageNet's weights where they are cached or can be fetched; none, imagenet, a file "
        "of ResNet-18 weights, or a model to go on training",
        START,
        choices=["auto", "none", "imagenet"],
        other="file",
        in_sight=True,
        words={
            "auto": "ImageNet if there",
            "none": "random numbers",
            "imagenet": "ImageNet",
        },
    )
    freeze: Literal["auto", "yes", "no"] = setting(
        "auto",
        "Freeze the backbone",
        "fit the heads only, to features of the backbone as it is: the quickest way to a map; "
        f"auto: where the backbone has weights and there are fewer than {FEW} points",
        START,
    )
    unfreeze_after: int = setting(
        0,
        "Unfreeze after",
        "epochs in which only the heads learn, before the backbone does too",
        START,
        unit="epochs",
        ge=0,
    )
    backbone_lr_factor: float | None = setting(
        None,
        "Backbone rate factor",
        "factor on the learning rate of the backbone; below 1 it keeps more of its weights "
        f"[for weights from a file {FAST:g}, or {SLOW:g} if a class has fewer than {RARE} points; "
        "else 1]",
        START,
        gt=0,
        le=1,
    )

    @field_validator("zooms", "stages", mode="before")
    @classmethod
    def _split_text(cls, value: Any, info: ValidationInfo) -> Any:
        """Accept `1,4,16` or `stem,layer1` as the command line gives it, and `auto`."""
        if isinstance(value, str):
            if value.strip().lower() in ("auto", ""):
                return ()
            value = tuple(part.strip().lower() for part in value.split(","))
        if info.field_name == "stages" and isinstance(value, tuple | list):
            numbers = {name: number for number, name in STAGE_NAMES.items()}
            value = tuple(numbers.get(part, part) for part in value)
            if not all(str(part).lstrip("-").isdecimal() for part in value):
                raise ValueError(STAGES_WANTED)
        return (value,) if isinstance(value, int) else value

    @field_validator("freeze", mode="before")
    @classmethod
    def _as_a_switch(cls, value: Any) -> Any:
        """Accept the switch that this was in models of earlier versions."""
        return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value

    @field_validator("zooms", "stages")
    @classmethod
    def _ascending(cls, value: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        once = len(set(value)) == len(value)
        if info.field_name == "stages" and not (once and set(value) <= STAGE_NAMES.keys()):
            raise ValueError(STAGES_WANTED)
        if info.field_name == "zooms" and not (once and all(zoom > 0 for zoom in value)):
            raise ValueError("must be positive whole numbers, each once, such as 1,4,16")
        return tuple(sorted(value))
