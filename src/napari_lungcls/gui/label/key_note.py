"""What the keys do while the window is open, said until the user has read it."""

import contextlib
from pathlib import Path

from qtpy.QtWidgets import QFrame, QHBoxLayout

from napari_lungcls.annotation.autosave import folder
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.gui.parts import SPACING, button, note

NAPARI = {
    "A": "selects all points",
    "S": "starts selecting",
    "P": "starts adding",
    "Z": "starts moving the view",
    "V": "hides the layer",
}
"""What keys do to points in napari."""


class KeyNote(QFrame):
    """A note with a button that puts it away for good."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("key_note")
        self.words, dismiss = note(name="key_note_words"), button("Got it", "key_note_read")
        dismiss.setToolTip("Do not show this note again")
        dismiss.clicked.connect(self._on_read)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, SPACING)
        row.addWidget(self.words, 1)
        row.addWidget(dismiss)
        self.setVisible(not _mark().exists())

    def show_scheme(self, scheme: ClassScheme) -> None:
        """Name the keys of these classes."""
        keys = [spec.key for spec in scheme.classes if spec.key]
        self.words.setText(key_words(keys))

    def _on_read(self) -> None:
        self.hide()
        # Where nothing can be written, the note comes again, which does no harm.
        with contextlib.suppress(OSError):
            _mark().parent.mkdir(parents=True, exist_ok=True)
            _mark().touch()


def key_words(keys: list[str]) -> str:
    """Say what keys of classes do, and what they did before."""
    if not keys:
        return "No class has a key: give it one under Edit classes."
    listed = ", ".join(keys[:6]) + (" …" if len(keys) > 6 else "")
    lost = [f"{key} {NAPARI[key]}" for key in keys if key in NAPARI]
    usual = f" (in napari alone, {', '.join(lost)})" if lost else ""
    return (
        f"While this window is open, {listed} {'chooses' if len(keys) == 1 else 'choose'} the class"
        f"{usual}. 2 adds points, 3 selects, 4 moves the view. Delete deletes; 1 does not here."
    )


def _mark() -> Path:
    return folder() / "key-note-read"
