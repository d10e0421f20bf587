"""Colours and keys for classes that were given only a name."""

from __future__ import annotations

import colorsys
import string
from collections.abc import Iterable, Iterator
from typing import Any

# The first five were chosen by measurement: under simulated protanopia, deuteranopia and
# tritanopia (Machado et al. 2009, doi 10.1109/TVCG.2009.113) every pair stays at least
# 20 CIEDE2000 apart. None is a pink or a purple, the colours of an H&E stain.
COLORS = (
    "#0057d9",
    "#ffe119",
    "#00b386",
    "#000000",
    "#6b5b4b",
    "#d55e00",
    "#56b4e9",
    "#7a0019",
)
_GOLDEN_ANGLE = 0.381966


def colors() -> Iterator[str]:
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
    """Give the first colour of `colors` that is not in `taken`."""
    used = {color.lower() for color in taken}
    return next(color for color in colors() if color not in used)


def free_key(name: str, taken: Iterable[str]) -> str | None:
    """Give a key for the class `name`: its first free letter, else any free one.

    Digits come last, because napari uses them on a points layer. None is returned when
    every letter and digit is in `taken`.
    """
    used = {key.upper() for key in taken}
    own = [letter for letter in name.upper() if letter in string.ascii_uppercase]
    candidates = [*own, *string.ascii_uppercase, *string.digits]
    return next((key for key in candidates if key not in used), None)


def complete(classes: Iterable[Any]) -> list[Any]:
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
