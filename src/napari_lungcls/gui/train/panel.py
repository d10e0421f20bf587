"""The training window: pairs, settings, start, curves, result, models."""

from collections.abc import Callable
from typing import Any

import napari
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from napari_lungcls.annotation.columns import CLASS_COLUMN
from napari_lungcls.errors import InputError
from napari_lungcls.gui.lifetime import listen
from napari_lungcls.gui.messages import in_window
from napari_lungcls.gui.parts import Caution, RunBar, heading, panel_layout
from napari_lungcls.gui.preferences import preferences
from napari_lungcls.gui.session import session
from napari_lungcls.gui.train import words
from napari_lungcls.gui.train.augmentation import AugmentationPreview
from napari_lungcls.gui.train.curves import Curves
from napari_lungcls.gui.train.engines import EngineCheck
from napari_lungcls.gui.train.form import SettingsForm
from napari_lungcls.gui.train.gather import gather, obstacle, remarks
from napari_lungcls.gui.train.history import History
from napari_lungcls.gui.train.models import ModelBox
from napari_lungcls.gui.train.outcome import Outcome
from napari_lungcls.gui.train.pairs import PairList
from napari_lungcls.gui.train.run import TrainingRun
from napari_lungcls.gui.train.words import Remedy
from napari_lungcls.gui.workers import Job
from napari_lungcls.learning.form_hints import AUGMENTATION
from napari_lungcls.learning.preview import preview_settings
from napari_lungcls.learning.progress import TrainingProgress
from napari_lungcls.learning.settings import TrainingSettings

PREVIEW = (
    "A first model in seconds, to see a map while you label: the backbone stays as it is and only "
    "the heads are fitted, to every point. Train when you have labelled enough."
)
"""Tooltip of the button."""
WIDTH = 300
"""Narrowest width in pixels at which nothing is clipped."""


