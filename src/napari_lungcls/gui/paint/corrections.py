"""Correcting a map: points where it is wrong, by click or with the brush, and training on."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import napari
from napari.layers import Labels
from qtpy.QtWidgets import QCheckBox, QWidget

from napari_lungcls.annotation.columns import CORRECTION
from napari_lungcls.errors import InputError
from napari_lungcls.gui.clicks import Clicks
from napari_lungcls.gui.image_id import image_shape
from napari_lungcls.gui.label.controller import Labeller, labeller_of
from napari_lungcls.gui.layers import from_world, image_of
from napari_lungcls.gui.lifetime import at_end, listen
from napari_lungcls.gui.maps import map_of
from napari_lungcls.gui.paint.edits import MapEdits
from napari_lungcls.gui.paint.train_on import paint_view, train_on
from napari_lungcls.gui.parts import beside, button, column, note, redden, show_text
from napari_lungcls.gui.point_prediction.pointer import World
from napari_lungcls.gui.session import NamedModel, session
from napari_lungcls.gui.titles import in_window
from napari_lungcls.images.geometry import is_inside
from napari_lungcls.utils.humanize import count

if TYPE_CHECKING:
    from napari_lungcls.gui.train.run import TrainingRun

BRUSH = 12
"""Initial width of the brush in cells."""


class CorrectionBar(QWidget):
    """Makes points of what is wrong in the map that a window shows.

    Parameters
    ----------
    viewer
        The viewer.
    """

    def __init__(self, viewer: "napari.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer: Any = getattr(viewer, "__wrapped__", viewer)
        self._known_labeller: Labeller | None = None
        self._layer: Labels | None = None
        self._edits: MapEdits | None = None
        self._showing_keys = False
        self._clicks = Clicks(self._viewer, self._on_click)
        self.click_button = button(
            "Correct by click",
            "correct_click",
            "Press the key of the right class, then click where the map is wrong: each click adds\n"
            "a labelled point. Dragging still moves the view.",
        )
        self.brush_button = button(
            "Correct with brush",
            "correct_brush",
            "Press the key of the right class, then paint over what is wrong",
        )
        for each in (self.click_button, self.brush_button):
            each.setCheckable(True)
        self.points_button = button(
            "Make points",
            "correct_points",
            "Label points in the middle of what was painted over",
        )
        self.restore_box = QCheckBox("and restore the map")
        self.restore_box.setObjectName("correct_restore")
        self.restore_box.setToolTip("Give the map back what the model painted")
        self.train_button = button(
            "Go on training",
            "correct_train",
            "Train the current model further on all labelled points, then paint the part in view\n"
            "with it; the Train window shows how it goes",
        )
        self._training: TrainingRun | None = None
        self._before: NamedModel | None = None
        self.words = note(name="correct_words")
        layout = column(self)
        self._strokes = beside((self.points_button, 1), self.restore_box)
        for widget in (
            beside((self.click_button, 1), (self.brush_button, 1)),
            self._strokes,
            self.train_button,
            self.words,
        ):
            layout.addWidget(widget)
        self.click_button.toggled.connect(self._on_click_mode)
        self.brush_button.toggled.connect(self._on_brush_mode)
        self.points_button.clicked.connect(self._on_points)
        self.train_button.clicked.connect(self._on_train)
        at_end(self, self._close)
        self._say("")
        self.set_map(None)

    def set_map(self, layer: Labels | None) -> None:
        """Correct another map; None if there is none."""
        layer = getattr(layer, "__wrapped__", layer)
        if layer is not self._layer:
            self._stop()
            if self._edits is not None:
                self._edits.close()
            self._layer = layer
            self._edits = None if layer is None else MapEdits(layer, self._refresh)
        self._refresh()

    @property
    def _labeller(self) -> Labeller:
        """The viewer's labeller; looking at a map alone does not make one."""
        if self._known_labeller is None:
            self._known_labeller = labeller_of(self._viewer)
            listen(self, self._known_labeller.changed, slot=self._on_labels)
        return self._known_labeller

    def _on_click(self, position: World) -> None:
        def add() -> str:
            image = self._prepare()
            where = from_world(image, position)
            if not is_inside(where, image_shape(image)).all():
                raise InputError(f"this point is outside the image {image.name!r}; click on it")
            where[:-2] = where[:-2].round()
            self._labeller.add_points([where], [self._labeller.current], CORRECTION)
            return f"Corrected to {self._labeller.current}. Ctrl-Z takes it back."

        self._do(add)

    def _on_points(self) -> None:
        def add() -> str:
            image, edits = self._prepare(), self._edits
            assert edits is not None
            where, classes = edits.points(image)
            self._labeller.add_points(where, classes, CORRECTION)
            if self.restore_box.isChecked():
                edits.restore()
            else:
                edits.forget()
            return f"{count(len(classes), 'point')} made. Ctrl-Z on the points takes them back."

        self._do(add)

    def _on_train(self) -> None:
        def train() -> str:
            self._prepare()
            self._before = session(self._viewer).current
            run = train_on(self._viewer)
            if self._training is None:
                self._training = run
                listen(self, run.changed, slot=self._on_training)
            return "Training goes on; the part in view is painted again when it has ended."

        self._do(train)

    def _on_training(self) -> None:
        """Paint again with the new model once training has ended."""
        run, painted = self._training, map_of(self._layer)
        named = session(self._viewer).current
        if run is None or run.job is not None or self._before is None or run.ended is None:
            return
        before, self._before = self._before, None
        if run.ended.refused or named is None or named is before or painted is None:
            self._say(run.ended.words, run.ended.refused)
            return

        def paint() -> str:
            paint_view(self._viewer, named, self._prepare(), painted.stride)
            return f"The part in view is painted with {named.name}."

        self._do(paint)

    def _prepare(self) -> Any:
        """Label the image of the map.

        Raises
        ------
        InputError
            When it is not open.
        """
        image = None if self._layer is None else image_of(self._viewer, self._layer)
        if image is None:
            raise InputError("the image of this map is not open; open it to correct the map")
        self._labeller.choose_image(image)
        return image

    def _on_click_mode(self, on: bool) -> None:
        if on:
            self.brush_button.setChecked(False)
            self._do(self._begin)
        self._keys(on or self.brush_button.isChecked())
        self._clicks.switch(on and self.click_button.isChecked())
        if not on:
            self._say("")

    def _on_brush_mode(self, on: bool) -> None:
        if on:
            self.click_button.setChecked(False)
            self._do(self._begin)
        self._keys(on or self.click_button.isChecked())
        layer = self._layer
        if layer is not None and layer in self._viewer.layers:
            if on:
                layer.brush_size = BRUSH
                self._hold_brush()
            else:
                layer.mode = "pan_zoom"
        if not on:
            self._say("")

    def _begin(self) -> str:
        self._prepare()
        return self._hint()

    def _hint(self) -> str:
        keys = [f"{s.key} {s.name}" for s in self._labeller.scheme.classes if s.key is not None]
        does = "Click" if self.click_button.isChecked() else "Paint"
        return f"{does} what is {self._labeller.current}. Keys: {', '.join(keys)}."

    def _hold_brush(self) -> None:
        """Keep the brush in hand, and let it paint the class that the keys have chosen."""
        layer, painted = self._layer, map_of(self._layer)
        if layer is None or painted is None or layer not in self._viewer.layers:
            return
        name = self._labeller.current
        if name not in painted.scheme.names:
            self._say(f"the map has no class {name}; choose another, or correct by click", True)
            return
        layer.selected_label = painted.scheme.code(name) + 1
        if self._viewer.layers.selection.active is not layer:
            self._viewer.layers.selection.active = layer
        if layer.mode != "paint":
            layer.mode = "paint"

    def _on_labels(self) -> None:
        if self.brush_button.isChecked():
            self._hold_brush()
        if self.brush_button.isChecked() or self.click_button.isChecked():
            self._say(self._hint())

    def _keys(self, on: bool) -> None:
        if on != self._showing_keys:
            self._showing_keys = on
            (self._labeller.show if on else self._labeller.hide)()

    def _refresh(self) -> None:
        there = self._layer is not None
        for each in (self.click_button, self.brush_button, self.train_button):
            each.setEnabled(there)
        changed = 0 if self._edits is None else len(self._edits.changes()[0])
        self._strokes.setVisible(bool(changed))

    def _do(self, action: Callable[[], str]) -> None:
        try:
            said = action()
        except InputError as error:
            self._say(in_window(error), True)
        else:
            self._say(said)
        self._refresh()

    def _say(self, line: str, refused: bool = False) -> None:
        redden(self.words, refused)
        show_text(self.words, f"{line[:1].upper()}{line[1:]}")

    def _stop(self) -> None:
        self.click_button.setChecked(False)
        self.brush_button.setChecked(False)

    def _close(self) -> None:
        self._clicks.switch(False)
        self._keys(False)
        if self._edits is not None:
            self._edits.close()
