"""Settings: what the network sees, and what it starts from."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, field_validator

from napari_lungcls.learning.form_hints import INSTALLED, SEES, START, setting
from napari_lungcls.network.engines import ENGINES
from napari_lungcls.network.spec import Padding, Readout

FEW = 200
"""Points from which on all stages of the trunk are read, where the program chooses."""

SHALLOW, ALL = (1, 2), (1, 2, 3, 4)
"""Stages that are read of few points, and of many."""


class NetworkSettings(BaseModel):
    """The network's shape, the library that computes it, and its first parameters."""

    zooms: tuple[int, ...] = setting(
        (),
        "Zooms",
        "factors by which the image is shrunk before the network looks; auto: as many as the "
        "pixel size asks for",
        SEES,
        in_sight=True,
    )
    window: int = setting(
        64,
        "Window",
        "edge of the window, in level pixels",
        SEES,
        unit="px",
        in_sight=True,
        ge=16,
        le=512,
    )
    stages: tuple[int, ...] = setting(
        (),
        "Stages",
        f"stages of the trunk that are read; auto: 1,2 for fewer than {FEW} points, else all",
        SEES,
    )
    readout: Readout = setting("point", "Readout", "how cells become one vector", SEES)
    padding: Padding = setting(
        "reflect", "Padding", "what convolutions see past a window's edge", SEES
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
        "none",
        "Start from",
        "none, imagenet, a file of ResNet-18 weights, or a model to go on training",
        START,
        choices=["none", "imagenet"],
        other="file",
        in_sight=True,
    )
    freeze: bool = setting(
        False,
        "Freeze the trunk",
        "fit the heads only, to features of the trunk as it is: a first map in seconds",
        START,
    )
    thaw_after: int = setting(
        0,
        "Thaw after",
        "epochs in which only the heads learn, before the trunk does too",
        START,
        unit="epochs",
        ge=0,
    )
    trunk_rate: float = setting(
        1.0,
        "Trunk's share",
        "factor on the learning rate of the trunk; below 1 it keeps more of pretrained weights",
        START,
        gt=0,
        le=1,
    )

    @field_validator("zooms", "stages", mode="before")
    @classmethod
    def _split_text(cls, value: Any) -> Any:
        """Accept `1,4,16` as the command line gives it, and `auto`."""
        if isinstance(value, str):
            if value.strip().lower() in ("auto", ""):
                return ()
            return tuple(part.strip() for part in value.split(","))
        return (value,) if isinstance(value, int) else value

    @field_validator("zooms", "stages")
    @classmethod
    def _ascending(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if value and (min(value) < 1 or len(set(value)) != len(value)):
            raise ValueError("must be positive whole numbers, each once, such as 1,4,16")
        return tuple(sorted(value))
