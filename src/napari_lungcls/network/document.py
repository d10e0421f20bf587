"""What a model file says about itself beside its numbers."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.network.spec import NetworkSpec

FORMAT_VERSION = 2
"""Version of the document; a reader refuses newer ones. Networks of version 1 were trained on
windows and have linear heads; they are painted as before."""


def software_versions() -> dict[str, str]:
    """Versions of what may change the numbers."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in ("napari-lungcls", "numpy", "torch", "mxnet", "mxnet-cu112"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


class ModelDocument(BaseModel):
    """The JSON document in a model file.

    Attributes
    ----------
    format_version
        See `FORMAT_VERSION`.
    network
        Shape of the network.
    scheme
        The classes, in the order of the logits.
    pixel_size
        Micrometres per pixel of the images it was trained on; None if unknown.
    rgb
        Whether these images had colours; None if unknown, or if some had and some had not.
    settings
        Training settings.
    split
        How the points were split and how many were used.
    validation
        Metrics of the best epoch on points the network has not seen, or None.
    test
        Metrics on points that no decision of the training has seen, or None.
    history
        One record per epoch.
    pretrained
        What the trunk started from.
    temperature
        Logits are divided by it before the softmax.
    calibration
        What the temperature brought on the validation points, or None.
    threshold
        For two classes: probability of the second from which a point counts as it. None:
        the likeliest class is the answer.
    operating_point
        Why this threshold, and what it did on the validation points, or None.
    engine, device
        What trained it.
    software
        Versions.
    created
        ISO 8601, UTC.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    format_version: int = Field(default=FORMAT_VERSION, strict=True, ge=1)
    network: NetworkSpec
    scheme: ClassScheme
    pixel_size: float | None = Field(default=None, gt=0)
    rgb: bool | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    split: dict[str, Any] = Field(default_factory=dict)
    validation: dict[str, Any] | None = None
    test: dict[str, Any] | None = None
    history: list[dict[str, Any]] = Field(default_factory=list)
    pretrained: str = "none"
    temperature: float = Field(default=1.0, gt=0)
    calibration: dict[str, Any] | None = None
    threshold: float | None = Field(default=None, ge=0, le=1)
    operating_point: dict[str, Any] | None = None
    engine: str = ""
    device: str = ""
    software: dict[str, str] = Field(default_factory=software_versions)
    created: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @model_validator(mode="after")
    def _classes_agree(self) -> ModelDocument:
        if len(self.scheme) != self.network.classes:
            raise ValueError(
                f"the network has {self.network.classes} classes, the scheme {len(self.scheme)}"
            )
        if self.threshold is not None and len(self.scheme) != 2:
            raise ValueError(f"a threshold parts two classes, the scheme has {len(self.scheme)}")
        return self
