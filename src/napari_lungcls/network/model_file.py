"""The model file: one `.safetensors` with all arrays, and a JSON document in its metadata."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError, model_validator
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.network.appearance import Appearance
from napari_lungcls.network.known_points import KnownPoints
from napari_lungcls.network.spec import NetworkSpec
from napari_lungcls.network.state import State
from napari_lungcls.network.training_data import AdaptedTo, DataSummary, ModelNotes
from napari_lungcls.utils.atomic_write import atomic_write, writing
from napari_lungcls.utils.renamed import current_names

FORMAT_VERSION = 3
"""Version of the document; a reader refuses newer ones. Networks of version 1 were trained on
windows and have linear heads; they are painted as before. Version 2 has other names of settings."""


def software_versions() -> dict[str, str]:
    """Versions of what may change the numbers."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in ("napari-lungcls", "numpy", "torch", "mxnet", "mxnet-cu112"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


class ModelDocument(BaseModel, frozen=True, extra="ignore", allow_inf_nan=False):
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
    points
        Where it learned, and what it predicted at points held out; None in models of patches
        and of earlier versions.
    data
        The labelled data it was given; None in files of earlier versions.
    appearance
        What the images looked like, with which others are compared; None where that is not known.
    measured_statistics
        Whether the running statistics of batch normalisation are those of tiles of the training
        images, so that those of another image can take their place.
    adapted
        The image that it was adapted to after training, without labels; None if it was not.
    notes
        The user's own words about it.
    pretrained
        What the backbone started from.
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
    points: KnownPoints | None = None
    data: DataSummary | None = None
    appearance: Appearance | None = None
    measured_statistics: bool = False
    adapted: AdaptedTo | None = None
    notes: ModelNotes = ModelNotes()
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
        if self.points is not None and not self.points.fits(len(self.scheme)):
            raise ValueError(f"points have classes that are not among the {len(self.scheme)}")
        if self.data is not None and not self.data.fits(len(self.scheme)):
            raise ValueError(f"data are not counted in {len(self.scheme)} classes")
        return self


METADATA_KEY = "napari-lungcls"
SUFFIX = ".safetensors"


def write_model(
    path: str | os.PathLike[str], document: ModelDocument, state: Mapping[str, NDArray[np.float32]]
) -> Path:
    """Write a model file, aside first.

    Raises
    ------
    InputError
        When the place cannot be written, or the name does not end in `.safetensors`.
    """
    target = check_model_name(path)
    metadata = {METADATA_KEY: document.model_dump_json()}
    # Arrays in another order of memory would be written as if they were in C order.
    arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in state.items()}
    with writing(target, SafetensorError), atomic_write(target) as aside:
        save_file(arrays, aside, metadata=metadata)
    return target


def check_model_name(path: str | os.PathLike[str]) -> Path:
    """Insist on the suffix by which other programs know the format."""
    target = Path(path)
    if target.suffix != SUFFIX:
        raise InputError(f"{target}: a model file ends in {SUFFIX}; name it so")
    return target


def is_model_file(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file is a model of this program, by its metadata."""
    if Path(path).suffix != SUFFIX or not Path(path).is_file():
        return False
    try:
        with safe_open(path, framework="numpy") as stored:
            return METADATA_KEY in (stored.metadata() or {})
    except (SafetensorError, OSError):
        return False


def read_model(path: str | os.PathLike[str]) -> tuple[ModelDocument, State]:
    """Read a model file without trusting it.

    Returns
    -------
    document, state
        The checked document and float32 arrays of the shapes that it announces.

    Raises
    ------
    InputError
        When the file is missing, truncated, of another kind, of a newer format, or does
        not hold what its document says.
    """
    source = Path(path)
    if not os.path.isfile(source):  # pathlib raises for a name that the system does not take
        raise InputError(f"{source}: there is no such model file")
    try:
        with safe_open(source, framework="numpy") as stored:
            document = parse_document(source, (stored.metadata() or {}).get(METADATA_KEY))
            state = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, TypeError) as error:
        raise InputError(
            f"{source} is not a complete .safetensors file ({error}); "
            "copy it again, or train and save the model anew"
        ) from error
    _check_arrays(source, state, document.network.shapes())
    return document, state


def parse_document(source: Path, text: str | None) -> ModelDocument:
    """Check the document of a model file; see `read_model`."""
    if text is None:
        raise InputError(
            f"{source} holds arrays but is no model of napari-lungcls",
            suggestion=("for bare ResNet-18 weights", {"pretrained": ...}),
        )
    try:
        raw = json.loads(text)
        found = raw.get("format_version") if isinstance(raw, dict) else None
        if isinstance(found, int | float) and found > FORMAT_VERSION:
            raise InputError(
                f"{source} has format {found}, this version reads up to {FORMAT_VERSION}; "
                "update napari-lungcls"
            )
        document = ModelDocument.model_validate(_upgraded(raw))
        # Fields with rules of their own have been named; in free ones it is refused here.
        json.loads(text, parse_constant=_refuse)
        # Half a character, as "\ud800" is, can be written nowhere.
        json.dumps(raw, ensure_ascii=False).encode("utf-8")
        return document
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "document"
        raise InputError(
            f"{source}: its description is damaged at {where} ({first['msg']}); "
            "train and save the model anew"
        ) from error
    except InputError:
        raise
    except (ValueError, RecursionError) as error:  # no JSON, or numbers of absurd length
        raise InputError(
            f"{source}: its description is damaged; train and save the model anew"
        ) from error


def _upgraded(raw: Any) -> Any:
    """Describe a network of an earlier format as this one does.

    Format 1 has windows, and linear heads; up to format 2 some settings have other names.
    """
    network = raw.get("network") if isinstance(raw, dict) else None
    version = raw.get("format_version", 1) if isinstance(raw, dict) else None
    if not isinstance(network, dict) or isinstance(version, bool) or version not in (1, 2):
        return raw
    if version == 1:
        same = {name: value for name, value in network.items() if name != "window"}
        network = same | {"tile": network.get("window"), "hidden": 0}
    renamed: dict[str, Any] = {"network": current_names(network, warn=False)}
    if isinstance(raw.get("settings"), dict):
        renamed["settings"] = current_names(raw["settings"], warn=False)
    return raw | {"format_version": FORMAT_VERSION} | renamed


def _check_arrays(source: Path, state: State, expected: Mapping[str, tuple[int, ...]]) -> None:
    if missing := sorted(expected.keys() - state.keys()):
        raise InputError(f"{source} lacks the array {missing[0]}; train and save the model anew")
    for name in [n for n in state if n not in expected]:
        del state[name]
    for name, array in state.items():
        if array.shape != expected[name] or array.dtype != np.float32:
            raise InputError(
                f"{source}: the array {name} is {array.dtype} {array.shape}, but should be "
                f"float32 {expected[name]}; train and save the model anew"
            )
        if not np.isfinite(array).all():
            raise InputError(f"{source}: the array {name} holds NaN; train the model anew")


def _refuse(constant: str) -> None:
    """Refuse what JSON does not know, and what this program would write as null."""
    raise ValueError(f"{constant} is no JSON")
