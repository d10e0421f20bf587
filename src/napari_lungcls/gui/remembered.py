"""What the user chose last, from one session to the next: one small JSON file. No Qt.

Only what a window shows is remembered, so that nothing happens by a setting out of sight. What
another version wrote, or is damaged, is left out: the default stands there to be seen.
"""

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import platformdirs
from psygnal import Signal

from napari_lungcls.utils.atomic_write import atomic_write

FILE_VARIABLE = "LUNGCLS_CHOICES"
"""Environment variable with the path of another file."""

LARGEST = 2**16
"""Bytes; a larger file is not ours."""


class RememberedChoices:
    """What was chosen in each form, in a file that is read once.

    When it cannot be written, the choices last as long as the program.

    Parameters
    ----------
    path
        The file.
    """

    forgotten = Signal()
    """Open forms show their defaults again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._forms: dict[str, dict[str, Any]] = {}
        with contextlib.suppress(OSError, ValueError, AttributeError):
            if path.stat().st_size <= LARGEST:
                found = json.loads(path.read_text("utf-8"))
                self._forms = {k: v for k, v in found.items() if isinstance(v, dict)}

    def get(self, form: str) -> dict[str, Any]:
        """Give the values of a form by name; nothing if none are known."""
        return dict(self._forms.get(form, {}))

    def put(self, form: str, values: Mapping[str, Any]) -> None:
        """Remember the values of a form in the place of those before."""
        if self.get(form) != values:
            self._forms[form] = dict(values)
            self._write()

    def forget(self) -> None:
        """Forget everything."""
        self._forms = {}
        self._write()
        self.forgotten.emit()

    def _write(self) -> None:
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(self.path) as aside:
                aside.write_text(json.dumps(self._forms, indent=1, sort_keys=True), "utf-8")


_known: dict[Path, RememberedChoices] = {}


def choices() -> RememberedChoices:
    """Give the user's choices: in the configuration folder, or in `$LUNGCLS_CHOICES`."""
    given = os.environ.get(FILE_VARIABLE)
    folder = Path(platformdirs.user_config_dir("napari-lungcls"))
    path = Path(given) if given else folder / "choices.json"
    if path not in _known:
        _known[path] = RememberedChoices(path)
    return _known[path]
