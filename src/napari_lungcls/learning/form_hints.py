"""What a form has to know of a setting beside its type: where it stands and how it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, Literal

from napari_lungcls.network.engines import ENGINES

SEES, START, RUN, AUGMENTATION, SPLIT = GROUPS = (
    "What the network sees",
    "Start",
    "Run",
    "Augmentation",
    "Split",
)
"""The groups of the settings, in the order in which a form shows them."""

INSTALLED = [name for name in ENGINES if find_spec(name)]
"""Engines whose library is here; finding a library does not import it."""


def shown(
    group: str,
    *,
    unit: str = "",
    in_sight: bool = False,
    choices: Sequence[str] = (),
    other: Literal["", "name", "file"] = "",
) -> dict[str, Any]:
    """Describe how a form shows a field, for pydantic's `json_schema_extra`.

    Parameters
    ----------
    group
        One of `GROUPS`.
    unit
        Of the number.
    in_sight
        Whether it matters to most runs; the others are folded away.
    choices
        Texts to choose from, where the type does not say them.
    other
        What may be given instead of a choice: nothing, a name, or the path of a file.
    """
    return {
        "group": group,
        "unit": unit,
        "in_sight": in_sight,
        "choices": list(choices),
        "other": other,
    }
