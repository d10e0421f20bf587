"""The Paint window: choices, painting, the painted maps, and predictions at points."""

import napari
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_lungcls.errors import InputError
from napari_lungcls.gui.docks import keep_tidy
from napari_lungcls.gui.lifetime import listen
from napari_lungcls.gui.notices import refuse
from napari_lungcls.gui.paint.choices import PaintChoices
from napari_lungcls.gui.paint.mapview import MapView
from napari_lungcls.gui.paint.recipe import painting_recipe
from napari_lungcls.gui.paint.run import PaintingRun
from napari_lungcls.gui.parts import Caution, heading, panel_layout, scrolled
from napari_lungcls.gui.point_prediction import PointPredictionPanel
from napari_lungcls.gui.recipes.button import CopyButton
from napari_lungcls.gui.recipes.lines import MakeRecipe
from napari_lungcls.gui.run_bar import RunBar
from napari_lungcls.gui.session import session
from napari_lungcls.gui.titles import in_window
from napari_lungcls.inference.watching import PaintingStep
from napari_lungcls.utils.humanize import percent

START_TIP = "Paint the chosen planes, starting with what is in view"


class PaintMap(QWidget):
    """Paints class maps of an image, and opens and saves them.

    Each run adds new layers. The class map of an earlier run on the same image is hidden,
    never replaced.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self.painting = session(napari_viewer).part(PaintingRun)
        self.choices, self.maps = PaintChoices(napari_viewer), MapView(napari_viewer)
        self.caution = Caution("paint_caution")
        self.run_bar = RunBar("Paint", "paint", pausable=True)
        self.run_bar.pause_button.setToolTip("Pause or resume painting")
        self.run_bar.cancel_button.setToolTip("Stop, and keep what is painted")
        self.copy_button = CopyButton("paint", self._recipe)
        self.run_bar.add(self.copy_button)
        self.point_prediction = PointPredictionPanel(napari_viewer)
        self.more = QVBoxLayout()  # for what the guided window adds below
        self._lay_out()
        self._connect()
        self._on_choices()
        if self.painting.job is not None and self.painting.class_layer is not None:
            self.maps.watch(self.painting.class_layer)
        self._show_run()
        keep_tidy(self, napari_viewer, "Paint")

    def start(self) -> None:
        """Paint what is chosen."""
        model, image = self.choices.compute_on.model(), self.choices.image
        if self.painting.job is not None or model is None or image is None:
            return
        try:
            plan = self.choices.plan()
        except InputError as error:
            refuse(error)
            self.run_bar.end(in_window(error), refused=True)
            return
        self.choices.update_estimate()
        self.painting.start(
            model,
            plan,
            image,
            probabilities=self.choices.probabilities.isChecked(),
            confidence=self.choices.confidence.isChecked(),
            adapt=self.choices.adapt.isChecked(),
        )

    def _recipe(self) -> MakeRecipe:
        """Note what `start` would paint, and with which model."""
        named, image = self.choices.model, self.choices.image
        if named is None or image is None:
            raise InputError(self.choices.refusal())
        return painting_recipe(
            named,
            image,
            self.choices.plan(),
            probabilities=self.choices.probabilities.isChecked(),
            within=self.choices.within.layer,
            adapt=self.choices.adapt.isChecked(),
            server=self.choices.compute_on.server or None,
            token_file=self.choices.compute_on.token_file,
        )

    def _show_run(self) -> None:
        """Show the painting, which another window may have started, or how it ended."""
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
        self.caution.show_lines([*self.choices.remarks(), *self.painting.warnings])

    def _on_progress(self, step: PaintingStep) -> None:
        words = f"{percent(step.visited, 0)} painted"
        self.run_bar.report(step.done, step.total, words, step.remaining)

    def _on_choices(self) -> None:
        reason = self.choices.refusal()
        self.run_bar.allow(reason)
        if self.painting.job is None and self.painting.refused:
            # The cause of the error may be gone.
            self.painting.words, self.painting.refused = "", False
            self.run_bar.end("")
        self._show_cautions()
        self.point_prediction.set_model(self.choices.compute_on.model_for_points())
        self.point_prediction.set_image(self.choices.image)
        self.run_bar.start_button.setToolTip(reason or START_TIP)

    def _connect(self) -> None:
        self.choices.changed.connect(self._on_choices)
        self.choices.load_button.clicked.connect(self.choices.model_box.ask_file)
        self.run_bar.start_clicked.connect(self.start)
        self.run_bar.start_clicked.connect(self.choices.remembered.keep)
        self.run_bar.start_clicked.connect(self.choices.compute_on.keep)
        self.run_bar.cancel_clicked.connect(self.painting.cancel)
        self.run_bar.pause_toggled.connect(self.painting.hold)
        painting = self.painting
        listen(self, painting.changed, slot=self._show_run)
        listen(self, painting.progressed, slot=self._on_progress)
        listen(self, painting.appeared, slot=self.maps.watch)
        listen(self, painting.refreshed, slot=self.maps.show_shares)

    def _lay_out(self) -> None:
        content = QWidget()
        layout = panel_layout(content)
        for widget in (
            self.choices,
            heading("Painted map"),
            self.maps,
            heading("Classify points"),
            self.point_prediction,
        ):
            layout.addWidget(widget)
        layout.addLayout(self.more)
        layout.addStretch(1)
        scrolled(self, content, self.caution, self.run_bar)
