"""What a network is, apart from the numbers in it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from napari_lungcls.errors import InputError
from napari_lungcls.imaging.geometry import STAGE_STRIDES, cell_count

Readout = Literal["point", "mean"]
Padding = Literal["reflect", "zeros"]
Triple = tuple[float, float, float]

IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
"""Mean of ImageNet's RGB on a scale of 0 to 1, as torchvision's weights expect it."""
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)
"""Standard deviation that belongs to `IMAGENET_MEAN`."""


class Normalisation(BaseModel):
    """How intensities become what the network reads: `(intensity − mean) / std`.

    Attributes
    ----------
    mean, std
        Per channel, in the intensity units of the image.
    dtype
        The type of the images that these numbers were taken from; an image of another
        type has other intensities and cannot be read by the model.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    mean: Triple
    std: Triple
    dtype: str = "uint8"

    @field_validator("std")
    @classmethod
    def _positive(cls, value: Triple) -> Triple:
        if min(value) <= 0:
            raise ValueError("standard deviations must be positive")
        return value

    def check(self, dtype: str, source: str) -> None:
        """Refuse an image whose intensities mean something else than those trained on.

        Raises
        ------
        InputError
            Naming both types.
        """
        if dtype != self.dtype:
            raise InputError(
                f"{source} holds {dtype} and the model was trained on {self.dtype}; convert the "
                f"image to {self.dtype} with the same range, or train a model on such images"
            )


def phase(window: int) -> int:
    """Return by how many level pixels a point may lie off its window's middle in training.

    A quarter of the window: every position between two cells of the deepest stage occurs,
    as it does when a map is painted.
    """
    return window // 4


def sight(window: int, readout: Readout) -> int:
    """Return the edge of the windows through which points are answered, in level pixels.

    In training a point lies up to `phase` pixels off its window's middle, so the network has
    learned from everything within half a window plus that; an answer sees as much on every
    side. A readout that averages is bound to its own window.
    """
    return window + 2 * phase(window) if readout == "point" else window


class NetworkSpec(BaseModel):
    """Shape of a network: a ResNet-18 trunk, read at several zooms, and linear heads.

    `logits(p) = b + Σ_zoom Σ_stage W[zoom, stage] · F_stage(level_zoom)(p / zoom)`

    Attributes
    ----------
    zooms
        Factors by which the image is shrunk before the trunk looks.
    window
        Edge of the square window around a point, in level pixels, the same for all zooms.
    stages
        Which of `layer1` … `layer4` are read.
    classes
        Number of classes.
    readout
        `point`: bilinear at the point; `mean`: average over the window.
    padding
        What convolutions see past the window's edge. Tiles are painted with a halo
        instead and always padded with zeros.
    normalisation
        How intensities are scaled.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    zooms: tuple[int, ...] = (1, 4, 16)
    window: int = Field(default=64, ge=16, le=512)
    stages: tuple[int, ...] = (1, 2, 3, 4)
    classes: int = Field(ge=2, le=254)
    readout: Readout = "point"
    padding: Padding = "reflect"
    normalisation: Normalisation

    @field_validator("zooms", "stages")
    @classmethod
    def _ascending(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or list(value) != sorted(set(value)) or value[0] < 1:
            raise ValueError("must be positive whole numbers, each once, in ascending order")
        return value

    @model_validator(mode="after")
    def _stages_fit(self) -> NetworkSpec:
        if self.stages[-1] not in STAGE_STRIDES:
            raise ValueError("stages are 1, 2, 3 and 4")
        deepest = STAGE_STRIDES[self.stages[-1]]
        if self.padding == "reflect" and cell_count(self.window, deepest) < 2:
            raise ValueError(
                f"a window of {self.window} is too small to be reflected at layer"
                f"{self.stages[-1]}; use at least {deepest + 1}"
            )
        return self

    @property
    def is_torchvision(self) -> bool:
        """Whether this is exactly torchvision's classifier, so that its `fc` is the head."""
        return (self.zooms, self.stages, self.readout) == ((1,), (4,), "mean")

    @property
    def sight(self) -> int:
        """Edge of the windows through which points are answered, see `sight`."""
        return sight(self.window, self.readout)

    def head_name(self, zoom: int, stage: int) -> str:
        """Return the name of the head's weight `(classes, channels)` for one zoom and stage."""
        return "fc.weight" if self.is_torchvision else f"heads.zoom{zoom}.layer{stage}.weight"

    @property
    def bias_name(self) -> str:
        """Name of the bias `(classes,)` that all heads share."""
        return "fc.bias" if self.is_torchvision else "heads.bias"
