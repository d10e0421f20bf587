"""Keeping unsaved points safe: begins, writes and ends the journal of one layer. No napari."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_lungcls.annotation.edits import Edit
from napari_lungcls.annotation.journal import Journal
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.annotation.snapshots import Snapshot
from napari_lungcls.errors import InputError


class Keeper:
    """The journal of one layer, which exists while something is unsaved.

    Parameters
    ----------
    describe
        Gives the keyword arguments of `Journal.begin` that name image, layer and scheme.
    problem
        Told in one line when the journal cannot be written; labelling goes on, and the next
        edit tries again with all points.
    folder
        Where journals are; the user's folder by default.
    """

    def __init__(
        self,
        describe: Callable[[], dict[str, Any]],
        problem: Callable[[str], None],
        folder: Path | None = None,
    ) -> None:
        self._describe, self._problem, self._folder = describe, problem, folder
        self._journal: Journal | None = None
        self._broken: list[Journal] = []
        self.unsaved = False

    def begin(self, points: Snapshot) -> None:
        """Begin a journal with what is there, as unsaved points; it replaces an older one.

        Raises
        ------
        InputError
            When it cannot be written.
        """
        self.unsaved = True
        if self._journal is not None:
            self._broken.append(self._journal)
        self._journal = Journal.begin(points, where=self._folder, **self._describe())
        self._forget_broken()

    def edit(self, edit: Edit, before: Snapshot, scheme: ClassScheme | None = None) -> None:
        """Write an edit of the points that were there before it, and new classes if any.

        Classes alone are nothing to save: no file of points holds them.
        """
        if self._journal is None and not edit:
            return
        self.unsaved = True
        try:
            if self._journal is None:
                self.begin(before)
            assert self._journal is not None
            self._journal.edit(edit, scheme)
        except InputError as error:
            # What was written is better than nothing until all is written anew.
            if self._journal is not None:
                self._broken.append(self._journal)
            self._journal = None
            self._problem(str(error))

    def saved(self) -> None:
        """Remove the journal: a file holds all that is in it."""
        self.unsaved = False
        self.close(keep=False)
        self._forget_broken()

    def close(self, keep: bool) -> None:
        """Leave the journal to be offered again, or remove it."""
        if self._journal is not None:
            (self._journal.release if keep else self._journal.finish)()
            self._journal = None

    def _forget_broken(self) -> None:
        for journal in self._broken:
            journal.finish()
        self._broken = []
