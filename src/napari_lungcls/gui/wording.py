"""Messages of the core in the words of the windows: titles in place of options."""

import re

from napari_lungcls.learning.settings import TrainingSettings

OPTION = re.compile(r"--([a-z][a-z-]*)(?: ([\w.,]*\w|FILE))?")
"""An option of the command line, with the value that a message proposes."""

_PHRASES = {
    "train with --classes FILE": "use a scheme that has it (Edit classes)",
    "give --classes a scheme without it": "remove the class from the scheme (Edit classes)",
    "give --pixel-size": "correct the image's scale",
    "Set the pixel size if": "Set the image's scale if",
    ", or write to a file with --out": "",
}


def in_window(line: str) -> str:
    """Write a message of the core as a window says it."""
    for told, here in _PHRASES.items():
        line = line.replace(told, here)

    def renamed(found: re.Match[str]) -> str:
        name, value = found[1].replace("-", "_"), found[2]
        field = TrainingSettings.model_fields.get(name)
        title = str(field.title).lower() if field is not None else name.replace("_", " ")
        return title if value is None else f"{title} {spaced(value)}"

    line = OPTION.sub(renamed, line)
    first, *_ = line.split(" ", 1)
    # A file's name keeps its case.
    return line[:1].upper() + line[1:] if first.isalpha() else line


def spaced(text: str) -> str:
    """Write a list as one reads it: `1, 4, 16`."""
    return text.replace(",", ", ")
