"""The strip that offers points which were never saved."""

import datetime
from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_lungcls.annotation.recovery import Unfinished
from napari_lungcls.gui.parts import SPACING, note


def words(entry: Unfinished, now: datetime.datetime) -> str:
    """Say what was not saved, as `37 points on "lung.tif" from 14:02 were not saved`."""
    when = datetime.datetime.fromtimestamp(entry.when)
    day = "" if when.date() == now.date() else f"{when.day} {when:%B %Y}, "
    count = len(entry.points)
    said = (
        f"{count} point{'' if count == 1 else 's'} on “{entry.header.image}” from "
        f"{day}{when:%H:%M} {'was' if count == 1 else 'were'} not saved."
    )
    return f"{said} The journal is damaged after them." if entry.problem else said


class RecoveryStrip(QWidget):
    """One frame for every unfinished journal, with Restore and Discard."""

    restore = Signal(object)
    discard = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._shown: list[Unfinished] = []
        self.hide()

    def show_entries(self, entries: Sequence[Unfinished]) -> None:
        """Show these journals in place of those before."""
        if list(entries) == self._shown:
            return
        self._shown = list(entries)
        while (item := self._column.takeAt(0)) is not None:
            frame = item.widget()
            frame.hide()
            frame.setParent(None)
            frame.deleteLater()
        now = datetime.datetime.now()
        for entry in entries:
            self._column.addWidget(self._frame(entry, now))
        self.setVisible(bool(entries))

    def _frame(self, entry: Unfinished, now: datetime.datetime) -> QFrame:
        frame, restore, discard = QFrame(), QPushButton("Restore"), QPushButton("Discard")
        said = note(words(entry, now))
        said.setToolTip(entry.problem or f"kept in {entry.path}")
        restore.setObjectName("restore")
        restore.setToolTip("Bring these points back as a layer on their image")
        discard.setObjectName("discard")
        discard.setToolTip("Delete these points for good")
        restore.clicked.connect(lambda: self.restore.emit(entry))
        discard.clicked.connect(lambda: self.discard.emit(entry))
        column, row = QVBoxLayout(frame), QHBoxLayout()
        column.setContentsMargins(0, 0, 0, SPACING)
        column.addWidget(said)
        row.addWidget(restore)
        row.addWidget(discard)
        column.addLayout(row)
        return frame
