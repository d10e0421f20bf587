"""What a painted map says about itself: geometry, classes, provenance."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from napari_lungcls.annotation.schemes import ClassScheme


class MapHeader(BaseModel):
    """Everything about a map but its cells.

    Attributes
    ----------
    shape
        Cells along each axis of the class map, `(…, h, w)`.
    scale
        World units from one cell to the next, per axis.
    translate
        World position of the centre of the first cell, per axis.
    unit
        Name of the world unit along y and x, such as `micrometer` or `pixel`.
    scheme
        The classes; cell value `code + 1`, 0 where nothing was painted.
    stride
        Image pixels between cells.
    origin
        Image pixel `(y, x)` at which the first cell begins.
    probabilities
        Whether class probabilities belong to the map.
    provenance
        What made the map: model, image, software; free form, JSON.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: tuple[int, ...] = Field(min_length=2)
    scale: tuple[float, ...]
    translate: tuple[float, ...]
    unit: str = "pixel"
    scheme: ClassScheme
    stride: int = Field(ge=1)
    origin: tuple[int, int] = (0, 0)
    probabilities: bool = False
    provenance: dict[str, Any] = Field(default_factory=dict)
