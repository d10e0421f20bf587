"""How values are written in a line for the shell and in lines of Python. No Qt."""

import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_lungcls.network.parameters import STAGE_NAMES

PROGRAM = "lungcls"
WIDTH = 88
"""Characters up to which a call is written in one line."""

NOT_IN_NAMES = '\\/:*?"<>|'


@dataclass(frozen=True)
class Recipe:
    """What does the same as a window.

    Attributes
    ----------
    command
        One line for the shell of this system.
    python
        Lines of Python.
    """

    command: str
    python: str


MakeRecipe = Callable[[], Recipe]
"""Gives a recipe, and may take as long as opening files does."""


class Variable(str):
    """A text that is written without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Write it as it is."""
        return str(self)


def command_line(command: str, *words: object, **options: Any) -> str:
    """Write a command with its arguments and options, quoted for the shell.

    Parameters
    ----------
    command
        Such as `train`.
    *words
        Arguments.
    **options
        By their names in Python. None is left out, and of two-sided options False is the other
        side; a list of paths gives the option for each of them.
    """
    parts = [PROGRAM, command, *map(str, words)]
    for name, value in options.items():
        flag = name.replace("_", "-")
        if value is None:
            continue
        if isinstance(value, bool):
            parts.append(f"--{flag if value else 'no-' + flag}")
        elif isinstance(value, list):
            parts += [part for each in value for part in (f"--{flag}", str(each))]
        elif (text := _word(name, value)).startswith("-"):
            parts.append(f"--{flag}={text}")
        else:
            parts += [f"--{flag}", text]
    return subprocess.list2cmdline(parts) if sys.platform == "win32" else shlex.join(parts)


def call(function: str, *values: object, **named: Any) -> str:
    """Write a call in Python; arguments by name that are None are left out."""
    parts = [_literal(value) for value in values]
    parts += [f"{name}={_literal(value)}" for name, value in named.items() if value is not None]
    line = f"{function}({', '.join(parts)})"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{function}(", *(f"    {part}," for part in parts), ")"])


def script(*lines: str) -> str:
    """Write lines of Python, after the import that they need."""
    return "\n".join(["import napari_lungcls as lc", "", *lines, ""])


def changed(settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Give what differs from the defaults."""
    return {name: value for name, value in settings.items() if value != defaults.get(name)}


def file_name(name: str, suffix: str) -> str:
    """Make of a name a file of the current folder."""
    plain = "".join("-" if c in NOT_IN_NAMES else c for c in name).strip(". -")
    return f"{plain or 'unnamed'}{suffix}"


def _word(name: str, value: Any) -> str:
    """Write a value as the options of the command line take it."""
    if isinstance(value, tuple):
        parts = [STAGE_NAMES[part] for part in value] if name == "stages" else value
        return ",".join(_word("", part) for part in parts)
    return _number(value) if isinstance(value, float) else str(value)


def _literal(value: object) -> str:
    if isinstance(value, Path):
        return repr(str(value))
    if isinstance(value, slice):
        return f"slice({value.start}, {value.stop})"
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, list | tuple):
        inside = ", ".join(map(_literal, value))
        if isinstance(value, list):
            return f"[{inside}]"
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    return repr(value)


def _number(value: float) -> str:
    """Write a number, without the digits that adding and scaling in a window leave behind."""
    short = f"{value:.12g}"
    return short if float(short) == value or len(repr(value)) > 15 else repr(value)