class TrainModel(QWidget):
    """Trains a network on labelled points and hands it to the other windows.

    Parameters
    ----------
    napari_viewer
        The viewer.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self.training = session(napari_viewer).part(TrainingRun)
        self._refused: tuple[object, ...] | None = None
        theme = napari_viewer.theme
        self.pairs = PairList(napari_viewer)
        chosen = preferences()
        self.form = SettingsForm(defaults={"engine": chosen.engine, "device": chosen.device})
        self.preview = AugmentationPreview()
        self.form.add_below(AUGMENTATION, self.preview)
        self.run = RunBar("Train", other="Preview")
        self.run.other_button.setObjectName("train_preview")
        self.run.other_button.setToolTip(PREVIEW)
        self.run.start_button.setObjectName("train_start")
        self.run.cancel_button.setObjectName("train_cancel")
        self.run.cancel_button.setToolTip("Stop now; the best network so far is offered.")
        self.curves, self.outcome = Curves(theme), Outcome(theme)
        self.caution = Caution("train_caution")
        self.models, self.engines = ModelBox(napari_viewer), EngineCheck(self)
        self._lay_out()
        self._connect()
        self._show_run()

    @property
    def job(self) -> Job | None:
        """The training that runs, or None."""
        return self.training.job

    def start(self) -> None:
        """Train on the chosen pairs with the settings of the form."""
        self._start(self.form.settings)

    def start_preview(self) -> None:
        """Fit heads to a backbone as it is: a first model in seconds."""
        self._start(lambda: preview_settings(self.form.settings()))

    def _start(self, settings: Callable[[], TrainingSettings]) -> None:
        if self.job is not None:
            return
        try:
            material = gather(self.pairs.pairs)
        except InputError as error:
            self.training.refuse(in_window(error))
            return
        self.training.start(material, settings())

    def cancel(self) -> None:
        """End the run; the best network so far is offered."""
        self.training.cancel()

    def _show_run(self) -> None:
        """Show the run, which may have begun in another window, or how it ended."""
        training, ended = self.training, self.training.ended
        self._refused = self._asked_for() if ended is not None and ended.refused else None
        if training.job is not None:
            if not self.run.running:
                self.run.begin("starting…")
                self.outcome.clear()
                self.curves.show()
            self.curves.show_history(training.history)
            if training.latest is not None:
                self._on_progress(training.latest)
            if training.job.cancelling:
                self.run.show_cancelling()
        elif ended is None:
            self.outcome.clear()
            self._show_current()
        else:
            self.curves.show_history(training.history)
            self.curves.setVisible(bool(training.history.records))
            self.outcome.show_end(ended)
        self._allow()

    def _on_progress(self, progress: TrainingProgress) -> None:
        self.run.report(progress.done, progress.total, progress.words, progress.remaining)
        self.curves.draw_soon()

    def _on_change(self) -> None:
        """Forget what was refused, if settings or points are others now: its cause may be gone."""
        if self._refused is not None and self._refused != self._asked_for():
            self.training.forget_refusal()
        self._allow()

    def _asked_for(self) -> tuple[object, ...]:
        """Tell settings, images and labelled points from others."""
        layers = [(row.image.layer, row.points.layer) for row in self.pairs.rows]
        points = [
            (layer.data.tobytes(), list(map(str, layer.features.get(CLASS_COLUMN, ()))))
            for _, layer in layers
            if layer is not None
        ]
        return str([control.get() for control in self.form.controls.values()]), layers, points

    def _show_augmented(self) -> None:
        try:
            material = gather(self.pairs.pairs)
        except InputError as error:
            self.preview.refuse(in_window(error))
            return
        self.preview.draw(material, self.form.settings())

    def _apply(self, remedy: Remedy) -> None:
        self.form.set(remedy.field, remedy.value)
        self.training.forget_refusal()

    def _allow(self) -> None:
        """Enable the start button, or say why not."""
        engine = str(self.form.controls["engine"].get())
        missing = obstacle(self.pairs.pairs) or self.form.problem
        self.preview.allow(missing)
        reason = missing or self.engines.reason(engine)
        self.run.allow(reason)
        if self.job is None:
            self.run.end(reason)
        self.caution.say([*remarks(self.pairs.pairs), *self.training.warnings])

    def _on_models(self) -> None:
        """Show the current model, unless it is the one that the run has just made."""
        ended, current = self.training.ended, session(self._viewer).current
        own = ended is not None and current is not None and current.model.document is ended.document
        offers = ended is not None and ended.offered is not None
        if self.job is None and not own and not offers:
            self._show_current()

    def _show_current(self) -> None:
        """Show the figures of the current model: it may have come from elsewhere."""
        found = session(self._viewer).current
        if found is not None:
            document = found.model.document
            self.curves.show_history(History.of(document.history, words.kept_epoch_of(document)))
            self.curves.setVisible(bool(document.history))
            self.outcome.show_document(document)

    def _use_theme(self, event: Any) -> None:
        self.curves.use_theme(event.value)
        self.outcome.use_theme(event.value)

    def _connect(self) -> None:
        self.pairs.changed.connect(self._on_change)
        self.form.changed.connect(self._on_change)
        self.engines.found.connect(self._allow)
        self.preview.asked.connect(self._show_augmented)
        self.run.start_clicked.connect(self.start)
        self.run.other_clicked.connect(self.start_preview)
        self.run.cancel_clicked.connect(self.cancel)
        self.outcome.remedy_chosen.connect(self._apply)
        self.outcome.keep_button.clicked.connect(lambda: self.training.keep())
        shared, themed = session(self._viewer).changed, self._viewer.events.theme
        listen(self, shared, slot=self._on_models)
        listen(self, self.training.changed, slot=self._show_run)
        listen(self, self.training.progressed, slot=self._on_progress)
        listen(self, themed, slot=self._use_theme)

    def _lay_out(self) -> None:
        self.setMinimumWidth(WIDTH)
        content = QWidget()
        column = panel_layout(content)
        column.addWidget(self.pairs)
        column.addWidget(heading("Settings"))
        column.addWidget(self.form)
        column.addWidget(self.caution)
        column.addWidget(self.run)
        self.curves.hide()
        column.addWidget(self.curves)
        column.addWidget(self.outcome)
        column.addWidget(heading("Model"))
        column.addWidget(self.models)
        column.addStretch(1)
        area = QScrollArea()
        area.setWidget(content)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFrameShape(QFrame.Shape.NoFrame)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(area)
