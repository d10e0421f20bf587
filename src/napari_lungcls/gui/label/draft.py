"""A class scheme while it is being edited: rows that need not make sense yet. No Qt."""

from dataclasses import dataclass, replace

from pydantic import ValidationError

from napari_lungcls.annotation.schemes import (
    PRESETS,
    ClassScheme,
    Phase,
    Role,
    free_color,
    free_key,
)
from napari_lungcls.annotation.validation import one_line
from napari_lungcls.errors import InputError

_EDITED = ", edited"


@dataclass(frozen=True)
class Row:
    """One class being edited.

    Attributes
    ----------
    origin
        What the class was called before, None for a new one.
    name, color, key, phase, role
        As in `ClassSpec`, but unchecked; an empty key is none.
    """

    origin: str | None
    name: str
    color: str
    key: str
    phase: Phase = "none"
    role: Role | None = None


class Draft:
    """The rows of a table of classes.

    Parameters
    ----------
    scheme
        The scheme to begin with.
    """

    def __init__(self, scheme: ClassScheme) -> None:
        self.scheme = scheme
        self.rows = [
            Row(c.name, c.name, c.color, c.key or "", c.phase, c.role) for c in scheme.classes
        ]

    def rename(self, index: int, name: str) -> None:
        """Call a class by another name."""
        self.rows[index] = replace(self.rows[index], name=name)

    def recolor(self, index: int, color: str) -> None:
        """Give a class another colour."""
        self.rows[index] = replace(self.rows[index], color=color)

    def rekey(self, index: int, key: str) -> None:
        """Give a class another key, or none."""
        self.rows[index] = replace(self.rows[index], key=key.strip().upper())

    def rephase(self, index: int, phase: Phase) -> None:
        """Say what a class is made of."""
        self.rows[index] = replace(self.rows[index], phase=phase)

    def recast(self, index: int, role: Role | None) -> None:
        """Say which reference volume a class belongs to."""
        self.rows[index] = replace(self.rows[index], role=role)

    def add(self) -> int:
        """Add a class with a free name, colour and key; give its place."""
        taken = {row.name for row in self.rows}
        number = next(n for n in range(1, len(taken) + 2) if f"class {n}" not in taken)
        name = f"class {number}"
        key = free_key(name, [row.key for row in self.rows if row.key])
        self.rows.append(Row(None, name, free_color(row.color for row in self.rows), key or ""))
        return len(self.rows) - 1

    def remove(self, index: int) -> None:
        """Remove a class."""
        del self.rows[index]

    def move(self, index: int, step: int) -> int:
        """Move a class up (-1) or down (1) as far as there is room; give its new place."""
        target = min(max(index + step, 0), len(self.rows) - 1)
        self.rows.insert(target, self.rows.pop(index))
        return target

    def build(self) -> tuple[ClassScheme, dict[str, str]]:
        """Give the scheme, and the new names of renamed classes by their old ones.

        Raises
        ------
        InputError
            When a name, colour or key cannot be used; one line says which and why.
        """
        classes = [
            {
                "name": r.name,
                "color": r.color,
                "key": r.key or None,
                "phase": r.phase,
                "role": r.role,
            }
            for r in self.rows
        ]
        try:
            scheme = ClassScheme.model_validate({"name": self.scheme.name, "classes": classes})
        except ValidationError as error:
            raise InputError(self._complaint(error)) from error
        if scheme.name in PRESETS and scheme != ClassScheme.preset(scheme.name):
            scheme = scheme.model_copy(update={"name": scheme.name + _EDITED})
        renamed = {r.origin: r.name for r in self.rows if r.origin not in (None, r.name)}
        return scheme, {old: new for old, new in renamed.items() if old is not None}

    def _complaint(self, error: ValidationError) -> str:
        """Say which class has what wrong: `septa: a key is one letter or digit`."""
        first = error.errors(include_url=False, include_context=False)[0]
        match first["loc"]:
            case ("classes", int(index), "key"):
                return f"{self.rows[index].name}: a key is one letter or digit"
            case ("classes", int(index), "name"):
                return "a name has visible characters, and no space at its ends"
            case _:
                return f"{one_line(error)}; correct the table"
