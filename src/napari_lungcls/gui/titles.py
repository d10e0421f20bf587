"""Messages of the core as the windows say them: with the titles of their fields."""

from typing import Any

from napari_lungcls.errors import Message, Wording
from napari_lungcls.gui.fields import FormField, form_fields
from napari_lungcls.learning.settings import TrainingSettings

FIELDS: dict[str, FormField] = {field.name: field for field in form_fields(TrainingSettings)}

_OTHERS = {
    "adapt": "Adapt to this image",
    "channels": "Channels",
    "classes": "Edit classes",
    "pixel_size": "Pixel size",
    "stride": "Stride",
    "server": "Compute on",
    "token_file": "Token…",
    "spacing": "Distance",
    "fields": "Fields",
    "field_size": "the size of fields",
    "lines": "Test lines",
    "mask": "Within",
}
"""Titles of what is not among the settings of a training, such as those of test points."""


class Titles(Wording):
    """Names settings as the fields of the windows are called."""

    def name(self, setting: str) -> str:
        """Give the title of a field; empty if no window has it."""
        return FIELDS[setting].title if setting in FIELDS else _OTHERS.get(setting, "")

    def use(self, setting: str, value: Any) -> str:
        """Ask for a value of a field."""
        title = self.name(setting) or setting.replace("_", " ")
        if value is None:
            return "compute on this computer" if setting == "server" else f"leave {title} out"
        if value is ... or value is True:
            return f"use {title}"
        return f"set {title} to {FIELDS[setting].shown(value) if setting in FIELDS else value}"


def in_window(message: Message | str) -> str:
    """Write a message of the core as a window says it."""
    line = message if isinstance(message, str) else message.told(Titles())
    first, *_ = line.split(" ", 1)
    # A file's name keeps its case.
    return line[:1].upper() + line[1:] if first.isalpha() else line


def remedy_first(line: str) -> str:
    """Turn `problem; remedy` into `Remedy. Problem.`, for places that may cut a line's end.

    Messages of the core are written with the remedy last; see `Message`.
    """
    problem, mark, remedy = line.strip().rstrip(".").rpartition("; ")
    if not mark:
        return line
    return f"{in_window(remedy)}. {in_window(problem)}."
