"""File dialogs, which start in the last folder used or the preferred one, and questions."""

from collections.abc import Sequence
from enum import Enum, auto
from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QMessageBox, QWidget

from napari_lungcls.gui.preferences import preferences

_last: list[Path] = []


class Unsaved(Enum):
    """What to do with unsaved work."""

    SAVE = auto()
    KEEP = auto()
    DISCARD = auto()
    CANCEL = auto()


def ask_open(parent: QWidget, title: str, filters: str) -> Path | None:
    """Ask for an existing file; None if cancelled."""
    path, _ = QFileDialog.getOpenFileName(parent, title, str(_folder()), filters)
    return _remember(path)


def ask_folder(parent: QWidget, title: str) -> Path | None:
    """Ask for an existing folder; None if cancelled."""
    return _remember(QFileDialog.getExistingDirectory(parent, title, str(_folder())))


def ask_save(
    parent: QWidget, title: str, name: str, filters: str, suffixes: Sequence[str]
) -> Path | None:
    """Ask where to save; None if cancelled.

    Parameters
    ----------
    parent, title, filters
        Of the dialog.
    name
        Suggested file name; without a folder it is placed in the last folder used.
    suffixes
        Known suffixes; a name without one gets the first suffix in the chosen filter.
    """
    path, chosen = QFileDialog.getSaveFileName(parent, title, str(_folder() / name), filters)
    if path and not path.lower().endswith(tuple(suffixes)):
        path += next((suffix for suffix in suffixes if suffix in chosen), suffixes[0])
    return _remember(path)


def ask_unsaved(parent: QWidget, found: Sequence[str], remark: str = "") -> Unsaved:
    """Ask what to do with unsaved work before the window closes.

    Parameters
    ----------
    parent
        The window.
    found
        A phrase for each unsaved thing.
    remark
        Additional information, if any.
    """
    box = QMessageBox(parent)
    box.setObjectName("unsaved")
    box.setWindowTitle("Unsaved work")
    box.setIcon(QMessageBox.Icon.Warning)
    listed = "\n".join(["Unsaved:", *(f"• {each}" for each in found)])
    box.setText(f"Unsaved: {found[0].rstrip('.')}." if len(found) == 1 else listed)
    box.setInformativeText(remark)
    roles, answers = QMessageBox.ButtonRole, {}
    for answer, text, role in (
        (Unsaved.SAVE, "Save all…", roles.AcceptRole),
        (Unsaved.KEEP, "Keep for next time", roles.AcceptRole),
        (Unsaved.DISCARD, "Discard", roles.DestructiveRole),
        (Unsaved.CANCEL, "Cancel", roles.RejectRole),
    ):
        button = box.addButton(text, role)
        assert button is not None
        button.setObjectName(f"unsaved_{answer.name.lower()}")
        answers[button] = answer
        if answer is Unsaved.KEEP:
            box.setDefaultButton(button)
        if answer is Unsaved.CANCEL:
            box.setEscapeButton(button)
    box.exec()
    chosen = answers.get(box.clickedButton(), Unsaved.CANCEL)
    box.deleteLater()
    return chosen


def ask_discard(parent: QWidget, name: str) -> bool:
    """Ask whether to delete an unsaved model."""
    buttons = QMessageBox.StandardButton
    text = f"Delete the model {name}? It is not saved, and this cannot be undone."
    return QMessageBox.question(parent, "Delete model", text) == buttons.Yes


def _folder() -> Path:
    return _last[-1] if _last and _last[-1].is_dir() else preferences().folder


def _remember(path: str) -> Path | None:
    if not path:
        return None
    _last[:] = [Path(path).parent]
    return Path(path)
