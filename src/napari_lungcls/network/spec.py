"""What a network is, apart from the numbers in it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from napari_lungcls.errors import InputError
from napari_lungcls.images.geometry import STAGE_STRIDES, cell_count
from napari_lungcls.network.parameters import (
    DETAIL,
    STAGE_NAMES,
    backbone_shapes,
    detail_shapes,
    hidden_shapes,
    stage_channels,
    stage_of,
)

Pooling = Literal["point", "mean"]
Padding = Literal["reflect", "zeros"]
Triple = tuple[float, float, float]

IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
"""Mean of ImageNet's RGB on a scale of 0 to 1, as torchvision's weights expect it."""
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)
"""Standard deviation that belongs to `IMAGENET_MEAN`."""


class Normalisation(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """How intensities become what the network reads: `(intensity − mean) / std`.

    Attributes
    ----------
    mean, std
        Per channel, in the intensity units of the image.
    dtype
        The type of the images that these numbers were taken from; an image of another
        type has other intensities and cannot be read by the model.
    """

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


class NetworkSpec(BaseModel, frozen=True, extra="forbid"):
    """Shape of a network: a ResNet-18 backbone, read at several zooms and stages, and its heads.

    `summed(p) = b + Σ_zoom Σ_stage W[zoom, stage] · F_stage(level_zoom)(p / zoom)`; with a
    hidden layer `logits = out(relu(summed))`, without one `logits = summed`.

    Attributes
    ----------
    zooms
        Factors by which the image is shrunk before the backbone looks.
    tile
        Edge of the square pieces of tissue that are learned from, in zoomed pixels. The pooling
        `mean` averages over as much.
    stages
        What is read: `layer1` … `layer4` as 1 … 4, the stem as 0, and two small convolutions
        at every pixel of the finest zoom as −1; see `STAGE_NAMES`.
    hidden
        Units of the hidden layer; 0 for heads that are linear.
    classes
        Number of classes.
    pooling
        What is taken of a stage's cells: `point`, bilinearly those at the point; `mean`, the mean
        over the tile.
    padding
        What convolutions see past a tile's edge in training. Maps are painted with a halo
        instead and always padded with zeros.
    normalisation
        How intensities are scaled.
    """

    zooms: tuple[int, ...] = (1,)
    tile: int = Field(default=256, ge=16, le=1024)
    stages: tuple[int, ...] = tuple(STAGE_NAMES)
    hidden: int = Field(default=32, ge=0, le=1024)
    classes: int = Field(ge=2, le=254)
    pooling: Pooling = "point"
    padding: Padding = "reflect"
    normalisation: Normalisation

    @field_validator("zooms", "stages")
    @classmethod
    def _ascending(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or list(value) != sorted(set(value)):
            raise ValueError("must be whole numbers, each once, in ascending order")
        return value

    @model_validator(mode="after")
    def _stages_fit(self) -> NetworkSpec:
        if self.zooms[0] < 1:
            raise ValueError("zooms are positive whole numbers")
        if self.stages[0] < DETAIL or not 1 <= self.stages[-1] <= max(STAGE_NAMES):
            raise ValueError(f"stages are {', '.join(STAGE_NAMES.values())}, one layer at least")
        deepest = STAGE_STRIDES[self.stages[-1]]
        if self.padding == "reflect" and cell_count(self.tile, deepest) < 2:
            raise ValueError(
                f"a tile of {self.tile} is too small to be reflected at layer"
                f"{self.stages[-1]}; use at least {deepest + 1}"
            )
        return self

    @property
    def is_torchvision(self) -> bool:
        """Whether this is exactly torchvision's classifier, so that its `fc` is the head."""
        shape = (self.zooms, self.stages, self.pooling, self.hidden)
        return shape == ((1,), (4,), "mean", 0)

    @property
    def reads(self) -> tuple[tuple[int, int], ...]:
        """All pairs of zoom and stage that are read; detail at the finest zoom only."""
        return tuple(
            (zoom, stage)
            for zoom in self.zooms
            for stage in self.stages
            if stage != DETAIL or zoom == self.zooms[0]
        )

    @property
    def summed(self) -> int:
        """Number of maps that are added up: hidden units, or classes without a hidden layer."""
        return self.hidden or self.classes

    def head_name(self, zoom: int, stage: int) -> str:
        """Return the name of the head's weight `(summed, channels)` for one zoom and stage."""
        if self.is_torchvision:
            return "fc.weight"
        return f"heads.zoom{zoom}.{STAGE_NAMES[stage]}.weight"

    @property
    def bias_name(self) -> str:
        """Name of the bias `(summed,)` that all heads share."""
        return "fc.bias" if self.is_torchvision else "heads.bias"

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of all arrays of the network."""
        deepest = self.stages[-1]
        shapes = {n: shape for n, shape in backbone_shapes().items() if stage_of(n) <= deepest}
        if DETAIL in self.stages:
            shapes |= detail_shapes()
        for zoom, stage in self.reads:
            shapes[self.head_name(zoom, stage)] = (self.summed, stage_channels(stage))
        shapes[self.bias_name] = (self.summed,)
        if self.hidden:
            shapes |= hidden_shapes(self.hidden, self.classes)
        return shapes
