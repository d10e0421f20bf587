"""The Paint window: choices, a run that can be watched, and the maps it leaves."""

import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import napari
from napari.layers import Image, Labels, Layer
from napari.utils.notifications import show_error
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_lungcls.errors import InputError
from napari_lungcls.gui.dialogs import ask_open
from napari_lungcls.gui.maps import map_layers, quieten
from napari_lungcls.gui.opening import open_model
from napari_lungcls.gui.paint.choices import Choices
from napari_lungcls.gui.paint.extent import Look, Plan, position_in_view
from napari_lungcls.gui.paint.mapview import MapView, add_layers
from napari_lungcls.gui.paint.scroll import Scroll
from napari_lungcls.gui.paint.steps import outcome, percent
from napari_lungcls.gui.parts import RunBar, heading, panel_layout
from napari_lungcls.gui.probe import ProbeBox
from napari_lungcls.gui.readers import LayerData
from napari_lungcls.gui.session import NamedModel
from napari_lungcls.gui.workers import Job, start
from napari_lungcls.painting.watching import Step, painting_steps

REFRESH = 200
"""Milliseconds between two refreshes of what is being painted: more often slows the window."""
BETWEEN_LAYERS = 50
"""Milliseconds from one hidden layer to the next: napari takes a tenth of a second to add one."""
DRAWN = 150
"""Milliseconds in which a new layer is drawn, before the network begins to compute."""
START_TIP = "Paint the chosen planes; what is in view comes first"


