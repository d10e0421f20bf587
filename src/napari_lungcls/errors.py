"""The errors and warnings whose text is meant for the user."""

from collections.abc import Mapping, Sequence
from typing import Any

from napari_lungcls.utils.printable import printable

Suggestion = str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]]
"""A remedy: text, settings with values any of which would help, or several of these in order.

The value `None` means to leave a setting out, `...` a value that the user knows.
"""


class Wording:
    """How a message names settings: this one as Python does, others for other readers."""

    def name(self, setting: str) -> str:
        """Name a setting; empty if the reader has none of that name."""
        return setting

    def use(self, setting: str, value: Any) -> str:
        """Ask for a value of a setting."""
        if value is None:
            return f"leave {self.name(setting)} out"
        return f"use {setting}={'...' if value is ... else repr(value)}"


class Message(Exception):
    """What an error or a warning says, in parts, so that every interface says it its own way.

    Parameters
    ----------
    problem
        What is wrong, in words that hold for any interface.
    setting
        The parameter or setting that is wrong, by its name in Python.
    suggestion
        The remedy.

    Attributes
    ----------
    problem, setting, suggestion
        As given; `str()` of the message puts them together in Python's terms.
    """

    def __init__(
        self, problem: str, *, setting: str | None = None, suggestion: Suggestion = ""
    ) -> None:
        self.problem, self.setting, self.suggestion = problem, setting, suggestion
        super().__init__(self.told(Wording()))

    @property
    def remedies(self) -> dict[str, Any]:
        """The values that are suggested, by setting."""
        proposed = [part for part in self._parts if not isinstance(part, str)]
        values = {name: value for part in proposed for name, value in part.items()}
        return {n: v for n, v in values.items() if v is not None and v is not ...}

    def told(self, wording: Wording) -> str:
        """Say it in one line, in someone's words."""
        name = wording.name(self.setting) if self.setting else ""
        remedy = " ".join(
            part
            if isinstance(part, str)
            else " or ".join(wording.use(name, value) for name, value in part.items())
            for part in self._parts
        )
        line = (f"{name}: " if name else "") + self.problem + (f"; {remedy}" if remedy else "")
        return printable(" ".join(line.split()))

    @property
    def _parts(self) -> Sequence[str | Mapping[str, Any]]:
        one = isinstance(self.suggestion, str | Mapping)
        return [self.suggestion] if one else self.suggestion  # type: ignore[list-item,return-value]


class InputError(Message, ValueError):
    """Something the user gave cannot be used; the message is one line with the remedy.

    The command line prints the message and exits with code 2, windows show it as a
    notification. Everything else that is raised is a defect of this package.

    Examples
    --------
    >>> try:
    ...     lc.load("missing.safetensors")
    ... except lc.InputError as error:
    ...     print(error)
    missing.safetensors: there is no such model file
    """


class LungclsWarning(Message, UserWarning):
    """Something works, but the user should know about it before trusting the result.

    Examples
    --------
    To stop at the first one instead:

    >>> import warnings
    >>> warnings.simplefilter("error", lc.LungclsWarning)
    """
