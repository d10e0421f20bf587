"""Points that earlier windows did not save: which there are, and discarding them. No Qt."""

from pathlib import Path

from psygnal import Signal

from napari_lungcls.annotation import autosave
from napari_lungcls.annotation.autosave import Unfinished


class Recovery:
    """The unfinished points in the autosave folder.

    Parameters
    ----------
    folder
        Folder of autosaved points; the user's by default.

    Attributes
    ----------
    unfinished
        Points that wait for someone to restore or discard them, oldest first.
    discarded
        Those that were put aside, by where they are now.
    """

    changed = Signal()

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self.unfinished: list[Unfinished] = []
        self.discarded: dict[Path, Unfinished] = {}
        autosave.delete_discarded(folder)
        self.look()

    def look(self) -> None:
        """Look again which there are."""
        self.unfinished = [each for each in autosave.unfinished(self._folder) if len(each.points)]
        self.changed.emit()

    def discard(self, entry: Unfinished) -> None:
        """Put unfinished points aside, from where they can be taken back.

        Raises
        ------
        InputError
            When another window was faster.
        """
        try:
            self.discarded[autosave.discard(entry)] = entry
        finally:
            self.look()

    def take_back(self, aside: Path) -> None:
        """Offer points again that were discarded.

        Raises
        ------
        InputError
            When they are gone.
        """
        entry = self.discarded.pop(aside)
        try:
            autosave.take_back(aside, entry.when)
        finally:
            self.look()
