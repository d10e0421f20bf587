"""The strips above the buttons: points that were never saved, and points that wait for an image."""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from napari.layers import Image, Points
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFrame, QHBoxLayout, QVBoxLayout, QWidget

from napari_lungcls.annotation.autosave import KEPT_DAYS, Unfinished
from napari_lungcls.gui.layers import image_id_of
from napari_lungcls.gui.parts import SPACING, button, narrow, note
from napari_lungcls.utils.humanize import count

CHOOSE = "choose its image…"
NONE = "open its image first"


def unsaved_words(entry: Unfinished, now: datetime.datetime) -> str:
    """Say what was not saved, as `37 points on "lung.tif" from 14:02 were not saved`."""
    when = datetime.datetime.fromtimestamp(entry.when)
    day = "" if when.date() == now.date() else f"{when.day} {when:%B %Y}, "
    return (
        f"{count(len(entry.points), 'point')} on “{entry.header.image}” from "
        f"{day}{when:%H:%M} {'was' if len(entry.points) == 1 else 'were'} not saved."
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
    """One frame for all unfinished points, with Restore and Discard, and for discarded ones."""

    restore = Signal(object)
    discard = Signal(object)
    take_back = Signal(object)

    def show_entries(
        self, entries: Sequence[Unfinished], discarded: Mapping[Path, Unfinished]
    ) -> None:
        """Show these points in place of those before."""
        if self._is_new([*entries, *discarded]):
            now = datetime.datetime.now()
            self._show(self._frame(entry, now) for entry in entries)
            self._show(self._discarded_frame(*item) for item in discarded.items())

    def _discarded_frame(self, aside: Path, entry: Unfinished) -> QFrame:
        tip = f"Offer these points again; they are kept for {KEPT_DAYS} days in {aside}"
        frame, undo = QFrame(), button("Undo", "take_back", tip)
        undo.clicked.connect(lambda: self.take_back.emit(aside))
        row = QHBoxLayout(frame)
        row.setContentsMargins(0, 0, 0, SPACING)
        row.addWidget(
            note(f"{count(len(entry.points), 'point')} on “{entry.header.image}” discarded."), 1
        )
        row.addWidget(undo)
        return frame

    def _frame(self, entry: Unfinished, now: datetime.datetime) -> QFrame:
        tip = f"Bring these points back, on “{entry.header.image}” and no other image"
        frame, restore = QFrame(), button("Restore", "restore", tip)
        discard = button("Discard", "discard", "Put these points aside; Undo offers them again")
        said = note(unsaved_words(entry, now))
        said.setToolTip(f"kept in {entry.path}")
        restore.clicked.connect(lambda: self.restore.emit(entry))
        discard.clicked.connect(lambda: self.discard.emit(entry))
        column, row = QVBoxLayout(frame), QHBoxLayout()
        column.setContentsMargins(0, 0, 0, SPACING)
        column.addWidget(said)
        row.addWidget(restore)
        row.addWidget(discard)
        column.addLayout(row)
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
