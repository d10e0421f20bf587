"""The strip that offers points which were never saved."""

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_lungcls.annotation.autosave import KEPT_DAYS, Unfinished
from napari_lungcls.gui.parts import SPACING, note


def words(entry: Unfinished, now: datetime.datetime) -> str:
    """Say what was not saved, as `37 points on "lung.tif" from 14:02 were not saved`."""
    when = datetime.datetime.fromtimestamp(entry.when)
    day = "" if when.date() == now.date() else f"{when.day} {when:%B %Y}, "
    return (
        f"{counted(entry)} on “{entry.header.image}” from "
        f"{day}{when:%H:%M} {'was' if len(entry.points) == 1 else 'were'} not saved."
    )


def counted(entry: Unfinished) -> str:
    """Say how many points there are."""
    count = len(entry.points)
    return f"{count} point{'' if count == 1 else 's'}"


class RecoveryStrip(QWidget):
    """One frame for all unfinished points, with Restore and Discard, and for discarded ones."""

    restore = Signal(object)
    discard = Signal(object)
    take_back = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._shown: list[object] = []
        self.hide()

    def show_entries(
        self, entries: Sequence[Unfinished], discarded: Mapping[Path, Unfinished]
    ) -> None:
        """Show these points in place of those before."""
        shown = [*entries, *discarded]
        if shown == self._shown:
            return
        self._shown = shown
        while (item := self._column.takeAt(0)) is not None:
            frame = item.widget()
            frame.hide()
            frame.setParent(None)
            frame.deleteLater()
        now = datetime.datetime.now()
        for entry in entries:
            self._column.addWidget(self._frame(entry, now))
        for aside, entry in discarded.items():
            self._column.addWidget(self._discarded_frame(aside, entry))
        self.setVisible(bool(shown))

    def _discarded_frame(self, aside: Path, entry: Unfinished) -> QFrame:
        frame, undo = QFrame(), QPushButton("Undo")
        undo.setObjectName("take_back")
        undo.setToolTip(f"Offer these points again; they are kept for {KEPT_DAYS} days in {aside}")
        undo.clicked.connect(lambda: self.take_back.emit(aside))
        row = QHBoxLayout(frame)
        row.setContentsMargins(0, 0, 0, SPACING)
        row.addWidget(note(f"{counted(entry)} on “{entry.header.image}” discarded."), 1)
        row.addWidget(undo)
        return frame

    def _frame(self, entry: Unfinished, now: datetime.datetime) -> QFrame:
        frame, restore, discard = QFrame(), QPushButton("Restore"), QPushButton("Discard")
        said = note(words(entry, now))
        said.setToolTip(f"kept in {entry.path}")
        restore.setObjectName("restore")
        restore.setToolTip(f"Bring these points back, on “{entry.header.image}” and no other image")
        discard.setObjectName("discard")
        discard.setToolTip("Put these points aside; Undo offers them again")
        restore.clicked.connect(lambda: self.restore.emit(entry))
        discard.clicked.connect(lambda: self.discard.emit(entry))
        column, row = QVBoxLayout(frame), QHBoxLayout()
        column.setContentsMargins(0, 0, 0, SPACING)
        column.addWidget(said)
        row.addWidget(restore)
        row.addWidget(discard)
        column.addLayout(row)
        return frame
