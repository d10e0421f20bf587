"""The window for labelling points."""

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
from napari.layers import Image
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QMainWindow,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_lungcls.annotation.autosave import Unfinished
from napari_lungcls.annotation.columns import MODEL
from napari_lungcls.errors import InputError
from napari_lungcls.gui.dialogs import ask_open, ask_save
from napari_lungcls.gui.docks import keep_tidy
from napari_lungcls.gui.image_details import ImageDetails
from napari_lungcls.gui.label import summary
from napari_lungcls.gui.label.balance import BalanceBar
from napari_lungcls.gui.label.class_buttons import ClassButtons
from napari_lungcls.gui.label.controller import labeller_of
from napari_lungcls.gui.label.key_note import KeyNote
from napari_lungcls.gui.label.letters import Letters
from napari_lungcls.gui.label.scheme_editor import SchemeEditor
from napari_lungcls.gui.label.strips import OutsideStrip, RecoveryStrip, WaitingStrip
from napari_lungcls.gui.label.tools import LabelTools
from napari_lungcls.gui.label.typing_focus import is_typing
from napari_lungcls.gui.layers import KEY, pictures
from napari_lungcls.gui.lifetime import at_end, listen, when_destroyed
from napari_lungcls.gui.notices import refuse
from napari_lungcls.gui.parts import (
    Caution,
    ElidingBox,
    Fold,
    LayerBox,
    VerticalScroll,
    heading,
    labelled,
    note,
    panel_layout,
)
from napari_lungcls.gui.session import session

WIDTH = 300
"""Least width of the window in pixels."""

_NEW = "a new layer"
_FILES = "Points (*.lungcls.csv *.csv)"
_READ = "Points (*.lungcls.csv *.csv *.geojson *.xml *.roi *.yml *.yaml)"
_SUFFIXES = (".lungcls.csv", ".csv")


