"""What a search may change: ranges and choices of settings, and the settings they make."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError, model_validator

from napari_lungcls.annotation.documents import read_document
from napari_lungcls.errors import InputError
from napari_lungcls.learning.initialization import SHAPE
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.learning.settings_data import (
    AnswerSettings,
    AugmentationSettings,
    SplitSettings,
)
from napari_lungcls.learning.settings_run import TILE
from napari_lungcls.utils.renamed import current_name

AUGMENTATION = "augmentation"
"""Name of the one factor on all strengths of augmentation."""

LARGEST_FACTOR = 4.0

Value = bool | int | float | str

STRENGTHS = tuple(
    name for name, field in AugmentationSettings.model_fields.items() if field.annotation is float
)
"""Settings that the factor multiplies."""

NOT_SEARCHED = {
    *SplitSettings.model_fields,
    *AnswerSettings.model_fields,
    *("engine", "device", "precision", "pretrained", "seed"),
}
"""Settings that say how a trial is judged or where it runs, and not how the network learns."""


class Range(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """Numbers between two ends.

    Attributes
    ----------
    low, high
        The ends, both included.
    log
        Whether to search evenly in the logarithm.
    """

    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if self.low >= self.high:
            raise ValueError(f"{self.low:g} is not below {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError("a logarithmic range begins above 0")
        return self

    @property
    def extremes(self) -> tuple[float, float]:
        """The ends."""
        return self.low, self.high


class Choices(BaseModel, frozen=True, extra="forbid"):
    """Values to choose from; lists such as zooms are written `1,4`."""

    values: tuple[Value, ...]

    @model_validator(mode="after")
    def _some(self) -> Choices:
        if not self.values or len(set(self.values)) < len(self.values):
            raise ValueError("give at least one choice, and each only once")
        return self

    @property
    def extremes(self) -> tuple[Value, ...]:
        """All of them."""
        return self.values


def read_dimension(given: Any, value: Any, source: str) -> Range | Choices:
    """Build one dimension, and try its ends as settings.

    Parameters
    ----------
    given
        The name of the setting, as the user writes it.
    value
        A list of choices, a single one, or a mapping with `low`, `high` and perhaps `log`.
    source
        Where it comes from, for messages.

    Raises
    ------
    InputError
        Naming the setting, and what is wrong.
    """
    name = current_name(str(given).strip().replace("-", "_"), warn=False)
    try:
        if isinstance(value, dict):
            found: Range | Choices = Range.model_validate(value)
        elif isinstance(value, list):
            found = Choices(values=tuple(_typed(name, plain(choice)) for choice in value))
        else:
            found = Choices(values=(_typed(name, plain(value)),))
        _try(name, found)
    except (ValidationError, InputError) as error:
        raise InputError(f"{source}: {given}: {_reason(error)}") from error
    return found


def _try(name: str, dimension: Range | Choices) -> None:
    """Refuse values that the settings would refuse."""
    numeric = {int, float} & _types(name)
    if isinstance(dimension, Range):
        if not numeric:
            raise InputError("this is no number; give a list of choices")
        if is_whole(name) and not (dimension.low.is_integer() and dimension.high.is_integer()):
            raise InputError("give whole numbers")
    for value in dimension.extremes:
        if name == AUGMENTATION:
            if not 0 <= float(value) <= LARGEST_FACTOR:
                raise InputError(f"the factor {value:g} is not from 0 to {LARGEST_FACTOR:g}")
        else:
            TrainingSettings.check(**{name: as_whole(value)})


def is_whole(name: str) -> bool:
    """Tell whether a setting is a whole number."""
    return int in _types(name)


def _types(name: str) -> set[Any]:
    if name == AUGMENTATION:
        return {float}
    annotation = TrainingSettings.model_fields[name].annotation
    return {*get_args(annotation)} if get_origin(annotation) in (Union, UnionType) else {annotation}


def _typed(name: str, value: Value) -> Value:
    """Give a word of the command line the type of its setting; lists stay words."""
    types = _types(name)
    if any(get_origin(kind) is tuple for kind in types):
        return str(value)
    for kind in (bool, int, float):
        if kind in types and isinstance(value, str):
            return TypeAdapter(kind).validate_python(value)
    return value


def plain(value: Any) -> Value:
    """Write lists as words, as a study keeps them."""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return value if isinstance(value, bool | int | float) else str(value)


def as_whole(value: Value) -> Value:
    """Write ends of ranges, which are kept as floats, as whole numbers where they are."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def holds(dimension: Range | Choices, value: Value) -> bool:
    """Tell whether a value lies in a dimension."""
    if isinstance(dimension, Choices):
        return value in dimension.values
    return isinstance(value, int | float) and dimension.low <= value <= dimension.high


def _reason(error: ValidationError | InputError) -> str:
    if isinstance(error, InputError):
        return error.problem
    return str(error.errors()[0]["msg"]).removeprefix("Value error, ")


