"""The training window: pairs, settings, start, curves, result, models."""

from collections.abc import Callable, Generator, Sequence
from typing import Any

import napari
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from napari_lungcls.errors import InputError
from napari_lungcls.gui.lifetime import listen
from napari_lungcls.gui.parts import RunBar, heading, panel_layout
from napari_lungcls.gui.preferences import preferences
from napari_lungcls.gui.session import session
from napari_lungcls.gui.train import words
from napari_lungcls.gui.train.augmentation import AugmentationPreview
from napari_lungcls.gui.train.curves import Curves
from napari_lungcls.gui.train.engines import EngineCheck
from napari_lungcls.gui.train.form import SettingsForm
from napari_lungcls.gui.train.gather import Material, gather, obstacle
from napari_lungcls.gui.train.models import ModelBox
from napari_lungcls.gui.train.outcome import Outcome
from napari_lungcls.gui.train.pairs import PairList
from napari_lungcls.gui.train.words import Remedy
from napari_lungcls.gui.workers import Job, start
from napari_lungcls.learning.form_hints import AUGMENTATION
from napari_lungcls.learning.preview import preview_settings
from napari_lungcls.learning.progress import TrainingProgress
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.model import Model
from napari_lungcls.trainings import training

PREVIEW = (
    "A first model in seconds, to see a map while you label: the trunk stays as it is and only "
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
        self.job: Job | None = None
        self._planned: int | None = None
        self._cancelled = False
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
        self.run.cancel_button.setToolTip("Stop now; the best network so far is kept.")
        self.curves, self.outcome = Curves(theme), Outcome(theme)
        self.models, self.engines = ModelBox(napari_viewer), EngineCheck(self)
        self._lay_out()
        self._connect()
        self._allow()
        self._show_current()

    def start(self) -> None:
        """Train on the chosen pairs with the settings of the form."""
        self._start(self.form.settings)

    def start_preview(self) -> None:
        """Fit heads to a trunk as it is: a first model in seconds."""
        self._start(lambda: preview_settings(self.form.settings()))

    def _start(self, settings: Callable[[], TrainingSettings]) -> None:
        if self.job is not None:
            return
        try:
            material = gather(self.pairs.pairs)
        except InputError as error:
            self._refuse(str(error))
            return
        self._planned, self._cancelled = None, False
        self.curves.clear()
        self.curves.show()
        self.outcome.clear()
        self.run.begin("starting…")
        work = _Work(material, settings())
        self.job = start(
            work,
            owner=self,
            progressed=self._on_progress,
            returned=self._on_model,
            failed=lambda line: self._refuse(line, words.remedies(work.refusal)),
            ended=self._on_end,
        )

    def cancel(self) -> None:
        """End the run; the best network so far is kept."""
        if self.job is not None:
            self._cancelled = True
            self.job.cancel()

    def _on_progress(self, progress: TrainingProgress) -> None:
        self._planned = progress.epochs or self._planned
        self.run.report(progress.done, progress.total, progress.words, progress.remaining)
        self.curves.add(progress)

    def _on_model(self, model: Model | None) -> None:
        if model is None:
            self.outcome.refuse("Cancelled before the first step; there is no new model.")
            return
        shared = session(self._viewer)
        taken = [known.name for known in shared.models]
        said = words.result(model.document, self._planned, cancelled=self._cancelled)
        self.curves.show_history(model.document.history)
        shared.add(model, words.model_name(model.scheme.name, taken))
        self.outcome.show_document(model.document, said)

    def _on_end(self) -> None:
        self.job = None
        self._allow()

    def _refuse(self, line: str, remedies: Sequence[Remedy] = ()) -> None:
        self.curves.setVisible(bool(self.curves.history.records))
        self.outcome.refuse(f"{line[:1].upper()}{line[1:].rstrip('.')}.", remedies)

    def _show_augmented(self) -> None:
        try:
            material = gather(self.pairs.pairs)
        except InputError as error:
            self.preview.refuse(str(error))
            return
        self.preview.draw(material, self.form.settings())

    def _apply(self, remedy: Remedy) -> None:
        self.form.set(remedy.field, remedy.value)
        self.outcome.clear()

    def _allow(self) -> None:
        """Enable the start button, or say why not."""
        engine = str(self.form.controls["engine"].get())
        missing = obstacle(self.pairs.pairs) or self.form.problem
        self.preview.allow(missing)
        reason = missing or self.engines.reason(engine)
        self.run.allow(reason)
        if self.job is None:
            self.run.end(reason)

    def _show_current(self) -> None:
        """Show the figures of the current model: it may have come from elsewhere."""
        found = session(self._viewer).current
        if self.job is None and found is not None:
            document = found.model.document
            self.curves.show_history(document.history)
            self.curves.setVisible(bool(document.history))
            self.outcome.show_document(document)

    def _use_theme(self, event: Any) -> None:
        self.curves.use_theme(event.value)
        self.outcome.use_theme(event.value)

    def _connect(self) -> None:
        self.pairs.changed.connect(self._allow)
        self.form.changed.connect(self._allow)
        self.engines.found.connect(self._allow)
        self.preview.asked.connect(self._show_augmented)
        self.run.start_clicked.connect(self.start)
        self.run.other_clicked.connect(self.start_preview)
        self.run.cancel_clicked.connect(self.cancel)
        self.outcome.remedy_chosen.connect(self._apply)
        shared, themed = session(self._viewer).changed, self._viewer.events.theme
        listen(self, shared, slot=self._show_current)
        listen(self, themed, slot=self._use_theme)

    def _lay_out(self) -> None:
        self.setMinimumWidth(WIDTH)
        content = QWidget()
        column = panel_layout(content)
        column.addWidget(self.pairs)
        column.addWidget(heading("Settings"))
        column.addWidget(self.form)
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


class _Work:
    """The job: training, with messages in the window's terms.

    Attributes
    ----------
    refusal
        The core's own message, if it refused.
    """

    def __init__(self, material: Material, settings: TrainingSettings) -> None:
        self._material, self._settings = material, settings
        self.refusal = ""

    def __call__(
        self, cancelled: Callable[[], bool]
    ) -> Generator[TrainingProgress, None, Model | None]:
        material = self._material
        steps = training(
            material.pairs, None, self._settings, classes=material.scheme, cancelled=cancelled
        )
        try:
            return (yield from steps)
        except InputError as error:
            if cancelled():
                return None
            self.refusal = str(error)
            raise
