"""Asking for files: every dialog begins where the last one ended, or in the chosen folder."""

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QWidget

from napari_lungcls.gui.preferences import preferences

_last: list[Path] = []


def ask_open(parent: QWidget, title: str, filters: str) -> Path | None:
    """Ask for a file that exists; None when the user thought better of it."""
    path, _ = QFileDialog.getOpenFileName(parent, title, str(_folder()), filters)
    return _remember(path)


def ask_folder(parent: QWidget, title: str) -> Path | None:
    """Ask for a folder that exists, or None."""
    return _remember(QFileDialog.getExistingDirectory(parent, title, str(_folder())))


def ask_save(
    parent: QWidget, title: str, name: str, filters: str, suffixes: Sequence[str]
) -> Path | None:
    """Ask where to save, or None.

    Parameters
    ----------
    parent, title, filters
        Of the dialog.
    name
        Proposed; a name without a folder is put into the folder of the last dialog.
    suffixes
        Those that are known; a name without one gets the first that the chosen filter has.
    """
    path, chosen = QFileDialog.getSaveFileName(parent, title, str(_folder() / name), filters)
    if path and not path.lower().endswith(tuple(suffixes)):
        path += next((suffix for suffix in suffixes if suffix in chosen), suffixes[0])
    return _remember(path)


def _folder() -> Path:
    return _last[-1] if _last and _last[-1].is_dir() else preferences().folder


def _remember(path: str) -> Path | None:
    if not path:
        return None
    _last[:] = [Path(path).parent]
    return Path(path)