class Space(BaseModel, frozen=True, extra="forbid"):
    """The settings that a search may change, by name; `augmentation` is a factor on strengths.

    See `default_space` for one, and docs/tuning.md for how a user writes it.
    """

    dimensions: dict[str, Range | Choices]

    @classmethod
    def build(cls, found: Mapping[Any, Any], source: str) -> Space:
        """Build a space from plain values.

        Parameters
        ----------
        found
            By name a list of choices, or a mapping with `low`, `high` and perhaps `log`.
        source
            Where it comes from, for messages.

        Raises
        ------
        InputError
            Naming the setting that is wrong.
        """
        return cls(
            dimensions={_name(k, source): read_dimension(k, v, source) for k, v in found.items()}
        )

    def replaced(self, other: Space) -> Space:
        """Return a space in which the dimensions of `other` come first."""
        return Space(dimensions=self.dimensions | other.dimensions)

    def without(self, names: Iterable[str]) -> Space:
        """Return a space that leaves some settings as they are."""
        out = set(names)
        return Space(dimensions={n: d for n, d in self.dimensions.items() if n not in out})

    def settings(self, base: TrainingSettings, values: Mapping[str, Any]) -> TrainingSettings:
        """Return the settings of a trial.

        Parameters
        ----------
        base
            What the search does not change.
        values
            Values by dimension.

        Raises
        ------
        InputError
            When they contradict each other.
        """
        changed = {name: value for name, value in values.items() if name != AUGMENTATION}
        strengths = _strengths(base, values.get(AUGMENTATION, 1.0))
        return TrainingSettings.check(**base.model_dump() | strengths | changed)

    def values(self, base: TrainingSettings) -> dict[str, Any]:
        """Return where in the space the given settings lie, as far as they lie in it."""
        own = base.model_dump() | {AUGMENTATION: 1.0}
        return {
            name: value
            for name, dimension in self.dimensions.items()
            if holds(dimension, value := plain(own[name]))
        }

    def corners(self, base: TrainingSettings) -> Iterator[TrainingSettings]:
        """Give settings among which are the ones with the widest crops of the space.

        All shapes are tried; strengths of augmentation at their largest, because they only
        ever widen the crops that tiles are made of.
        """
        forms = [n for n in self.dimensions if n in (*SHAPE, "rotation", "freeze")]
        strong = {
            name: max(self.dimensions[name].extremes)
            for name in (AUGMENTATION, *STRENGTHS)
            if name in self.dimensions
        }
        for chosen in itertools.product(*(self.dimensions[n].extremes for n in forms)):
            yield self.settings(base, strong | dict(zip(forms, map(as_whole, chosen), strict=True)))


def default_space(base: TrainingSettings) -> Space:
    """Return the space that is searched when the user names none.

    The number of tiles in a step follows from their size, so that a step costs the same in all
    trials. Of the zooms, fewer are tried, but none beyond: regions have to be wide enough for
    the coarsest, in all trials. Where there is one only, it stays.

    Parameters
    ----------
    base
        The settings around which it lies, `resolved`.
    """
    found: dict[str, Any] = {
        "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
        "optimizer": ["adam", "adamw", "sgd", "rmsprop"],
        "weight_decay": {"low": 1e-6, "high": 1e-2, "log": True},
        "tile": sorted({TILE // 2, TILE, base.tile or TILE}),
        "hidden": sorted({16, 32, 64, base.hidden}),
        "dropout": {"low": 0.0, "high": 0.6},
    }
    if base.freezes:
        found["freeze"] = ["yes", "no"]
    if len(base.zooms) > 1:
        found["zooms"] = [base.zooms[: i + 1] for i in range(len(base.zooms))]
    if any(getattr(base, name) for name in STRENGTHS):
        found[AUGMENTATION] = {"low": 0.0, "high": 2.0}
    return Space.build(found, "the default space")


def read_space(path: Path) -> Space:
    """Read a space from a YAML or JSON file.

    Raises
    ------
    InputError
        Naming the file, and the setting that is wrong.
    """
    found = read_document(path, "search space")
    if not isinstance(found, dict) or not found:
        raise InputError(f"{path} names no settings to search; see docs/tuning.md for an example")
    return Space.build(found, str(path))


def _name(given: Any, source: str) -> str:
    name = current_name(str(given).strip().replace("-", "_"))
    if name in NOT_SEARCHED:
        raise InputError(f"{source}: {given} is the same for all trials", suggestion={name: ...})
    if name != AUGMENTATION and name not in TrainingSettings.model_fields:
        raise InputError(
            f"{source}: {given} is no setting; use names of the settings of train, such as "
            f"learning_rate, or {AUGMENTATION}"
        )
    return name


def _strengths(base: TrainingSettings, factor: float) -> dict[str, float]:
    """Multiply the strengths of augmentation, none beyond what its setting allows."""
    return {name: min(factor * getattr(base, name), _limit(name)) for name in STRENGTHS}


def _limit(name: str) -> float:
    limits = AugmentationSettings.model_fields[name].metadata
    return min((float(limit.le) for limit in limits if hasattr(limit, "le")), default=math.inf)
