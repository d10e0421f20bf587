"""The Paint window: choices, a run that can be watched, and the maps it leaves."""

from pathlib import Path

import napari
from napari.layers import Layer
from napari.utils.notifications import show_error
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_lungcls.errors import InputError
from napari_lungcls.gui.dialogs import ask_open
from napari_lungcls.gui.lifetime import listen
from napari_lungcls.gui.messages import in_window
from napari_lungcls.gui.opening import open_model
from napari_lungcls.gui.paint.choices import Choices
from napari_lungcls.gui.paint.mapview import MapView
from napari_lungcls.gui.paint.run import PaintingRun
from napari_lungcls.gui.paint.scroll import Scroll
from napari_lungcls.gui.paint.steps import percent
from napari_lungcls.gui.parts import Caution, RunBar, heading, panel_layout
from napari_lungcls.gui.probe import ProbeBox
from napari_lungcls.gui.session import session
from napari_lungcls.gui.workers import Job
from napari_lungcls.inference.watching import PaintingStep

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
        self.painting = session(napari_viewer).part(PaintingRun)
        self.choices, self.maps = Choices(napari_viewer), MapView(napari_viewer)
        self.caution = Caution("paint_caution")
        self.run_bar, self.probe = RunBar("Paint", pausable=True), ProbeBox(napari_viewer)
        self._lay_out()
        self._connect()
        self._on_choices()
        if self.job is not None and self.painting.class_layer is not None:
            self.maps.watch(self.painting.class_layer)
        self._show_run()

    @property
    def job(self) -> Job | None:
        """The painting that runs, or None."""
        return self.painting.job

    @property
    def busy(self) -> bool:
        """Whether a painting runs, or layers of it are still to be added."""
        return self.painting.busy

    @property
    def layers(self) -> list[Layer]:
        """The layers of the latest painting, its class map last."""
        return list(self.painting.layers)

    def start(self) -> None:
        """Paint what is chosen."""
        named, image = self.choices.model, self.choices.image
        if self.job is not None or named is None or image is None:
            return
        try:
            plan = self.choices.plan()
        except InputError as error:
            show_error(in_window(error))
            self.run_bar.end(in_window(error), refused=True)
            return
        self.choices.update_estimate()
        self.painting.start(
            named,
            plan,
            image,
            probabilities=self.choices.probabilities.isChecked(),
            confidence=self.choices.confidence.isChecked(),
        )

    def cancel(self) -> None:
        """End the painting; what is painted stays."""
        self.painting.cancel()

    def load_from(self, path: Path) -> Job:
        """Load a model from a file, in a thread, and choose it."""
        return open_model(self._viewer, path, self)

    def _show_run(self) -> None:
        """Show the painting, which may have begun in another window, or how it ended."""
        painting = self.painting
        if painting.job is None:
            self.run_bar.end(painting.words, refused=painting.refused)
            self.maps.release()
        else:
            if not self.run_bar.running:
                self.run_bar.begin("starting…")
            if painting.last is not None:
                self._on_progress(painting.last)
            self.run_bar.show_paused(painting.job.paused)
            if painting.job.cancelling:
                self.run_bar.show_cancelling()
        self._show_cautions()

    def _show_cautions(self) -> None:
        self.caution.say([*self.choices.remarks(), *self.painting.warnings])

    def _on_progress(self, step: PaintingStep) -> None:
        words = f"{percent(step.visited)} painted"
        self.run_bar.report(step.done, step.total, words, step.remaining)

    def _on_choices(self) -> None:
        reason = self.choices.refusal()
        self.run_bar.allow(reason)
        if self.job is None and self.painting.refused:
            # The cause may be gone.
            self.painting.words, self.painting.refused = "", False
            self.run_bar.end("")
        self._show_cautions()
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
        self.run_bar.pause_toggled.connect(self.painting.hold)
        painting = self.painting
        listen(self, painting.changed, slot=self._show_run)
        listen(self, painting.progressed, slot=self._on_progress)
        listen(self, painting.appeared, slot=self.maps.watch)
        listen(self, painting.refreshed, slot=self.maps.show_shares)

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
            self.caution,
            self.run_bar,
            heading("Painted map"),
            self.maps,
            heading("Classify points"),
            self.probe,
        ):
            column.addWidget(widget)
        column.addStretch(1)
