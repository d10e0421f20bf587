"""Painting in the background, with or without a window, and the layers it fills. No widgets."""

import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing, nullcontext
from typing import Any

import napari
from napari.layers import Image, Labels
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_lungcls.any_model import AnyModel
from napari_lungcls.gui.closing import Closing
from napari_lungcls.gui.docks import drawn_later, main_window
from napari_lungcls.gui.layers import KEY
from napari_lungcls.gui.maps import SHARES, TOP, UNSAVED, add_layers, map_layers, map_of, quieten
from napari_lungcls.gui.messages import painting_result
from napari_lungcls.gui.notices import tell_end
from napari_lungcls.gui.paint.extent import PaintingPlan, position_in_view
from napari_lungcls.gui.session import BackgroundRun, session
from napari_lungcls.gui.workers import Work
from napari_lungcls.inference.watching import PaintingStep, painting_steps
from napari_lungcls.remote.deferred import DeferredModel

REFRESH = 200
"""Milliseconds between two refreshes of the map; more often would slow the window down."""
DRAWN = 150
"""Milliseconds for drawing a new layer before the network starts to compute."""


class PaintingRun(BackgroundRun):
    """The painting of a viewer: one at a time, shown by any number of windows.

    Attributes
    ----------
    class_layer
        The class map of the current or latest painting, or None.
    last
        Its latest progress report.
    words, refused
        How the latest painting ended, and whether it failed.
    """

    title = "Painting"
    appeared = Signal(Labels)
    """The class map being painted has been added as a layer."""

    progressed = Signal(PaintingStep)

    refreshed = Signal()
    """The map has been redrawn."""

    def __init__(self, viewer: "napari.Viewer") -> None:
        super().__init__(viewer)
        session(viewer).part(Closing)
        self.class_layer: Labels | None = None
        self.last: PaintingStep | None = None
        self.words, self.refused = "", False
        self._began = 0.0
        self._plan: PaintingPlan | None = None
        self._image: Image | None = None
        self._cell: tuple[float, ...] | None = None  # in view; read by the job's thread
        self._shown = threading.Event()
        self._wants_probabilities = False
        window = main_window(viewer)
        self._timer = QTimer(window)
        self._timer.setInterval(REFRESH)
        self._timer.timeout.connect(self._on_tick)

    @property
    def busy(self) -> bool:
        """Whether painting is in progress."""
        return self.job is not None

    def start(
        self,
        model: AnyModel,
        plan: PaintingPlan,
        image: Image,
        *,
        probabilities: bool,
        confidence: bool,
        adapt: bool = False,
    ) -> None:
        """Start painting, unless a painting is in progress."""
        if self.job is not None:
            return
        self._plan, self._image, self._wants_probabilities = plan, image, probabilities
        self.class_layer = self.last = None
        self.words, self.refused = "", False
        self._cell, self._shown = self._cell_in_view(), threading.Event()
        self._began = time.perf_counter()
        quieten()
        self._begin(self._work(model, plan, confidence=confidence, adapt=adapt))

    def unsaved(self) -> str:
        """Name the painting in progress; its map is listed as a layer."""
        return "" if self.job is None else "the painting in progress; it will stop"

    def hold(self, held: bool) -> None:
        """Pause or resume painting."""
        if self.job is not None and held != self.job.paused:
            (self.job.pause if held else self.job.resume)()
            self.changed.emit()

    def _work(self, model: AnyModel, plan: PaintingPlan, *, confidence: bool, adapt: bool) -> Work:
        grid, shown = plan.grid, self._shown
        wanted = self._wants_probabilities or confidence

        def work(cancelled: Callable[[], bool]) -> Generator[PaintingStep, None, PaintingStep]:
            chosen = model.adapted(grid.stack) if adapt else model
            run = chosen.painting(
                grid.stack,
                grid.stride,
                region=(grid.rows, grid.columns),
                planes=grid.planes,
                probabilities=wanted,
                cancelled=cancelled,
                in_view=lambda: self._cell,
                within=plan.within,
                no_glass=plan.no_glass,
            )

            def wait() -> None:
                while not (shown.wait(0.02) or cancelled()):
                    pass

            with closing(model) if isinstance(model, DeferredModel) else nullcontext():
                return (yield from painting_steps(run, confidence=confidence, shown=wait))

        return work

    def _on_progress(self, step: PaintingStep) -> None:
        self.last = step
        if self.class_layer is None:
            try:
                self._add_layer(step)
            finally:
                # Only once the new layer is drawn: a computing network takes the processors
                # that the window needs for drawing.
                QTimer.singleShot(DRAWN, self._shown.set)
            return
        self.progressed.emit(step)

    def _add_layer(self, step: PaintingStep) -> None:
        image, layers = self._image, self.viewer.layers
        assert image is not None
        for layer in layers:
            if map_of(layer) is not None and layer.metadata[KEY].get("image") == image.name:
                layer.visible = False
        place = image if image in layers else None
        with drawn_later(self.viewer):
            [made] = add_layers(self.viewer, map_layers(step.map, f"{image.name} map", place))
        assert isinstance(made, Labels)
        self.class_layer = made
        made.metadata[KEY][UNSAVED] = True
        if step.confidence is not None:
            made.metadata[KEY][TOP] = step.confidence
        self.appeared.emit(made)
        layers.events.removed.connect(self._on_removed)
        self._timer.start()

    def _on_tick(self) -> None:
        """Redraw the map, and tell the painter which part is in view."""
        self._cell = self._cell_in_view()
        self._refresh(thumbnail=False, extent=False, highlight=False)

    def _refresh(self, **parts: bool) -> None:
        painted = map_of(self.class_layer)
        for layer in self.viewer.layers:
            if painted is not None and layer.visible and map_of(layer) is painted:
                layer.refresh(**parts)
        if self.last is not None and self.class_layer is not None:
            self.class_layer.metadata[KEY][SHARES] = self.last.shares
            self.refreshed.emit()

    def _on_return(self, last: PaintingStep) -> None:
        self.last = last
        seconds = time.perf_counter() - self._began
        self.words = painting_result(last, seconds)

    def _on_failure(self, line: str) -> None:
        self.words, self.refused = line, True

    def _on_end(self) -> None:
        self._timer.stop()
        self.job = None
        self.viewer.layers.events.removed.disconnect(self._on_removed)
        self._refresh()
        self.changed.emit()
        # There is no result if the job was dropped with its viewer.
        if self.words and not self.refused:
            tell_end(self.viewer, "paint_start", self.words)

    def _on_removed(self, event: Any) -> None:
        """Cancel painting when its class map is removed."""
        if self.class_layer is not None and event.value == self.class_layer:
            self.cancel()

    def _cell_in_view(self) -> tuple[float, ...] | None:
        if self._plan is None or self._image is None:
            return None
        return self._plan.cell(position_in_view(self.viewer, self._image))
