"""The panel for clicks and rectangles: one button, a spacing, and what can be done with answers."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakSet

import napari
from napari.layers import Image
from napari.layers import Points as PointsLayer
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_lungcls.errors import InputError
from napari_lungcls.gui.lifetime import at_end, listen
from napari_lungcls.gui.messages import in_window
from napari_lungcls.gui.pixel_size import pixel_size
from napari_lungcls.gui.probe import words
from napari_lungcls.gui.probe.controller import LIMIT, Controller, World
from napari_lungcls.gui.probe.controls import Controls
from napari_lungcls.gui.probe.pointer import Corners, Pointer
from napari_lungcls.gui.probe.requests import Answers, Request, answering
from napari_lungcls.gui.workers import start

if TYPE_CHECKING:
    from napari_lungcls.model import Model

HINT = "Click on the image, or drag a rectangle."

PATIENCE = 300
"""Milliseconds after which the bar appears; at every click it would only flicker."""


class ProbeBox(QWidget):
    """Classifies what is clicked on, and shows and keeps the answers.

    Parameters
    ----------
    viewer
        The viewer whose canvas is watched while the button is down.
    parent
        The window it is part of.
    """

    def __init__(self, viewer: "napari.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._controller = Controller(viewer, self._refresh)
        self._patience = QTimer(self, interval=PATIENCE, singleShot=True)
        self._patience.timeout.connect(self._show_progress)
        self._pointer = Pointer(
            viewer,
            clicked=self._on_click,
            dragging=self._on_dragging,
            dragged=self._on_dragged,
            cancelled=partial(self._say, "cancelled"),
        )
        self._loaded: WeakSet[Model] = WeakSet()
        self._pixel_size: float | None = None
        self._progress_shown = False
        self._build()
        listen(self, viewer.dims.events.ndisplay, slot=self._refresh)
        at_end(self, self._let_go)
        self._refresh()

    def _let_go(self) -> None:
        """Give the mouse back and forget the viewer."""
        self._pointer.switch(False)
        self._controller.close()

    def set_model(self, model: "Model | None") -> None:
        """Choose the model that answers; None when there is none."""
        self._controller.model = model
        self._refresh()

    def set_image(self, layer: Image | None) -> None:
        """Choose the image that clicks are about; None when there is none."""
        self._controller.image = layer
        self._pixel_size = None if layer is None else pixel_size(layer)
        self._show_spacing()
        self._refresh()

    def _build(self) -> None:
        controls = Controls(self._controller.spacing)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(controls)
        self.mode_button, self.spacing_box = controls.mode, controls.spacing
        self.undo_button, self.clear_button = controls.undo, controls.clear
        self.convert_button, self.cancel_button = controls.convert, controls.cancel
        self.bar, self.words = controls.bar, controls.words
        self._micrometres = controls.micrometres
        self.mode_button.toggled.connect(self._on_mode)
        self.spacing_box.valueChanged.connect(self._on_spacing)
        self.undo_button.clicked.connect(self._on_undo)
        self.clear_button.clicked.connect(self._on_clear)
        self.convert_button.clicked.connect(self._on_convert)
        self.cancel_button.clicked.connect(self._on_cancel)

    def _on_mode(self, on: bool) -> None:
        self._pointer.switch(on)
        if on and not self._busy():
            self._say(HINT)
        elif self.words.text() == HINT:
            self._say("")

    def _on_spacing(self, value: int) -> None:
        self._controller.spacing = value
        self._show_spacing()

    def _on_click(self, position: World) -> None:
        self._ask(partial(self._controller.click, position))

    def _on_dragged(self, corners: Corners) -> None:
        self._ask(partial(self._controller.rectangle, corners))

    def _on_dragging(self, corners: Corners) -> None:
        try:
            lattice = self._controller.lattice(corners)
        except InputError as error:
            self._say(in_window(error))
            return
        count = len(lattice)
        over = count > LIMIT
        self._say(
            words.too_many(count, LIMIT, lattice.coarser(LIMIT)) if over else words.points(count)
        )

    def _ask(self, ask: Callable[[], Request]) -> None:
        try:
            ask()
        except InputError as error:
            self._say(in_window(error))
            return
        self._work()
        self._refresh()

    def _work(self) -> None:
        """Begin with the next request, if none is being worked on."""
        request = self._controller.requests.next()
        if request is None:
            return
        known = request.model in self._loaded
        self._say(self._classifying(request) if known else "loading the network…")
        start(
            partial(answering, request),
            owner=self,
            progressed=partial(self._on_progress, request),
            returned=partial(self._on_returned, request),
            failed=partial(self._on_failed, request),
            ended=self._on_ended,
        )

    def _classifying(self, request: Request) -> str:
        waiting = self._controller.requests.waiting
        behind = f"; {waiting} more waiting" if waiting else ""
        return f"classifying {words.points(len(request.coordinates))}…{behind}"

    def _on_progress(self, request: Request, answers: Answers) -> None:
        if request not in self._controller.requests:
            return
        self._loaded.add(request.model)
        self._controller.show(request, answers)
        self._say(self._classifying(request))
        self.bar.setRange(0, len(request.coordinates))
        self.bar.setValue(answers.done)
        self._refresh()

    def _on_returned(self, request: Request, answers: Answers) -> None:
        if request in self._controller.requests:
            self._loaded.add(request.model)
            self._controller.show(request, answers)
            self._say(self._controller.finish(request))

    def _on_failed(self, request: Request, line: str) -> None:
        if request in self._controller.requests:
            self._controller.fail(request)
            self._say(line)

    def _on_ended(self) -> None:
        self._work()
        self._refresh()

    def _on_undo(self) -> None:
        self._say(self._controller.undo())
        self._work()
        self._refresh()

    def _on_clear(self) -> None:
        self._say(self._controller.clear())
        self._refresh()

    def _on_cancel(self) -> None:
        self._controller.requests.stop()
        self._say("cancelling…")

    def _on_convert(self) -> None:
        try:
            self._say(self._controller.convert())
        except InputError as error:
            self._say(in_window(error))
        self._refresh()

    def _busy(self) -> bool:
        return self._controller.requests.running is not None

    def _say(self, line: str) -> None:
        self.words.setText(line[:1].upper() + line[1:])

    def _show_spacing(self) -> None:
        known = self._pixel_size
        text = "" if known is None else f"= {self._controller.spacing * known:.3g} µm"
        self._micrometres.setText(text)

    def _refresh(self, event: object = None) -> None:
        """Enable what can be done now, and say of the rest what it needs."""
        missing = self._controller.missing()
        if missing:
            self.mode_button.setChecked(False)
        self.mode_button.setEnabled(not missing)
        self.mode_button.setToolTip(
            missing
            or "While this is on, a click classifies the point under the cursor, and dragging a "
            "rectangle classifies a grid in it. Esc or a right click cancels a rectangle; the "
            "wheel still zooms."
        )
        layer: PointsLayer | None = self._controller.predictions()
        some = layer is not None and len(layer.data) > 0
        self.undo_button.setEnabled(self._controller.can_undo())
        self.clear_button.setEnabled(some or self._controller.can_undo())
        self.convert_button.setEnabled(some)
        if not self._busy():
            self._patience.stop()
            self._show_progress()
        elif not self._patience.isActive() and not self._progress_shown:
            self._patience.start()

    def _show_progress(self) -> None:
        """Show the bar while there is work, and hide it when there is none."""
        self._progress_shown = self._busy()
        for widget in (self.bar, self.cancel_button):
            widget.setVisible(self._progress_shown)
        if not self._progress_shown:
            self.bar.setRange(0, 0)
