"""What a form has to know of a setting beside its type: where it stands and how it is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Literal

from pydantic import Field

from napari_lungcls.network.engines import ENGINES

SEES, START, RUN, RATE, OPTIMISER, GENERALISE, AUGMENTATION, SPLIT, ANSWER = GROUPS = (
    "What the network sees",
    "Start",
    "Run",
    "Learning rate",
    "Optimiser",
    "Against overfitting",
    "Augmentation",
    "Split",
    "Answer",
)
"""The groups of the settings, in the order in which a form shows them."""

INSTALLED = [name for name in ENGINES if find_spec(name)]
"""Engines whose library is here; finding a library does not import it."""


def setting(
    default: Any,
    title: str,
    description: str,
    group: str,
    *,
    unit: str = "",
    in_sight: bool = False,
    choices: Sequence[str] = (),
    words: Mapping[str, str] | None = None,
    other: Literal["", "name", "numbers", "file"] = "",
    typical: float | None = None,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
) -> Any:
    """Describe a field of the settings, and how a form shows it.

    Parameters
    ----------
    default
        What holds when nothing is given.
    title, description
        What a form and the command line's help call it.
    group
        One of `GROUPS`.
    unit
        Of the number.
    in_sight
        Whether it matters to most runs; the others are folded away.
    choices
        Texts to choose from, where the type does not say them.
    words
        What a form calls choices, and parts of a list, where it calls them something else.
    other
        What may be given instead of a choice: nothing, a name, numbers, or the path of a file.
    typical
        The number that a form shows first where it is not left to the program.
    ge, gt, le, lt
        Limits of the number, as in pydantic's `Field`.
    """
    hints: dict[str, Any] = {
        "group": group,
        "unit": unit,
        "in_sight": in_sight,
        "choices": list(choices),
        "words": dict(words or {}),
        "other": other,
        "typical": typical,
    }
    return Field(
        default,
        title=title,
        description=description,
        ge=ge,
        gt=gt,
        le=le,
        lt=lt,
        json_schema_extra=hints,
    )