class LabelPoints(QWidget):
    """Label points of an image with classes: a view of the labeller of the viewer.

    When napari's ✕ takes it out of its dock, it lets go of the labeller, and is then destroyed.

    Parameters
    ----------
    napari_viewer
        The viewer.
    """

    def __init__(self, napari_viewer: napari.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.labeller = labeller_of(napari_viewer)
        viewer = self.labeller.viewer
        self._held = False
        self._ends_with_window = False
        self.strip, self.waiting, self.outside = RecoveryStrip(), WaitingStrip(), OutsideStrip()
        self.buttons = ClassButtons()
        self.images = LayerBox(viewer, Image, accept=_is_picture, empty="open an image first")
        self.details = ImageDetails(viewer, self.images)
        self.points, self.editor = ElidingBox(), SchemeEditor(self._set_scheme)
        self.total, self.hint = note(), note()
        self.keys, self.balance, self.few = KeyNote(), BalanceBar(), Caution("few_points")
        self.tools = LabelTools(self.labeller)
        self.above, self.more = QVBoxLayout(), QVBoxLayout()  # for what the guided window adds
        self._make_controls()
        self._lay_out()
        self.editor.filed.connect(session(viewer).scheme_files.__setitem__)
        self.strip.restore.connect(self.restore)
        self.strip.discard.connect(self.discard)
        self.strip.take_back.connect(self._on_take_back)
        self.waiting.chosen.connect(self._on_waiting)
        self.outside.shown.connect(self.labeller.tour.show_outside)
        self.outside.left_out.connect(self._on_leave_out)
        self.buttons.chosen.connect(self._on_class)
        self.tools.wanted.connect(self._try)
        self.images.layer_changed.connect(self._on_image)
        self.points.activated.connect(self._on_points)
        events = viewer.layers.events
        changes = (events.inserted, events.removed, events.reordered, events.renamed)
        listen(self, *changes, slot=self._refresh)
        self.letters = Letters(self.labeller, self)
        at_end(self, self._let_go)
        self._hold()
        keep_tidy(self, viewer, "Label points")

    def event(self, event: QEvent | None) -> bool:
        """Take hold of the labeller with the dock, and let go of it with the dock."""
        kind = None if event is None else event.type()
        if kind == QEvent.Type.ParentChange:
            (self._let_go if self.parentWidget() is None else self._hold)()
        elif kind == QEvent.Type.Show:
            self._end_with_window()
        return super().event(event)

    def _hold(self) -> None:
        labeller = self.labeller
        if self._held:
            return
        self._held = True
        labeller.changed.connect(self._refresh)
        labeller.scheme_changed.connect(self._on_scheme)
        labeller.problem.connect(self._on_problem)
        labeller.is_typing = is_typing
        labeller.show()
        if labeller.image is None:
            labeller.choose_image(self.images.layer)
        self._on_scheme()

    def _let_go(self) -> None:
        labeller = self.labeller
        if not self._held:
            return
        self._held = False
        labeller.changed.disconnect(self._refresh)
        labeller.scheme_changed.disconnect(self._on_scheme)
        labeller.problem.disconnect(self._on_problem)
        self.tools.edge.setChecked(False)
        labeller.hide()

    def _end_with_window(self) -> None:
        """End labelling when napari's window goes, so that another may restore the points."""
        above = self.parentWidget()
        while above is not None and not isinstance(above, QMainWindow):
            above = above.parentWidget()
        if above is not None and not self._ends_with_window:
            self._ends_with_window = True
            when_destroyed(above, self.labeller.close)

    # What a window may be asked to do

    def add_points(self, coordinates: Any, class_names: Any, source: str = MODEL) -> None:
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
        """Put points aside that were not saved."""
        self._try(lambda: self.labeller.recovery.discard(entry))

    # Parts

    def _make_controls(self) -> None:
        self.images.setObjectName("image_choice")
        self.images.setToolTip("The image whose points are labelled")
        self.points.setObjectName("points_choice")
        self.points.setToolTip("The layer that holds the points of this image")
        self.points.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.points.setMinimumContentsLength(6)
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
            "Open a points file (.csv, or of QuPath, Fiji …) as a layer of this image",
            self._on_open,
        )
        self.save = self._button(
            "save_points", "Save…", "Save the points in pixels of this image", self._on_save
        )

    def _button(self, name: str, text: str, tip: str, slot: Callable[[], None]) -> QPushButton:
        button = QPushButton(text)
        button.setObjectName(name)
        button.setToolTip(tip)
        # Not by a click: that leaves the keyboard with the image.
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.clicked.connect(lambda: slot())
        return button

    def _lay_out(self) -> None:
        content, choices = QWidget(), QGridLayout()
        column = panel_layout(content)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(VerticalScroll(content))
        # As wide from the start as all that may be shown: the canvas shall not be resized while
        # layers come and go, which software OpenGL does not always survive.
        self.setMinimumWidth(WIDTH)
        column.addLayout(self.above)
        column.addWidget(self.strip)
        column.addWidget(self.waiting)
        column.addWidget(self.outside)
        choices.addWidget(labelled("Image", self.images), 0, 0)
        choices.addWidget(self.images, 0, 1, 1, 2)
        choices.addWidget(self.details, 1, 1, 1, 2)
        choices.addWidget(labelled("Points", self.points), 2, 0)
        choices.addWidget(self.points, 2, 1)
        choices.addWidget(self.new, 2, 2)
        choices.setColumnStretch(1, 1)
        column.addLayout(choices)
        column.addWidget(heading("Classes"))
        column.addWidget(self.buttons)
        column.addWidget(self.balance)
        column.addWidget(self.few)
        column.addWidget(self.hint)
        column.addWidget(self.total)
        column.addWidget(self.keys)
        for pair in ((self.undo, self.redo), (self.open, self.save)):
            row = QHBoxLayout()
            for button in pair:
                row.addWidget(button)
            column.addLayout(row)
        column.addWidget(heading("Find places"))
        column.addWidget(self.tools)
        column.addWidget(Fold("Edit classes", self.editor))
        column.addLayout(self.more)
        column.addStretch(1)

    # What happens

    def _refresh(self, event: object = None) -> None:
        labeller = self.labeller
        if not self._held:
            return
        if labeller.image is not None and labeller.image is not self.images.layer:
            self.images.choose(labeller.image)
        self.strip.show_entries(labeller.recovery.unfinished, labeller.recovery.discarded)
        self.waiting.show_layers(labeller.waiting(), pictures(labeller.viewer))
        counts = summary.counts(labeller)
        self.buttons.show_state(labeller.current, counts)
        self.balance.show_counts(labeller.scheme, counts)
        self.few.show_lines([summary.imbalance(counts, labeller.scheme.names)])
        self.tools.show_state()
        self._show_layers()
        annotation = labeller.annotation
        self.outside.show_count(0 if annotation is None else len(annotation.outside()))
        for button, verb, keys, done in (
            (self.undo, "Undo", "Ctrl-Z", annotation and annotation.undo_text),
            (self.redo, "Redo", "Ctrl-Shift-Z", annotation and annotation.redo_text),
        ):
            button.setEnabled(bool(done))
            button.setToolTip(f"{verb}: {done} ({keys})" if done else f"Nothing to {verb.lower()}")
        self.new.setEnabled(labeller.image is not None)
        self.open.setEnabled(labeller.image is not None)
        self.buttons.setEnabled(labeller.image is not None)
        self.save.setEnabled(
            labeller.annotation is not None and len(labeller.annotation.points) > 0
        )
        total = summary.total(labeller)
        self.total.setText(total)
        self.total.setVisible(bool(total))
        color = labeller.scheme.colors[labeller.scheme.code(labeller.current)]
        hint = html.escape(labeller.said or summary.hint(labeller))
        self.hint.setText(f'<span style="color:{color}">\N{BLACK SQUARE}</span> {hint}')

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
        self.keys.show_scheme(self.labeller.scheme)
        self.tools.show_scheme()
        self._refresh()

    def _set_scheme(self, scheme: Any, renamed: dict[str, str]) -> None:
        self.labeller.set_scheme(scheme, renamed)

    def _on_class(self, name: str) -> None:
        self._try(lambda: self.labeller.press(name))

    def _on_problem(self, line: str) -> None:
        refuse(line)
        self._refresh()

    def _on_waiting(self, layer: Any, image: Any) -> None:
        self._try(lambda: self.labeller.attach(layer, image))

    def _on_leave_out(self) -> None:
        if self.labeller.annotation is not None:
            self.labeller.annotation.remove(self.labeller.annotation.outside())

    def _on_take_back(self, aside: Path) -> None:
        self._try(lambda: self.labeller.recovery.take_back(aside))

    def _on_image(self, image: Any) -> None:
        if self._held:
            self._try(lambda: self.labeller.choose_image(image))

    def _on_points(self, index: int) -> None:
        self._try(lambda: self.labeller.choose_layer(self.points.itemData(index)))

    def _on_new(self) -> None:
        self._try(self.labeller.new_points)

    def _on_open(self) -> None:
        if path := ask_open(self, "Open points", _READ):
            self.open_points(path)

    def _on_save(self) -> None:
        name = summary.proposed_file(self.labeller)
        if path := ask_save(self, "Save points", name, _FILES, _SUFFIXES):
            self.save_points(path)

    def _try(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except InputError as error:
            refuse(error)
        self._refresh()


def _is_picture(layer: Image) -> bool:
    return KEY not in layer.metadata
