"""Class schemes: the ordered classes of a question, with their colours, keys, phases and roles."""

from __future__ import annotations

import colorsys
import os
import re
import string
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from napari_lungcls.annotation.documents import read_document, write_document
from napari_lungcls.annotation.validation import one_line, shown
from napari_lungcls.errors import InputError
from napari_lungcls.utils.names import KnownNames, comparable, distinct, warn_of_case
from napari_lungcls.utils.printable import printable

Phase = Literal["air", "tissue", "none"]
"""What a class is made of; surfaces are counted between air and tissue."""

Role = Literal["parenchyma", "lung", "exclude"]
"""Which reference volume a class belongs to; parenchyma is part of the lung."""

MAX_CLASSES = 254
"""Painted maps are uint8, with 0 for "not painted"; 255 is kept free."""

_LUNG: tuple[tuple[str, str, str, Phase, Role], ...] = (
    ("alveoli", "#0057d9", "A", "air", "parenchyma"),
    ("septa", "#ffe119", "S", "tissue", "parenchyma"),
    ("duct", "#00b386", "D", "air", "parenchyma"),
)
_REST: tuple[tuple[str, str, str, Phase, Role], ...] = (
    ("non-parenchyma", "#000000", "F", "none", "lung"),
    ("outside", "#6b5b4b", "G", "none", "exclude"),
)
_PRESETS = {"lung": _LUNG, "lung-full": _LUNG + _REST}
PRESETS = tuple(_PRESETS)
_NO_TEXT: tuple[tuple[Any, str], ...] = (
    (bool, "a truth value"),
    (int | float, "a number"),
    (date, "a date"),
    (object, "nothing"),
)
"""What YAML makes of names such as yes, 1, 2024-05-01 and null."""

# Chosen by measurement: to normal eyes and under simulated protanopia, deuteranopia and
# tritanopia (Machado et al. 2009, doi 10.1109/TVCG.2009.113) every pair of the first five stays
# at least 20 CIEDE2000 apart, and every pair of the twelve 15. None is a pink or a purple, the
# colours of an H&E stain.
COLORS = (
    "#0057d9",
    "#ffe119",
    "#00b386",
    "#000000",
    "#6b5b4b",
    "#e08000",
    "#c0c0ff",
    "#c0ffc0",
    "#a06020",
    "#000080",
    "#004040",
    "#402000",
)
_OUTSIDE = ("outside", "background", "glass", "slide", "bare glass")
_GOLDEN_ANGLE = 0.381966

_CONFIG = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)


def _check_name(name: str) -> str:
    if not name or name != name.strip() or not name.isprintable():
        raise ValueError(f"{shown(name)} is not a name: visible characters, no space at the ends")
    return name


def _check_color(color: str) -> str:
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", color):
        raise ValueError(f"{shown(color)} is not a colour; write it as '#rrggbb'")
    return color.lower()


def _check_key(key: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]", key):
        raise ValueError(f"{shown(key)} is not a key; give one letter or digit")
    return key.upper()


def _check_quotes(file: Path, classes: Any) -> None:
    """Refuse names and colours that YAML takes for something else when they have no quotes."""
    for number, row in enumerate(classes if isinstance(classes, list) else []):
        bare = row.get("name", "") if isinstance(row, dict) else row
        if not isinstance(bare, str | list | dict):
            kind = next(word for kinds, word in _NO_TEXT if isinstance(bare, kinds))
            raise InputError(
                f"{file}: the name of classes[{number}] is {kind} ({bare}), not text; put it in "
                "quotes, as 'yes' or '1'"
            )
        if isinstance(row, dict) and row.get("color", "") is None:
            raise InputError(
                f"{file}: the color of classes[{number}] is empty, because # begins a comment; put "
                "it in quotes, as '#rrggbb'"
            )


class ClassSpec(BaseModel):
    """One class.

    Attributes
    ----------
    name
        What the class is called in points files, tables and maps.
    color
        `#rrggbb`.
    key
        The letter or digit that labels a point with this class, or None.
    phase
        `air` or `tissue`, between which surfaces are counted; `none` for what is neither, or
        where nobody said it.
    role
        `parenchyma` for what makes up the parenchyma (alveolar air, ductal air, septal tissue),
        `lung` for what belongs to the lung but not to the parenchyma (airways and vessels that
        conduct), `exclude` for what lies outside the lung; None where nobody said it.

    Examples
    --------
    >>> lc.ClassSpec(name="septa", color="#ffe119", key="s", phase="tissue")
    ClassSpec(name='septa', color='#ffe119', key='S', phase='tissue', role=None)
    """

    model_config = _CONFIG

    name: Annotated[str, Field(max_length=100), AfterValidator(_check_name)]
    color: Annotated[str, AfterValidator(_check_color)]
    key: Annotated[str, AfterValidator(_check_key)] | None = None
    phase: Phase = "none"
    role: Role | None = None


