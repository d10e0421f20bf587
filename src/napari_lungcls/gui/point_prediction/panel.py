"""The panel for predictions at points: click mode, grid spacing, and what to do with results."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakSet

import napari
from napari.layers import Image
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QSpinBox, QWidget

from napari_lungcls.errors import InputError
from napari_lungcls.gui import messages
from napari_lungcls.gui.image_layer import pixel_size
from napari_lungcls.gui.lifetime import at_end, listen
from napari_lungcls.gui.parts import beside, button, column, note, show_text
from napari_lungcls.gui.point_prediction.controller import LIMIT, Controller, World
from napari_lungcls.gui.point_prediction.pointer import Corners, Pointer
from napari_lungcls.gui.point_prediction.requests import PointRequest, Predictions, predict
from napari_lungcls.gui.titles import in_window
from napari_lungcls.gui.workers import start
from napari_lungcls.utils.humanize import count

if TYPE_CHECKING:
    from napari_lungcls.any_model import AnyModel

HINT = "Click on the image, or drag a rectangle."

MODE_TIP = (
    "While this is on, clicking classifies the point under the cursor, and dragging a rectangle\n"
    "classifies a grid of points. Esc or a right click cancels a rectangle; the mouse wheel\n"
    "still zooms."
)

BAR_DELAY = 300
"""Milliseconds until the progress bar appears, so that it does not flicker at every click."""


class PointPredictionPanel(QWidget):
    """Classifies points the user clicks, shows the predictions, and turns them into labels.

    Parameters
    ----------
    viewer
        The viewer whose canvas is watched while the mode is on.
    """

    def __init__(self, viewer: "napari.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = Controller(viewer, self._refresh)
        self._bar_timer = QTimer(self, interval=BAR_DELAY, singleShot=True)
        self._bar_timer.timeout.connect(self._show_progress)
        self._pointer = Pointer(
            viewer,
            clicked=self._on_click,
            dragging=self._on_dragging,
            dragged=self._on_dragged,
            cancelled=partial(self._say, "cancelled"),
        )
        self._loaded: WeakSet[AnyModel] = WeakSet()
        self._pixel_size: float | None = None
        self._progress_shown = False
        self._build()
        listen(self, viewer.dims.events.ndisplay, slot=self._refresh)
        at_end(self, self._close)
        self._refresh()

    def _close(self) -> None:
        """Stop watching the mouse, and disconnect from the viewer."""
        self._pointer.switch(False)
        self._controller.close()

    def set_model(self, model: "AnyModel | None") -> None:
        """Choose the model to predict with, or None."""
        self._controller.model = model
        self._refresh()

    def set_image(self, layer: Image | None) -> None:
        """Choose the image to predict on, or None."""
        self._controller.image = layer
        self._pixel_size = None if layer is None else pixel_size(layer)
        self._show_spacing()
        self._refresh()

    def _build(self) -> None:
        self.mode_button = button("Classify by click", "predict_mode")
        self.mode_button.setCheckable(True)
        self.undo_button = button("Undo", "predict_undo", "Undo the last click or rectangle")
        self.clear_button = button(
            "Clear", "predict_clear", "Remove all predictions from this image"
        )
        self.convert_button = button(
            "Turn into labels",
            "predict_convert",
            "Move the selected predictions, or all if none is selected, to the points\n"
            "that are being labelled",
        )
        self.cancel_button = button("Cancel", "predict_cancel", "Stop, and keep the results so far")
        self.bar, self.words = QProgressBar(), note(name="predict_words")
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        self.spacing_box, self._micrometres = QSpinBox(), QLabel()
        self.spacing_box.setObjectName("predict_spacing")
        self.spacing_box.setRange(1, 9999)
        # napari's own style has 70 px, and wins over a least width: too few for four digits.
        self.spacing_box.setStyleSheet("min-width: 92px;")
        self.spacing_box.setSuffix(" px")
        self.spacing_box.setValue(self._controller.spacing)
        spacing = QHBoxLayout()
        for widget in (QLabel("Spacing"), self.spacing_box, self._micrometres):
            widget.setToolTip(
                "Distance between the points in a rectangle, in image pixels;\n"
                f"at most {LIMIT:,} points"
            )
            spacing.addWidget(widget)
        spacing.addStretch(1)
        layout = column(self)
        layout.addWidget(self.mode_button)
        layout.addLayout(spacing)
        layout.addWidget(
            beside((self.undo_button, 1), (self.clear_button, 1), (self.convert_button, 2))
        )
        self._progress = beside((self.bar, 1), self.cancel_button)
        layout.addWidget(self._progress)
        layout.addWidget(self.words)
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
        n = len(lattice)
        if n > LIMIT:
            self._say(messages.too_many_points(n, LIMIT, lattice.coarser(LIMIT)))
        else:
            self._say(count(n, "point"))

    def _ask(self, ask: Callable[[], PointRequest]) -> None:
        try:
            ask()
        except InputError as error:
            self._say(in_window(error))
            return
        self._work()
        self._refresh()

    def _work(self) -> None:
        """Start the next request, if none is running."""
        request = self._controller.requests.next()
        if request is None:
            return
        known = request.model in self._loaded
        self._say(self._classifying(request) if known else "loading the network…")
        start(
            partial(predict, request),
            owner=self,
            title="Classifying points",
            progressed=partial(self._on_progress, request),
            returned=partial(self._on_returned, request),
            failed=partial(self._on_failed, request),
        )

    def _classifying(self, request: PointRequest) -> str:
        waiting = self._controller.requests.waiting
        behind = f"; {waiting} more waiting" if waiting else ""
        return f"classifying {count(len(request.coordinates), 'point')}…{behind}"

    def _on_progress(self, request: PointRequest, found: Predictions) -> None:
        if request not in self._controller.requests:
            return
        self._loaded.add(request.model)
        self._controller.show(request, found)
        self._say(self._classifying(request))
        self.bar.setRange(0, len(request.coordinates))
        self.bar.setValue(len(found))
        self._refresh()

    def _on_returned(self, request: PointRequest, found: Predictions) -> None:
        if request in self._controller.requests:
            self._loaded.add(request.model)
            self._controller.show(request, found)
            self._say(self._controller.finish(request))
        self._go_on()

    def _on_failed(self, request: PointRequest, line: str) -> None:
        if request in self._controller.requests:
            self._controller.fail(request)
            self._say(line)
        self._go_on()

    def _go_on(self) -> None:
        """Start the next request, and show what can be done now."""
        self._work()
        self._refresh()

    def _on_undo(self) -> None:
        self._do(self._controller.undo)
        self._work()

    def _on_clear(self) -> None:
        self._do(self._controller.clear)

    def _on_convert(self) -> None:
        self._do(self._controller.convert)

    def _on_cancel(self) -> None:
        self._controller.requests.stop()
        self._say("cancelling…")

    def _do(self, action: Callable[[], str]) -> None:
        """Do something with the predictions, and say what was done or why not."""
        try:
            self._say(action())
        except InputError as error:
            self._say(in_window(error))
        self._refresh()

    def _busy(self) -> bool:
        return self._controller.requests.running is not None

    def _say(self, line: str) -> None:
        # A number and its % stay in one line.
        said = line.replace(" %", "\N{NO-BREAK SPACE}%")
        show_text(self.words, said[:1].upper() + said[1:])

    def _show_spacing(self) -> None:
        known = self._pixel_size
        text = "" if known is None else f"= {self._controller.spacing * known:.3g} µm"
        self._micrometres.setText(text)

    def _refresh(self, event: object = None) -> None:
        """Enable the buttons that can be used now."""
        missing = self._controller.missing()
        if missing:
            self.mode_button.setChecked(False)
        self.mode_button.setEnabled(not missing)
        self.mode_button.setToolTip(missing or MODE_TIP)
        layer = self._controller.predictions()
        some = layer is not None and len(layer.data) > 0
        self.undo_button.setEnabled(self._controller.can_undo())
        self.clear_button.setEnabled(some or self._controller.can_undo())
        self.convert_button.setEnabled(some)
        if not self._busy():
            self._bar_timer.stop()
            self._show_progress()
        elif not self._bar_timer.isActive() and not self._progress_shown:
            self._bar_timer.start()

    def _show_progress(self) -> None:
        """Show the progress bar while a request is running."""
        self._progress_shown = self._busy()
        for widget in (self._progress, self.bar, self.cancel_button):
            widget.setVisible(self._progress_shown)
        if not self._progress_shown:
            self.bar.setRange(0, 0)
