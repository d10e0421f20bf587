"""The fields of a settings model as a form shows them. No Qt."""

import types
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

Kind = Literal["flag", "whole", "number", "choice", "list", "text"]


@dataclass(frozen=True)
class FormField:
    """One field of a settings model as a form shows it.

    Attributes
    ----------
    name, title, unit, group, help
        Name in the model, title and unit on the form, section, and explanation.
    in_sight
        Whether it is always shown; the others are in a fold.
    kind
        The control it needs.
    default
        Default of the model.
    optional
        Whether None, for automatic, is allowed.
    low, high
        Range of a number, where the model limits it.
    choices
        Choices.
    words
        Texts the form shows for choices and list items, where they differ from the value.
    other
        Kind of value allowed besides the choices: none, `name`, `numbers` or `file`.
    typical
        Number to start from when automatic is switched off.
    """

    name: str
    title: str
    unit: str
    group: str
    help: str
    in_sight: bool
    kind: Kind
    default: Any
    optional: bool = False
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    words: Mapping[str, str] = dataclass_field(default_factory=dict)
    other: str = ""
    typical: float | None = None

    @property
    def label(self) -> str:
        """Title and unit, unless the title names it."""
        named = not self.unit or self.unit in self.title.lower()
        return self.title if named else f"{self.title} ({self.unit})"

    @property
    def tooltip(self) -> str:
        """Explanation and default."""
        default = "auto" if self.default is None else self.shown(self.default)
        return f"{self.help[:1].upper()}{self.help[1:]}. Default: {default or 'empty'}."

    def shown(self, value: Any) -> str:
        """Format a value with the texts of the form."""
        if isinstance(value, tuple | list):
            return as_text([self.words.get(str(part), part) for part in value])
        return self.words.get(text := as_text(value), text)


def form_fields(model: type[BaseModel]) -> tuple[FormField, ...]:
    """Describe the fields of a settings model, in order."""
    return tuple(_form_field(name, field) for name, field in model.model_fields.items())


def problem(error: ValidationError, model: type[BaseModel]) -> str:
    """Say in one line which field is wrong, and why."""
    first = error.errors(include_url=False, include_context=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    title = model.model_fields[name].title if name in model.model_fields else name
    if first["type"].startswith("int_") and len(first["loc"]) > 1:
        return f"{title}: whole numbers such as 1, 2, 4, or auto"
    reason = str(first["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return f"{title}: {reason}"


def as_text(value: Any) -> str:
    """Format a value for a line of text: `1, 4, 16`."""
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value)) or "auto"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:.10f}".rstrip("0").rstrip(".")
    return str(value)


def digits(value: float, least: int = 2, most: int = 12) -> int:
    """Count the decimals that a number needs."""
    _, _, after = f"{value:.{most}f}".rstrip("0").partition(".")
    return max(least, len(after))


def _form_field(name: str, field: FieldInfo) -> FormField:
    extra = field.json_schema_extra
    hints: dict[str, Any] = extra if isinstance(extra, dict) else {}
    plain, optional = _without_none(field.annotation)
    choices = tuple(hints.get("choices", ()))
    if get_origin(plain) is Literal:
        choices = tuple(map(str, get_args(plain)))
    words = dict(hints.get("words", {}))
    other = str(hints.get("other", ""))
    low, high = _range(field)
    return FormField(
        name=name,
        title=field.title or name.replace("_", " ").capitalize(),
        unit=str(hints.get("unit", "")),
        group=str(hints.get("group", "Other")),
        help=field.description or "",
        # A field with a single choice need not be shown.
        in_sight=bool(hints.get("in_sight")) and (len(choices) != 1 or bool(other)),
        kind=_kind(plain, choices),
        default=field.default,
        optional=optional,
        low=low,
        high=high,
        choices=choices,
        words=words,
        other=other,
        typical=hints.get("typical"),
    )


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        return kinds[0], len(kinds) < len(get_args(annotation))
    return annotation, False


def _kind(plain: Any, choices: tuple[str, ...]) -> Kind:
    if choices:
        return "choice"
    if get_origin(plain) in (tuple, list):
        return "list"
    kinds: dict[Any, Kind] = {bool: "flag", int: "whole", float: "number"}
    return kinds.get(plain, "text")


def _range(field: FieldInfo) -> tuple[float | None, float | None]:
    """Give the limits of a number; open ends are checked by the model itself."""
    low = high = None
    for part in field.metadata:
        low = getattr(part, "ge", getattr(part, "gt", low))
        high = getattr(part, "le", getattr(part, "lt", high))
    return low, high
