"""The Train window: images and points, settings, training, results and models."""

from collections.abc import Callable
from typing import Any

import napari
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_lungcls.annotation.columns import CLASS_COLUMN
from napari_lungcls.errors import InputError
from napari_lungcls.gui.docks import keep_tidy
from napari_lungcls.gui.image_layer import stack_of
from napari_lungcls.gui.lifetime import listen
from napari_lungcls.gui.parts import Caution, heading, panel_layout, scrolled, show_text
from napari_lungcls.gui.preferences import preferences
from napari_lungcls.gui.recipes.button import CopyButton
from napari_lungcls.gui.recipes.lines import MakeRecipe
from napari_lungcls.gui.run_bar import RunBar
from napari_lungcls.gui.session import session
from napari_lungcls.gui.titles import in_window
from napari_lungcls.gui.train.augmentation import AugmentationPreview
from napari_lungcls.gui.train.changed import ChangedSettings
from napari_lungcls.gui.train.curves import Curves
from napari_lungcls.gui.train.form import SettingsForm
from napari_lungcls.gui.train.looks import looks
from napari_lungcls.gui.train.models import ModelBox
from napari_lungcls.gui.train.outcome import Outcome
from napari_lungcls.gui.train.pairs import PairList, count_classes, gather, obstacle, remarks
from napari_lungcls.gui.train.recipe import training_recipe
from napari_lungcls.gui.train.run import TrainingHistory, TrainingRun
from napari_lungcls.gui.train.words import Remedy
from napari_lungcls.gui.workers import start_call
from napari_lungcls.learning.form_hints import AUGMENTATION
from napari_lungcls.learning.preview import preview_settings
from napari_lungcls.learning.progress import TrainingProgress
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.network.engines import engine_status

PREVIEW = (
    "A first model in half a minute, to see a map while you label: only the classification\n"
    "heads are fitted, to all points, on an unchanged backbone. Train once you have enough\n"
    "points."
)

WIDTH = 300
"""Least width in pixels at which nothing is cut off."""

DEFAULT_ENGINE = str(TrainingSettings.model_fields["engine"].default)
"""Always available, so its library need not be imported to find out."""