class ClassScheme(BaseModel):
    """The ordered classes of a question; the code of a class is its place, from 0.

    Attributes
    ----------
    name
        What the scheme is called.
    classes
        One to 254 classes with unique names and keys. A class may be given by its name
        alone or without colour or key; what is missing is chosen.

    Examples
    --------
    >>> lung = lc.ClassScheme.preset("lung")
    >>> lung.names, lung.code("duct")
    (('alveoli', 'septa', 'duct'), 2)
    >>> lung.phases, lung.parenchyma.tolist()
    (('air', 'tissue', 'air'), [True, True, True])
    >>> own = lc.ClassScheme.of_names(["air", "tissue"], name="density")
    >>> lc.ClassScheme.from_file(own.save("density.yaml")) == own
    True
    """

    model_config = _CONFIG

    name: Annotated[str, Field(max_length=100), AfterValidator(_check_name)]
    classes: tuple[ClassSpec, ...]

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("classes"), list | tuple):
            return {**data, "classes": _complete(data["classes"])}
        return data

    @model_validator(mode="after")
    def _check_classes(self) -> Self:
        if not 1 <= len(self.classes) <= MAX_CLASSES:
            raise ValueError(f"{len(self.classes)} classes; a scheme has 1 to {MAX_CLASSES}")
        keys = [spec.key for spec in self.classes if spec.key is not None]
        for what, values in (("name", list(self.names)), ("key", keys)):
            forms = list(map(comparable, values))
            twice = next((k for k, form in enumerate(forms) if form in forms[:k]), None)
            if twice is not None:
                name = shown(values[twice])
                raise ValueError(f"two classes have the {what} {name}; make it unique")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes in the order of their codes."""
        return tuple(spec.name for spec in self.classes)

    @property
    def colors(self) -> tuple[str, ...]:
        """Colours of the classes in the order of their codes, `#rrggbb`."""
        return tuple(spec.color for spec in self.classes)

    @property
    def knows_outside(self) -> bool:
        """Whether a class is for what lies outside the lung, by its role or by its name."""
        return any(c.role == "exclude" or c.name.casefold() in _OUTSIDE for c in self.classes)

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Phases of the classes in the order of their codes."""
        return tuple(spec.phase for spec in self.classes)

    @property
    def parenchyma(self) -> NDArray[np.bool_]:
        """Whether each class makes up the parenchyma, `(k,)` in the order of the codes."""
        return np.array([spec.role == "parenchyma" for spec in self.classes], np.bool_)

    @property
    def lung(self) -> NDArray[np.bool_]:
        """Whether each class belongs to the lung, parenchyma included, `(k,)`."""
        return np.array([spec.role in ("parenchyma", "lung") for spec in self.classes], np.bool_)

    def same_classes(self, other: ClassScheme) -> bool:
        """Tell whether the classes of another scheme are called the same, in the same order."""
        return list(map(comparable, self.names)) == list(map(comparable, other.names))

    def __len__(self) -> int:
        """Count the classes."""
        return len(self.classes)

    def code(self, name: str) -> int:
        """Give the code of the class `name`.

        Raises
        ------
        InputError
            When the scheme has no such class.
        """
        place = KnownNames(self.names, "class").place(name)
        if place is None:
            raise InputError(
                f"class {shown(name)} is not in the scheme {shown(self.name)}, which has "
                f"{', '.join(self.names)}; name one of these or use another scheme"
            )
        return place

    @classmethod
    def preset(cls, name: str) -> Self:
        """Give the scheme `lung` (alveoli, septa, duct) or `lung-full` (and the rest).

        Raises
        ------
        InputError
            When there is no preset of this name.
        """
        if name not in _PRESETS:
            raise InputError(
                f"there is no class scheme {shown(name)}; use {' or '.join(PRESETS)}, "
                "or a .yaml or .json file with your own classes"
            )
        return cls(
            name=name,
            classes=tuple(
                ClassSpec(name=label, color=color, key=key, phase=phase, role=role)
                for label, color, key, phase, role in _PRESETS[name]
            ),
        )

    @classmethod
    def of_names(cls, names: Iterable[str], name: str = "classes") -> Self:
        """Build a scheme from names alone, with default colours and keys.

        Raises
        ------
        InputError
            When a name is empty or occurs twice, or there are too many.
        """
        try:
            return cls.model_validate({"name": name, "classes": list(names)})
        except ValidationError as error:
            raise InputError(f"class names: {one_line(error)}") from error

    @classmethod
    def for_labels(cls, labels: Iterable[str]) -> Self:
        """Give the smallest preset that has all of `labels`, else a scheme made of them.

        In the latter the classes come in the order in which `labels` first has them. Empty
        labels are passed over; without any label the preset `lung` is given.
        """
        seen = [label for label in distinct(dict.fromkeys(labels)) if comparable(label)]
        for name in PRESETS:
            if set(map(comparable, seen)) <= {row[0] for row in _PRESETS[name]}:
                return cls.preset(name)
        warn_of_case(seen, "classes", "class names")
        return cls.of_names(label.strip() for label in seen)

    def including(self, labels: Iterable[str] | None) -> ClassScheme:
        """Give this scheme if it has all of `labels`, else one made for them; see `for_labels`."""
        named = [] if labels is None else [label for label in labels if label]
        return self if set(named) <= set(self.names) else ClassScheme.for_labels(named)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Self:
        """Read a scheme from a YAML or JSON file (see docs/formats.md).

        Raises
        ------
        InputError
            When the file cannot be read or does not hold a scheme.
        """
        file = Path(path)
        data = read_document(file, "class scheme")
        if not isinstance(data, dict):
            raise InputError(
                f"{file}: not a class scheme; it must have 'name' and 'classes' at the top"
            )
        _check_quotes(file, data.get("classes"))
        data.setdefault("name", printable(file.stem))
        try:
            scheme = cls.model_validate(data)
        except ValidationError as error:
            raise InputError(f"{file}: {one_line(error)}; correct the file") from error
        warn_of_case(scheme.names, "classes", str(file))
        return scheme

    @classmethod
    def parse(cls, scheme: str | os.PathLike[str] | ClassScheme) -> ClassScheme:
        """Take a scheme, the name of a preset, or a file, and give the scheme.

        Raises
        ------
        InputError
            When the name is unknown or the file cannot be used.
        """
        if isinstance(scheme, ClassScheme):
            return scheme
        if isinstance(scheme, str) and (scheme in _PRESETS or not Path(scheme).suffix):
            return cls.preset(scheme)
        return cls.from_file(scheme)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the scheme as YAML or JSON, by the suffix of `path`.

        Raises
        ------
        InputError
            When the suffix is another one or the file cannot be written.
        """
        return write_document(path, self.model_dump(mode="json"), "class scheme")


def default_colors() -> Iterator[str]:
    """Give `#rrggbb` colours without end: the chosen ones first, then spread hues."""
    yield from COLORS
    turn = 0
    while True:
        hue = (turn * _GOLDEN_ANGLE) % 1.0
        value = (0.95, 0.7, 0.45)[turn % 3]
        red, green, blue = (round(255 * c) for c in colorsys.hsv_to_rgb(hue, 0.85, value))
        yield f"#{red:02x}{green:02x}{blue:02x}"
        turn += 1


def free_color(taken: Iterable[str]) -> str:
    """Give the first of `default_colors` that is not in `taken`."""
    used = {color.lower() for color in taken}
    return next(color for color in default_colors() if color not in used)


def free_key(name: str, taken: Iterable[str]) -> str | None:
    """Give a key for the class `name`: its first free letter, else any free one.

    Digits come last, because napari uses them on a points layer. None is returned when
    every letter and digit is in `taken`.
    """
    used = {key.upper() for key in taken}
    own = [letter for letter in name.upper() if letter in string.ascii_uppercase]
    candidates = [*own, *string.ascii_uppercase, *string.digits]
    return next((key for key in candidates if key not in used), None)


def _complete(classes: Iterable[Any]) -> list[Any]:
    """Make every class given by its name a mapping, and choose the colours and keys it lacks.

    What is no name and no mapping stays as it is, for a validator to judge.
    """
    rows: list[Any] = [{"name": row} if isinstance(row, str) else row for row in classes]
    colors = [color for row in rows if isinstance(color := _given(row, "color"), str)]
    keys = [key for row in rows if isinstance(key := _given(row, "key"), str | int)]
    taken = [str(key) for key in keys]
    done: list[Any] = []
    for row in rows:
        if not isinstance(row, dict):
            done.append(row)
            continue
        row = dict(row)
        if "color" not in row:
            row["color"] = free_color(colors)
            colors.append(row["color"])
        if "key" not in row:
            row["key"] = free_key(str(row.get("name", "")), taken)
            taken.extend([row["key"]] if row["key"] else [])
        done.append(row)
    return done


def _given(row: object, field: str) -> object:
    return row.get(field) if isinstance(row, dict) else getattr(row, field, None)
