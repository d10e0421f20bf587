"""A painting that goes on while no window shows it, and the layers it fills. No widgets."""

import threading
import time
import weakref
from collections.abc import Callable, Generator
from typing import Any

import napari
from napari.layers import Image, Labels, Layer
from napari.utils.notifications import show_info
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_lungcls.gui.closing import Closing
from napari_lungcls.gui.docks import in_sight, main_window
from napari_lungcls.gui.layer_types import LayerData
from napari_lungcls.gui.layers import KEY
from napari_lungcls.gui.maps import SHARES, UNSAVED, add_layers, is_map, map_layers, quieten
from napari_lungcls.gui.paint.extent import Look, Plan, position_in_view
from napari_lungcls.gui.paint.steps import outcome
from napari_lungcls.gui.session import NamedModel, Run, session
from napari_lungcls.gui.workers import Job, start
from napari_lungcls.inference.watching import PaintingStep, painting_steps

REFRESH = 200
"""Milliseconds between two refreshes of what is being painted: more often slows the window."""
BETWEEN_LAYERS = 50
"""Milliseconds from one hidden layer to the next: napari takes a tenth of a second to add one."""
DRAWN = 150
"""Milliseconds in which a new layer is drawn, before the network begins to compute."""


class PaintingRun(Run):
    """The painting of a viewer: one at a time, shown by however many windows.

    Parameters
    ----------
    viewer
        The viewer.

    Attributes
    ----------
    job
        The job, or None.
    layers
        The layers of this or the latest painting, its class map last.
    last
        Its latest report.
    warnings
        What the core warned of, in the window's words.
    words, refused
        How the latest painting ended, and whether it was refused.
    """

    changed = Signal()
    """It began, was held, went on, ended, or was warned of something."""

    appeared = Signal(Labels)
    """The class map that is being painted has a layer now."""

    progressed = Signal(PaintingStep)

    refreshed = Signal()
    """What was painted meanwhile is shown."""

    def __init__(self, viewer: "napari.Viewer") -> None:
        self._viewer = weakref.ref(viewer)
        session(viewer).part(Closing)
        self.job: Job | None = None
        self.layers: list[Layer] = []
        self.last: PaintingStep | None = None
        self.warnings: list[str] = []
        self.words, self.refused = "", False
        self._waiting: list[LayerData] = []
        self._began = 0.0
        self._plan: Plan | None = None
        self._image: Image | None = None
        self._look, self._shown = Look(), threading.Event()
        self._wants_probabilities = False
        window = main_window(viewer)
        self._timer, self._adder = QTimer(window), QTimer(window)
        self._timer.setInterval(REFRESH)
        self._timer.timeout.connect(self._on_tick)
        self._adder.setInterval(BETWEEN_LAYERS)
        self._adder.timeout.connect(self._add_next)

    @property
    def busy(self) -> bool:
        """Whether a painting runs, or layers of it are still to be added."""
        return self.job is not None or self._adder.isActive()

    @property
    def viewer(self) -> "napari.Viewer":
        """The viewer, which lives as long as this."""
        found = self._viewer()
        assert found is not None
        return found

    @property
    def class_layer(self) -> Labels | None:
        """The class map of this or the latest painting, or None."""
        layer = self.layers[-1] if self.layers else None
        return layer if isinstance(layer, Labels) else None

    def start(
        self, named: NamedModel, plan: Plan, image: Image, *, probabilities: bool, confidence: bool
    ) -> None:
        """Begin to paint, unless a painting runs."""
        if self.job is not None:
            return
        self._plan, self._image, self._wants_probabilities = plan, image, probabilities
        self.layers, self._waiting, self.last = [], [], None
        self.warnings, self.words, self.refused = [], "", False
        self._look, self._shown = Look(), threading.Event()
        self._look.cell = self._cell_in_view()
        self._began = time.perf_counter()
        quieten()
        self.job = start(
            self._work(named, plan, confidence),
            owner=main_window(self.viewer),
            progressed=self._on_progress,
            warned=self._on_warning,
            returned=self._on_return,
            failed=self._on_failure,
            ended=self._on_end,
        )
        self.changed.emit()

    def cancel(self) -> None:
        """End the painting; what is painted stays."""
        if self.job is not None:
            self.job.cancel()
            self.changed.emit()

    def unsaved(self) -> str:
        """Name the painting that runs; its map is named as a layer."""
        return "" if self.job is None else "the painting that runs. It ends now"

    def hold(self, held: bool) -> None:
        """Hold the painting, or go on."""
        if self.job is not None and held != self.job.paused:
            (self.job.pause if held else self.job.resume)()
            self.changed.emit()

    def _work(
        self, named: NamedModel, plan: Plan, confidence: bool
    ) -> Callable[[Callable[[], bool]], Generator[PaintingStep, None, PaintingStep]]:
        grid, look, shown = plan.grid, self._look, self._shown
        wanted = self._wants_probabilities or confidence

        def work(cancelled: Callable[[], bool]) -> Generator[PaintingStep, None, PaintingStep]:
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

    def _on_progress(self, step: PaintingStep) -> None:
        self.last = step
        if not self.layers:
            try:
                self._add_layers(step)
            finally:
                # Once the new layer is drawn: a network that computes takes the processors
                # that the window needs for it.
                QTimer.singleShot(DRAWN, self._shown.set)
            return
        self.progressed.emit(step)

    def _add_layers(self, step: PaintingStep) -> None:
        image, layers = self._image, self.viewer.layers
        assert image is not None
        for layer in layers:
            if is_map(layer) and layer.metadata[KEY].get("image") == image.name:
                layer.visible = False
        *self._waiting, classes = map_layers(
            step.map,
            f"{image.name} map",
            image if image in layers else None,
            self._wants_probabilities,
            False if step.confidence is None else step.confidence,
        )
        self.layers = add_layers(self.viewer, [classes])
        self.layers[-1].metadata[KEY][UNSAVED] = True
        self.appeared.emit(self.layers[-1])
        layers.events.removed.connect(self._on_removed)
        self._timer.start()

    def _add_next(self) -> None:
        """Add one of the hidden layers under the class map: all at once would hold things up."""
        layers = self.viewer.layers
        if not self._waiting or self.class_layer not in layers:
            self._adder.stop()
            return
        data, options, kind = self._waiting.pop(0)
        layer = Layer.create(data, options, kind)
        active = layers.selection.active
        layers.insert(layers.index(self.class_layer), layer)
        layers.selection.active = active
        self.layers.insert(-1, layer)

    def _on_tick(self) -> None:
        """Show what was painted meanwhile, and tell the painter what is looked at."""
        self._look.cell = self._cell_in_view()
        self._refresh(thumbnail=False, extent=False, highlight=False)

    def _refresh(self, **parts: bool) -> None:
        for layer in self.layers:
            if layer.visible:
                layer.refresh(**parts)
        if self.last is not None and self.class_layer is not None:
            self.class_layer.metadata[KEY][SHARES] = self.last.shares
            self.refreshed.emit()

    def _on_warning(self, line: str) -> None:
        self.warnings.append(line)
        self.changed.emit()

    def _on_return(self, last: PaintingStep) -> None:
        self.last = last
        self.words = outcome(last, time.perf_counter() - self._began)

    def _on_failure(self, line: str) -> None:
        self.words, self.refused = line, True

    def _on_end(self) -> None:
        self._timer.stop()
        self.job = None
        if self._waiting:
            self._adder.start()
        self.viewer.layers.events.removed.disconnect(self._on_removed)
        self._refresh()
        self.changed.emit()
        # Without words it was dropped with its viewer.
        if self.words and not self.refused and not in_sight(self.viewer, "paint_start"):
            show_info(self.words)

    def _on_removed(self, event: Any) -> None:
        """Paint no further when nobody can see it."""
        if self.layers and event.value == self.layers[-1]:
            self.cancel()

    def _cell_in_view(self) -> tuple[float, ...] | None:
        if self._plan is None or self._image is None:
            return None
        return self._plan.cell(position_in_view(self.viewer, self._image))