class TrainModel(QWidget):
    """Trains a network on labelled points and makes it the current model of the viewer."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self.training = session(napari_viewer).part(TrainingRun)
        self._refused: tuple[object, ...] | None = None
        theme = napari_viewer.theme
        self.pairs = PairList(napari_viewer)
        chosen = preferences()
        self.form = SettingsForm(defaults={"engine": chosen.engine, "device": chosen.device})
        self.changed_settings = ChangedSettings(self.form)
        self.preview = AugmentationPreview()
        self.form.add_below(AUGMENTATION, self.preview)
        self.run = RunBar("Train", "train", other="Preview")
        self.run.other_button.setToolTip(PREVIEW)
        self.run.cancel_button.setToolTip("Stop training; you may keep the best network so far.")
        self.copy_button = CopyButton("train", self._recipe)
        self.run.add(self.copy_button)
        self.curves, self.outcome = Curves(theme), Outcome(napari_viewer)
        self.caution = Caution("train_caution")
        self.models = ModelBox(napari_viewer)
        self.more = QVBoxLayout()  # for what the guided window adds below
        self._engine_problems = {DEFAULT_ENGINE: ""}
        self._lay_out()
        self._connect()
        self._show_run()
        keep_tidy(self, napari_viewer, "Train")

    def start(self) -> None:
        """Train on the chosen pairs with the settings of the form."""
        self._start(self.form.settings)

    def start_preview(self) -> None:
        """Fit heads on an unchanged backbone: a first model in half a minute."""
        self._start(lambda: preview_settings(self.form.settings()))

    def _recipe(self) -> MakeRecipe:
        """Note what `start` would train on, and how."""
        if self.form.problem:
            raise InputError(self.form.problem)
        return training_recipe(self._viewer, self.pairs.pairs, self.form.settings())

    def _start(self, settings: Callable[[], TrainingSettings]) -> None:
        if self.training.job is not None:
            return
        try:
            pairs, scheme = gather(self.pairs.pairs)
        except InputError as error:
            self.training.refuse(in_window(error))
            return
        self.training.start(pairs, scheme, settings())

    def _show_run(self) -> None:
        """Show the training, which another window may have started, or how it ended."""
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
        words = progress.words
        if progress.phase == "training" and progress.remaining is None:
            words += ", estimating…"
        self.run.report(progress.done, progress.total, words, progress.remaining)
        self.curves.draw_soon()

    def _on_change(self) -> None:
        """Clear an error once settings or points have changed, as its cause may be gone."""
        if self._refused is not None and self._refused != self._asked_for():
            self.training.forget_refusal()
        self._allow()

    def _asked_for(self) -> tuple[object, ...]:
        """Give the settings, layers and labelled points in a form that can be compared."""
        layers = [row.pair for row in self.pairs.rows]
        points = [
            (layer.data.tobytes(), list(map(str, layer.features.get(CLASS_COLUMN, ()))))
            for _, layer in layers
            if layer is not None
        ]
        return str([control.get() for control in self.form.controls.values()]), layers, points

    def _show_augmented(self) -> None:
        try:
            pairs, scheme = gather(self.pairs.pairs)
        except InputError as error:
            self.preview.refuse(in_window(error))
            return
        self.preview.draw(pairs, scheme, self.form.settings())

    def _apply(self, remedy: Remedy) -> None:
        self.form.set(remedy.field, remedy.value)
        self.training.forget_refusal()

    def _allow(self) -> None:
        """Enable the start button, or say why it is disabled."""
        engine = str(self.form.controls["engine"].get())
        missing = obstacle(self.pairs.pairs) or self.form.problem
        self.preview.allow(missing)
        show_text(self.form.looks, self._looks())
        reason = missing or self._engine_problem(engine)
        self.run.allow(reason)
        if self.training.job is None:
            self.run.end(reason)
        self.caution.show_lines([*remarks(self.pairs.pairs), *self.training.warnings])

    def _looks(self) -> str:
        """Say which zooms are chosen, as far as that can be told now."""
        if self.form.problem:
            return ""
        try:
            stacks = [stack_of(image) for image, _ in self.pairs.pairs if image is not None]
        except InputError:
            return ""
        layers = [layer for _, layer in self.pairs.pairs if layer is not None]
        points = sum(count_classes(layer).total() for layer in layers)
        return looks(self.form.settings(), stacks, points)

    def _engine_problem(self, name: str) -> str:
        """Say why an engine cannot run here; empty if it can, or until a thread has checked it."""
        if name not in self._engine_problems:
            self._engine_problems[name] = ""
            start_call(
                lambda: engine_status(name),
                owner=self,
                returned=lambda status: self._on_engine(name, status),
            )
        return self._engine_problems[name]

    def _on_engine(self, name: str, status: dict[str, Any]) -> None:
        line = str(status.get("reason", "")).rstrip(".")
        self._engine_problems[name] = f"{line[:1].upper()}{line[1:]}." if line else ""
        self._allow()

    def _on_models(self) -> None:
        """Show the current model, unless it is the one that was just trained."""
        ended, current = self.training.ended, session(self._viewer).current
        own = ended is not None and current is not None and current.model.document is ended.document
        offers = ended is not None and ended.offered is not None
        if self.training.job is None and not own and not offers:
            self._show_current()

    def _show_current(self) -> None:
        """Show the metrics of the current model, which may come from a file."""
        found = session(self._viewer).current
        if found is not None:
            document = found.model.document
            self.curves.show_history(TrainingHistory.of(document))
            self.curves.setVisible(bool(document.history))
            self.outcome.show_document(document)

    def _use_theme(self, event: Any) -> None:
        self.curves.use_theme(event.value)
        self.outcome.use_theme(event.value)

    def _connect(self) -> None:
        self.pairs.changed.connect(self._on_change)
        self.form.changed.connect(self._on_change)
        self.preview.asked.connect(self._show_augmented)
        self.run.start_clicked.connect(self.start)
        self.run.start_clicked.connect(self.changed_settings.remember)
        self.run.other_clicked.connect(self.start_preview)
        self.run.cancel_clicked.connect(self.training.cancel)
        self.outcome.remedy_chosen.connect(self._apply)
        self.outcome.keep_button.clicked.connect(lambda: self.training.keep())
        self.outcome.save_button.clicked.connect(self.models.ask_where)
        listen(self, session(self._viewer).changed, slot=self._on_models)
        listen(self, self.training.changed, slot=self._show_run)
        listen(self, self.training.progressed, slot=self._on_progress)
        listen(self, self._viewer.events.theme, slot=self._use_theme)

    def _lay_out(self) -> None:
        self.setMinimumWidth(WIDTH)
        content = QWidget()
        layout = panel_layout(content)
        self.curves.hide()
        for widget in (
            self.pairs,
            heading("Settings"),
            self.form,
            self.outcome,
            self.curves,
            heading("Model"),
            self.models,
        ):
            layout.addWidget(widget)
        layout.addLayout(self.more)
        layout.addStretch(1)
        scrolled(self, content, self.caution, self.run)
