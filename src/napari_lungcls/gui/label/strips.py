"""The strips above the buttons: points that were never saved, and points that wait for an image."""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from napari.layers import Image, Points
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QFrame, QHBoxLayout, QVBoxLayout, QWidget

from napari_lungcls.annotation.autosave import KEPT_DAYS, Unfinished
from napari_lungcls.gui.layers import image_id_of
from napari_lungcls.gui.parts import SPACING, button, narrow, note
from napari_lungcls.utils.humanize import count

CHOOSE = "choose its image…"
NONE = "open its image first"


NOT_SAVED = " not saved."


def unsaved_words(entry: Unfinished, now: datetime.datetime) -> str:
    """Say what was not saved, as `37 points on "lung.tif" from 14:02 were not saved`."""
    when = datetime.datetime.fromtimestamp(entry.when)
    day = "" if when.date() == now.date() else f"{when.day} {when:%B %Y}, "
    return (
        f"{count(len(entry.points), 'point')} on “{entry.header.image}” from "
        f"{day}{when:%H:%M} {'was' if len(entry.points) == 1 else 'were'}{NOT_SAVED}"
    )


class _Strip(QWidget):
    """One frame below the other, hidden while there are none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._shown: list[Any] = []
        self.hide()

    def _is_new(self, shown: list[Any]) -> bool:
        """Remember what is to be shown; where it is not what is shown, remove that."""
        if shown == self._shown:
            return False
        self._shown = shown
        while (item := self._column.takeAt(0)) is not None:
            frame = item.widget()
            frame.hide()
            frame.setParent(None)
            frame.deleteLater()
        return True

    def _show(self, frames: Iterable[QFrame]) -> None:
        for frame in frames:
            self._column.addWidget(frame)
        self.setVisible(bool(self._shown))


class RecoveryStrip(_Strip):
    """One frame for all unfinished points, with Restore and Discard, and one for discarded ones.

    Of several one is chosen in a list, the latest at first.
    """

    restore = Signal(object)
    discard = Signal(object)
    take_back = Signal(object)

    def show_entries(
        self, entries: Sequence[Unfinished], discarded: Mapping[Path, Unfinished]
    ) -> None:
        """Show these points in place of those before."""
        if self._is_new([*entries, *discarded]):
            frames = [self._frame(entries[::-1])] if entries else []
            self._show([*frames, self._discarded_frame(discarded)] if discarded else frames)

    def _discarded_frame(self, discarded: Mapping[Path, Unfinished]) -> QFrame:
        aside, entry = list(discarded.items())[-1]
        tip = f"Offer these points again; they are kept for {KEPT_DAYS} days in {aside}"
        frame, undo = QFrame(), button("Undo", "take_back", tip)
        undo.clicked.connect(lambda: self.take_back.emit(aside))
        before = f" ({len(discarded) - 1} more before)" if len(discarded) > 1 else ""
        said = f"{count(len(entry.points), 'point')} on “{entry.header.image}” discarded{before}."
        row = QHBoxLayout(frame)
        row.setContentsMargins(0, 0, 0, SPACING)
        row.addWidget(note(said), 1)
        row.addWidget(undo)
        return frame

    def _frame(self, latest: Sequence[Unfinished]) -> QFrame:
        now, choice = datetime.datetime.now(), QComboBox()
        words = [unsaved_words(entry, now) for entry in latest]
        frame, said = QFrame(), note(words[0])
        tip = "Bring these points back, on the image that is named and no other"
        restore = button("Restore", "restore", tip)
        discard = button("Discard", "discard", "Put these points aside; Undo offers them again")
        everything = button("Discard all", "discard_all", "Put all of them aside")
        narrow(choice, 12)
        choice.setObjectName("unsaved_choice")
        choice.setAccessibleName("Points that were not saved")
        choice.addItems([line.removesuffix(NOT_SAVED) for line in words])
        for index, entry in enumerate(latest):
            choice.setItemData(index, f"kept in {entry.path}", Qt.ItemDataRole.ToolTipRole)
        said.setToolTip(f"kept in {latest[0].path}")

        def chosen() -> Unfinished:
            return latest[choice.currentIndex()]

        def discard_all() -> None:
            for entry in latest:
                self.discard.emit(entry)

        restore.clicked.connect(lambda: self.restore.emit(chosen()))
        discard.clicked.connect(lambda: self.discard.emit(chosen()))
        everything.clicked.connect(discard_all)
        column, row = QVBoxLayout(frame), QHBoxLayout()
        column.setContentsMargins(0, 0, 0, SPACING)
        if len(latest) == 1:
            column.addWidget(said)
        else:
            column.addWidget(note(f"{len(latest)} sets of points were not saved:"))
            column.addWidget(choice)
        for made in (restore, discard, *[everything] * (len(latest) > 1)):
            row.addWidget(made)
        column.addLayout(row)
        return frame


class OutsideStrip(_Strip):
    """Says that points lie outside the image, and shows them or leaves them out."""

    shown = Signal()
    left_out = Signal()

    def show_count(self, number: int) -> None:
        """Say how many; nothing for none."""
        if self._is_new([number] * bool(number)):
            self._show([self._frame(number)] if number else [])

    def _frame(self, number: int) -> QFrame:
        frame = QFrame()
        verb = "lies" if number == 1 else "lie"
        show = button("Show", "outside_show", "Select them and move the view to the first")
        leave = button("Leave out", "outside_leave", "Delete them; Ctrl-Z brings them back")
        show.clicked.connect(self.shown)
        leave.clicked.connect(self.left_out)
        row = QHBoxLayout(frame)
        row.setContentsMargins(0, 0, 0, SPACING)
        row.addWidget(note(f"{count(number, 'point')} {verb} outside the image."), 1)
        row.addWidget(show)
        row.addWidget(leave)
        return frame


def waiting_words(layer: Points) -> str:
    """Say what waits, as `63 points of “p” wait for their image “lung.tif”.`."""
    count, known = len(layer.data), image_id_of(layer)
    verb = "1 point of" if count == 1 else f"{count:,} points of"
    whose = "its image" if count == 1 else "their image"
    name = f" “{known.name}”" if known is not None and known.name else ""
    return f"{verb} “{layer.name}” {'waits' if count == 1 else 'wait'} for {whose}{name}."


class WaitingStrip(_Strip):
    """One frame for every layer that waits, with a choice of the open images."""

    chosen = Signal(object, object)
    """A layer, and the image that it belongs to."""

    def show_layers(self, layers: Sequence[Points], images: Sequence[Image]) -> None:
        """Show these layers in place of those before."""
        shown = [
            (waiting_words(layer), [(image, image.name) for image in _fitting(layer, images)])
            for layer in layers
        ]
        if self._is_new(shown):
            self._show(self._frame(layer, _fitting(layer, images)) for layer in layers)

    def _frame(self, layer: Points, images: list[Image]) -> QFrame:
        frame, choice = QFrame(), QComboBox()
        choice.setObjectName("waiting_choice")
        narrow(choice, 12)
        choice.setToolTip("The image that these points were set on; they count its pixels")
        choice.addItem(CHOOSE if images else NONE)
        choice.addItems([image.name for image in images])
        choice.setEnabled(bool(images))

        def choose(index: int) -> None:
            if index > 0:
                self.chosen.emit(layer, images[index - 1])

        choice.activated.connect(choose)
        column = QVBoxLayout(frame)
        column.setContentsMargins(0, 0, 0, SPACING)
        column.addWidget(note(waiting_words(layer)))
        column.addWidget(choice)
        return frame


def _fitting(layer: Points, images: Sequence[Image]) -> list[Image]:
    """List the images with as many axes, the one of the remembered name first."""
    known = image_id_of(layer)
    name = known.name if known is not None else ""
    found = [image for image in images if image.ndim == layer.ndim]
    return sorted(found, key=lambda image: image.name != name)
