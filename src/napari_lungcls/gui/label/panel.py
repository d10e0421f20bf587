"""The window for labelling points."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
from napari.layers import Image
from napari.utils.notifications import show_error
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from napari_lungcls.annotation.recovery import Unfinished
from napari_lungcls.errors import InputError
from napari_lungcls.gui.label import summary
from napari_lungcls.gui.label.class_buttons import ClassButtons
from napari_lungcls.gui.label.controller import Labeller
from napari_lungcls.gui.label.recovery_strip import RecoveryStrip
from napari_lungcls.gui.label.scheme_editor import SchemeEditor
from napari_lungcls.gui.parts import Fold, LayerBox, heading, note, panel_layout

_NEW = "a new layer"
_FILES = "Points (*.csv)"


class LabelPoints(QWidget):
    """Label points of an image with classes.

    Parameters
    ----------
    napari_viewer
        The viewer.
    """

    def __init__(self, napari_viewer: napari.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.labeller = Labeller(napari_viewer)
        viewer = self.labeller.viewer
        self.strip, self.buttons = RecoveryStrip(), ClassButtons()
        self.images = LayerBox(viewer, Image, empty="open an image first")
        self.points, self.editor = QComboBox(), SchemeEditor(self._set_scheme)
        self.total, self.hint = note(), note()
        self._make_controls()
        self._lay_out()
        self.strip.restore.connect(self.restore)
        self.strip.discard.connect(self.discard)
        self.buttons.chosen.connect(self._on_class)
        self.images.layer_changed.connect(self._on_image)
        self.points.activated.connect(self._on_points)
        self.labeller.changed.connect(self._refresh)
        self.labeller.scheme_changed.connect(self._on_scheme)
        self.labeller.problem.connect(show_error)
        events = viewer.layers.events
        self._sources = (events.inserted, events.removed, events.reordered)
        for source in self._sources:
            source.connect(self._refresh)
        self.destroyed.connect(_ending(self.labeller, self._sources, self._refresh))
        self.labeller.choose_image(self.images.layer)
        self._on_scheme()
        self._refresh()

    # What a window may be asked to do

    def add_points(self, coordinates: Any, class_names: Any, source: str = "model") -> None:
        """Append points, in data pixels of the image; see `Labeller.add_points`."""
        self.labeller.add_points(coordinates, class_names, source)

    def open_points(self, path: Path) -> None:
        """Open a points file as a layer of the image."""
        self._try(lambda: self.labeller.open(path))

    def save_points(self, path: Path) -> None:
        """Save the points to a file."""
        self._try(lambda: self.labeller.save(path))

    def restore(self, entry: Unfinished) -> None:
        """Bring points back that were not saved."""
        self._try(lambda: self.labeller.restore(entry))

    def discard(self, entry: Unfinished) -> None:
        """Delete points that were not saved."""
        self._try(lambda: self.labeller.discard(entry))

    # Parts

    def _make_controls(self) -> None:
        self.images.setObjectName("image_choice")
        self.images.setToolTip("The image whose points are labelled")
        self.points.setObjectName("points_choice")
        self.points.setToolTip("The layer that holds the points of this image")
        self.points.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.points.setMinimumContentsLength(12)
        self.points.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.total.setObjectName("total")
        self.hint.setObjectName("hint")
        self.new = self._button(
            "new_points", "New points", "Make an empty points layer", self._on_new
        )
        self.undo = self._button("undo", "Undo", "", self.labeller.undo)
        self.redo = self._button("redo", "Redo", "", self.labeller.redo)
        self.open = self._button(
            "open_points",
            "Open…",
            "Open a points file (.csv) as a layer of this image",
            self._on_open,
        )
        self.save = self._button(
            "save_points", "Save…", "Save the points in pixels of this image", self._on_save
        )

    def _button(self, name: str, text: str, tip: str, slot: Callable[[], None]) -> QPushButton:
        button = QPushButton(text)
        button.setObjectName(name)
        button.setToolTip(tip)
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.clicked.connect(lambda: slot())
        return button

    def _lay_out(self) -> None:
        column, choices = panel_layout(self), QGridLayout()
        column.addWidget(self.strip)
        choices.addWidget(QLabel("Image"), 0, 0)
        choices.addWidget(self.images, 0, 1, 1, 2)
        choices.addWidget(QLabel("Points"), 1, 0)
        choices.addWidget(self.points, 1, 1)
        choices.addWidget(self.new, 1, 2)
        choices.setColumnStretch(1, 1)
        column.addLayout(choices)
        column.addWidget(heading("Classes"))
        column.addWidget(self.buttons)
        column.addWidget(self.total)
        for pair in ((self.undo, self.redo), (self.open, self.save)):
            row = QHBoxLayout()
            for button in pair:
                row.addWidget(button)
            column.addLayout(row)
        column.addWidget(self.hint)
        column.addWidget(Fold("Edit classes", self.editor))
        column.addStretch(1)

    # What happens

    def _refresh(self, event: object = None) -> None:
        labeller = self.labeller
        if labeller.image is not None and labeller.image is not self.images.layer:
            self.images.choose(labeller.image)
        self.strip.show_entries(labeller.unfinished)
        counts = summary.counts(labeller)
        self.buttons.show_state(labeller.current, counts)
        self._show_layers()
        history = None if labeller.sheet is None else labeller.sheet.history
        for button, verb, edit in (
            (self.undo, "Undo", history and history.undoable),
            (self.redo, "Redo", history and history.redoable),
        ):
            button.setEnabled(bool(edit))
            keys = "Ctrl-Z" if button is self.undo else "Ctrl-Shift-Z"
            button.setToolTip(
                f"{verb}: {edit.words} ({keys})" if edit else f"Nothing to {verb.lower()}"
            )
        self.new.setEnabled(labeller.image is not None)
        self.open.setEnabled(labeller.image is not None)
        self.buttons.setEnabled(labeller.image is not None)
        self.save.setEnabled(labeller.sheet is not None and len(labeller.sheet.points) > 0)
        for label, words in (
            (self.total, summary.total(labeller)),
            (self.hint, summary.hint(labeller)),
        ):
            label.setText(words)
            label.setVisible(bool(words))

    def _show_layers(self) -> None:
        layers = self.labeller.layers()
        shown = self.points
        shown.blockSignals(True)
        shown.clear()
        for layer in layers:
            shown.addItem(layer.name, layer)
        shown.addItem(_NEW, None)
        chosen = self.labeller.layer
        shown.setCurrentIndex(layers.index(chosen) if chosen in layers else len(layers))
        shown.blockSignals(False)

    def _on_scheme(self) -> None:
        self.buttons.show_scheme(self.labeller.scheme)
        self.editor.show_scheme(self.labeller.scheme)
        self._refresh()

    def _set_scheme(self, scheme: Any, renamed: dict[str, str]) -> None:
        self.labeller.set_scheme(scheme, renamed)

    def _on_class(self, name: str) -> None:
        self._try(lambda: self.labeller.press(name))

    def _on_image(self, image: Any) -> None:
        self._try(lambda: self.labeller.choose_image(image))

    def _on_points(self, index: int) -> None:
        self._try(lambda: self.labeller.choose_layer(self.points.itemData(index)))

    def _on_new(self) -> None:
        self._try(self.labeller.new_points)

    def _on_open(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open points", "", _FILES)
        if path:
            self.open_points(Path(path))

    def _on_save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, "Save points", summary.proposed_file(self.labeller), _FILES
        )
        if path:
            chosen = Path(path)
            self.save_points(chosen if chosen.suffix else chosen.with_suffix(".lungcls.csv"))

    def _try(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except InputError as error:
            show_error(str(error))
        self._refresh()


def _ending(labeller: Labeller, sources: Any, slot: Callable[..., None]) -> Callable[..., None]:
    """Give what lets go of the viewer when the window is destroyed."""

    def end(*_: object) -> None:
        labeller.close()
        for source in sources:
            source.disconnect(slot)

    return end
