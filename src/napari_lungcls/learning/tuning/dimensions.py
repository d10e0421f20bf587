"""One dimension of a search: a range or choices for one setting, checked as the settings would."""

from __future__ import annotations

from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator

from napari_lungcls.errors import InputError
from napari_lungcls.learning.settings import TrainingSettings

AUGMENTATION = "augmentation"
"""Name of the one factor on all strengths of augmentation."""

LARGEST_FACTOR = 4.0

Value = bool | int | float | str


class Range(BaseModel):
    """Numbers between two ends.

    Attributes
    ----------
    low, high
        The ends, both included.
    log
        Whether to search evenly in the logarithm.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

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


class Choices(BaseModel):
    """Values to choose from; lists such as zooms are written `1,4`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

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
    name = str(given).strip().replace("-", "_")
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
