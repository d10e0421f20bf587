"""Write the table of training settings into docs/training.md, from the settings themselves.

Run `python docs/make_settings.py` after a change of `TrainingSettings`; a test compares.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from napari_lungcls.learning.settings import TrainingSettings

PAGE = Path(__file__).with_name("training.md")
BEGIN = "<!-- the table: python docs/make_settings.py -->\n"
END = "<!-- the end of the table -->\n"
LIMITS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def table() -> str:
    """Give the settings as Markdown, in the order in which the model has them."""
    fields = {n.replace("_", "-"): field for n, field in TrainingSettings.model_fields.items()}
    rows = [
        f"| `--{name}` | {field.title} | {_default(field.default)} | {_allowed(name, field)} | "
        f"{field.description} |\n"
        for name, field in fields.items()
    ]
    return "".join(
        [
            "| option | in the window | default | allowed | what it is |\n",
            f"|{' --- |' * 5}\n",
            *rows,
        ]
    )


def page() -> str:
    """Give the page with the table as it should be."""
    text = PAGE.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    return f"{head}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}"


def _default(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return f"`{','.join(map(str, value)) or 'auto'}`"
    return f"`{value}`"


def _allowed(name: str, field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(field.annotation))
    if field.annotation is bool:
        return f"`--no-{name}`" if field.default else "a flag"
    limits = [
        f"{sign} {getattr(part, limit)}"
        for part in field.metadata
        for limit, sign in LIMITS.items()
        if hasattr(part, limit)
    ]
    return ", ".join(limits)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