class PaintMap(QWidget):
    """Paints maps of the classes over an image, and opens and saves them.

    Every run adds layers of its own, and the class map of an earlier run over the same image
    is hidden, never replaced.

    Parameters
    ----------
    napari_viewer
        The viewer.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._job: Job | None = None
        self._layers: list[Layer] = []
        self._waiting: list[LayerData] = []
        self._last: Step | None = None
        self._began = 0.0
        self._plan: Plan | None = None
        self._image: Image | None = None
        self._look, self._shown = Look(), threading.Event()
        self._wants_probabilities = False
        self.choices, self.maps = Choices(napari_viewer), MapView(napari_viewer)
        self.run_bar, self.probe = RunBar("Paint", pausable=True), ProbeBox(napari_viewer)
        self._timer = QTimer(self)
        self._timer.setInterval(REFRESH)
        self._timer.timeout.connect(self._on_tick)
        self._adder = QTimer(self)
        self._adder.setInterval(BETWEEN_LAYERS)
        self._adder.timeout.connect(self._add_next)
        self._lay_out()
        self._connect()
        self._on_choices()

    @property
    def job(self) -> Job | None:
        """The painting that runs, or None."""
        return self._job

    @property
    def busy(self) -> bool:
        """Whether a painting runs, or layers of it are still to be added."""
        return self._job is not None or self._adder.isActive()

    @property
    def layers(self) -> list[Layer]:
        """The layers of the latest painting, its class map last."""
        return list(self._layers)

    def start(self) -> None:
        """Paint what is chosen."""
        named, image = self.choices.model, self.choices.image
        if self._job is not None or named is None or image is None:
            return
        try:
            self._plan = self.choices.plan()
        except InputError as error:
            show_error(str(error))
            self.run_bar.end(str(error))
            return
        self.choices.update_estimate()
        self._image, self._layers, self._waiting, self._last = image, [], [], None
        self._wants_probabilities = self.choices.probabilities.isChecked()
        self._look, self._shown = Look(), threading.Event()
        self._began = time.perf_counter()
        self._look.cell = self._cell_in_view()
        self.run_bar.begin("starting…")
        quieten()
        self._job = start(
            self._work(named, self._plan, self._look, self._shown),
            owner=self,
            progressed=self._on_progress,
            returned=self._on_return,
            failed=self.run_bar.end,
            ended=self._on_end,
        )

    def cancel(self) -> None:
        """End the painting; what is painted stays."""
        if self._job is not None:
            self._job.cancel()

    def load_from(self, path: Path) -> Job:
        """Load a model from a file, in a thread, and choose it."""
        return open_model(self._viewer, path, self)

    def _work(
        self, named: NamedModel, plan: Plan, look: Look, shown: threading.Event
    ) -> Callable[[Callable[[], bool]], Generator[Step, None, Step]]:
        grid, confidence = plan.grid, self.choices.confidence.isChecked()
        wanted = self._wants_probabilities or confidence

        def work(cancelled: Callable[[], bool]) -> Generator[Step, None, Step]:
            run = named.model.painting(
                grid.stack,
                grid.stride,
                region=(grid.rows, grid.columns),
                planes=grid.planes,
                probabilities=wanted,
                cancelled=cancelled,
                in_view=lambda: look.cell,
            )

            def wait() -> None:
                while not (shown.wait(0.02) or cancelled()):
                    pass

            return painting_steps(run, confidence=confidence, shown=wait)

        return work

    def _on_progress(self, step: Step) -> None:
        self._last = step
        if not self._layers:
            try:
                self._add_layers(step)
            finally:
                # Once the new layer is drawn: a network that computes takes the processors
                # that the window needs for it.
                QTimer.singleShot(DRAWN, self._shown.set)
            return
        words = f"{percent(step.visited)} painted"
        self.run_bar.report(step.done, step.total, words, step.remaining)

    def _add_layers(self, step: Step) -> None:
        image = self._image
        assert image is not None
        for layer in self._viewer.layers:
            if self.maps.shows(layer, image):
                layer.visible = False
        *self._waiting, classes = map_layers(
            step.map,
            f"{image.name} map",
            image if image in self._viewer.layers else None,
            self._wants_probabilities,
            False if step.confidence is None else step.confidence,
        )
        self._layers = add_layers(self._viewer, [classes])
        self.maps.watch(self._class_layer)
        self._viewer.layers.events.removed.connect(self._on_removed)
        self._timer.start()

    def _add_next(self) -> None:
        """Add one of the hidden layers under the class map: all at once would hold things up."""
        if not self._waiting or self._class_layer not in self._viewer.layers:
            self._adder.stop()
            return
        data, options, kind = self._waiting.pop(0)
        layer = Layer.create(data, options, kind)
        active = self._viewer.layers.selection.active
        self._viewer.layers.insert(self._viewer.layers.index(self._class_layer), layer)
        self._viewer.layers.selection.active = active
        self._layers.insert(-1, layer)

    @property
    def _class_layer(self) -> Labels:
        layer = self._layers[-1]
        assert isinstance(layer, Labels)
        return layer

    def _on_tick(self) -> None:
        """Show what was painted meanwhile, and tell the painter what is looked at."""
        self._look.cell = self._cell_in_view()
        self._refresh(thumbnail=False, extent=False, highlight=False)

    def _refresh(self, **parts: bool) -> None:
        for layer in self._layers:
            if layer.visible:
                layer.refresh(**parts)
        if self._last is not None and self._layers:
            self.maps.set_shares(self._class_layer, self._last.shares)

    def _on_return(self, last: Step) -> None:
        self._last = last
        self.run_bar.end(outcome(last, time.perf_counter() - self._began))

    def _on_end(self) -> None:
        self._timer.stop()
        self._job = None
        if self._waiting:
            self._adder.start()
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self._refresh()
        self.maps.release()

    def _on_removed(self, event: Any) -> None:
        """Paint no further when nobody can see it."""
        if self._layers and event.value == self._class_layer:
            self.cancel()

    def _on_pause(self, paused: bool) -> None:
        if self._job is not None:
            (self._job.pause if paused else self._job.resume)()

    def _cell_in_view(self) -> tuple[float, ...] | None:
        if self._plan is None or self._image is None:
            return None
        return self._plan.cell(position_in_view(self._viewer, self._image))

    def _on_choices(self) -> None:
        reason = self.choices.refusal()
        self.run_bar.allow(reason)
        named = self.choices.model
        self.probe.set_model(None if named is None else named.model)
        self.probe.set_image(self.choices.image)
        self.run_bar.start_button.setToolTip(reason or START_TIP)

    def _choose_model_file(self) -> None:
        if path := ask_open(self, "Load model", "Models (*.safetensors)"):
            self.load_from(path)

    def _connect(self) -> None:
        self.choices.changed.connect(self._on_choices)
        self.choices.load_button.clicked.connect(self._choose_model_file)
        self.run_bar.start_clicked.connect(self.start)
        self.run_bar.cancel_clicked.connect(self.cancel)
        self.run_bar.pause_toggled.connect(self._on_pause)

    def _lay_out(self) -> None:
        for button, name, tip in (
            (self.run_bar.start_button, "paint_start", START_TIP),
            (self.run_bar.pause_button, "paint_pause", "Hold the painting, or go on"),
            (self.run_bar.cancel_button, "paint_cancel", "Stop and keep what is painted"),
        ):
            button.setObjectName(name)
            button.setToolTip(tip)
        outer, content = QVBoxLayout(self), QWidget()
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(Scroll(content))
        column = panel_layout(content)
        for widget in (
            self.choices,
            self.run_bar,
            heading("Painted map"),
            self.maps,
            heading("Classify points"),
            self.probe,
        ):
            column.addWidget(widget)
        column.addStretch(1)
