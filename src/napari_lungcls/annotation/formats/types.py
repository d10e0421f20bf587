"""Names of types that a program only numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from napari_lungcls.annotation.formats.marks import Classes, Context
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError

NO_CLASS = "no class"
"""What points without a class are called where a program wants a name."""


def names_of_types(
    used: Iterable[int],
    named: Mapping[int, str],
    context: Context,
    *,
    first: int = 1,
    what: str = "type",
    rename: str = "",
) -> dict[int, str]:
    """Name numbered types.

    Parameters
    ----------
    used
        The numbers.
    named
        The names that the file itself has for some of them.
    context
        Its `classes` name the others: a scheme those that the file does not name, counted from
        `first`; a mapping any, also those that the file names otherwise.
    first
        Number of the first class of a scheme.
    what
        What the program calls a type.
    rename
        How names are given in the program, for the message.

    Raises
    ------
    InputError
        When a number has no name.
    """
    given = _given(context.classes, first)
    names = {**given, **named} if not isinstance(context.classes, Mapping) else {**named, **given}
    missing = sorted(set(used) - set(names))
    if missing:
        listed = ", ".join(map(str, missing[:5])) + (", …" if len(missing) > 5 else "")
        known = f"the scheme has {len(given)} classes" if given else "nothing says their classes"
        way = f"{rename}, or" if rename else ""
        raise InputError(
            f"{context.source}: points of {what} {listed} have no name, and {known}",
            suggestion=(way, {"classes": ...}, f"for a scheme whose first class is {what} {first}"),
        )
    return {number: names[number] for number in used}


def _given(classes: Classes | None, first: int) -> dict[int, str]:
    if classes is None:
        return {}
    if isinstance(classes, Mapping):
        return dict(classes)
    return dict(enumerate(ClassScheme.parse(classes).names, start=first))
