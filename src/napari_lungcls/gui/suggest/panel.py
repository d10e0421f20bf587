"""Asking a model for places worth a label, and labelling them one after another."""

import napari
from qtpy.QtCore import QCoreApplication, QEvent, QSignalBlocker
from qtpy.QtWidgets import QComboBox, QProgressBar, QScrollArea, QSpinBox, QWidget

from napari_lungcls.annotation.points import Points
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.gui.label.class_buttons import ClassButtons
from napari_lungcls.gui.label.controller import labeller_of
from napari_lungcls.gui.lifetime import at_end, listen
from napari_lungcls.gui.parts import beside, column, narrow, note, show_text
from napari_lungcls.gui.questions.panel import QuestionPanel
from napari_lungcls.gui.run_bar import RunBar
from napari_lungcls.gui.session import NamedModel, session
from napari_lungcls.gui.suggest.queue import SuggestionQueue
from napari_lungcls.gui.titles import in_window
from napari_lungcls.gui.workers import BackgroundJob, start
from napari_lungcls.utils.humanize import count
from napari_lungcls.utils.progress import Step

UNSURE = "where the model is unsure"
ACCEPT, SKIP, BACK = ("Return", "Enter"), "Space", ("Ctrl+Z", "Backspace")
USUAL, MOST = 20, 200


class SuggestionPanel(QuestionPanel):
    """Suggests places, shows them one after another, and takes a class for each.

    Parameters
    ----------
    viewer
        The viewer.
    """

    def __init__(self, viewer: "napari.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(viewer, parent)
        self.queue = session(viewer).part(SuggestionQueue)
        self._job: BackgroundJob | None = None
        self._offered: ClassScheme | None = None
        self._seed = 0
        self.order, self.number = QComboBox(), QSpinBox()
        self.run = RunBar("Suggest points", "suggest")
        self.bar, self.buttons = QProgressBar(), ClassButtons(blind=True)
        self.words, self.question = note(name="suggest_words"), note(name="suggest_question")
        self.accept_button = self._button("", "suggest_accept", "Label as proposed (Enter)")
        self.skip_button = self._button("Skip", "suggest_skip", "Leave this place out (Space)")
        self.back_button = self._button(
            "Back", "suggest_back", "Show the place before, and take its label back (Backspace)"
        )
        self.stop_button = self._button(
            "Stop", "suggest_stop", "Show maps and layers again; every label is kept"
        )
        self.resume_button = self._button("Continue", "suggest_resume", "Go on with what is left")
        self.choices = QWidget()
        self._lay_out()
        self._connect()
        self._fill()

    @property
    def previous(self) -> NamedModel | None:
        """The model to compare with, or None."""
        chosen = self.order.currentData()
        return chosen if isinstance(chosen, NamedModel) else None

    def suggest(self) -> None:
        """Look for places in a thread, and show the first."""
        if self._job is not None:
            return
        previous = None if self.previous is None else self.previous.model
        try:
            work = self.queue.work(self.number.value(), previous, self._seed)
        except InputError as error:
            self.run.end(in_window(error), refused=True)
            return
        # Asked again, it looks at other places.
        self._seed += 1
        self.run.begin("looking for tissue")
        self._job = start(
            work,
            owner=self,
            title="Suggesting points",
            progressed=self._on_progress,
            returned=self._on_places,
            failed=lambda line: self.run.end(line, refused=True),
            ended=self._on_end,
        )

    def label(self, name: str) -> None:
        """Give the shown place a class, as a key or a button does."""
        self._try(lambda: self.queue.label(name))

    def _on_progress(self, step: Step) -> None:
        self.run.report(step.done, step.total, step.words, None)

    def _on_places(self, points: Points) -> None:
        self.run.end("")
        # A field that was typed in before must not keep the keys.
        self.setFocus()
        self.queue.begin(points)
        self._come_into_view()

    def _resume(self) -> None:
        self.queue.resume()
        self._come_into_view()

    def _come_into_view(self) -> None:
        """Scroll what this panel is in, such as a step of a window, until it can be seen."""
        above = self.parentWidget()
        while above is not None and not isinstance(above, QScrollArea):
            above = above.parentWidget()
        if isinstance(above, QScrollArea):
            # At once, although the layout would follow later.
            QCoreApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest)
            above.ensureWidgetVisible(self.bar)
            above.ensureWidgetVisible(self.question)

    def _on_end(self) -> None:
        self._job = None
        if self.run.running:
            self.run.end("")
        self._show()

    def _cancel(self) -> None:
        if self._job is not None:
            self._job.cancel()

    def _stop(self) -> None:
        self.queue.stop()

    def _on_key(self, key: str) -> None:
        if not self.queue.showing:
            return
        if key in ACCEPT:
            self.label(self.queue.proposed)
        elif key == SKIP:
            self.queue.skip()
        elif key in BACK:
            self._try(self.queue.back)
        elif named := [spec.name for spec in self.queue.scheme.classes if spec.key == key]:
            self.label(named[0])

    def _fill(self) -> None:
        """List the orders: one for each model that the current one can be compared with."""
        chosen = self.previous
        with QSignalBlocker(self.order):
            self.order.clear()
            self.order.addItem(UNSURE, None)
            for named in self.queue.others():
                self.order.addItem(f"where it disagrees with {named.name}", named)
                if chosen is not None and named.name == chosen.name:
                    self.order.setCurrentIndex(self.order.count() - 1)
        self._show()

    def _show(self, event: object = None) -> None:
        """Show the place, or what to do for there to be some."""
        queue = self.queue
        showing, missing = queue.showing, queue.missing()
        self._take_keys(self._answers() if showing else ())
        self.choices.setVisible(not showing)
        self.run.setVisible(not showing)
        self.run.allow(missing)
        self.resume_button.setVisible(not showing and queue.at < queue.total)
        for widget in (self.question, self.accept_button, self.buttons, self.actions, self.bar):
            widget.setVisible(showing)
        self.stop_button.setVisible(showing)
        if showing:
            self._show_place()
            show_text(self.words, "")
        else:
            show_text(self.words, missing or self._summary())

    def _show_place(self) -> None:
        queue = self.queue
        if queue.scheme != self._offered:
            self._offered = queue.scheme
            self.buttons.show_scheme(queue.scheme)
        self.question.setText(f"What lies at the middle of the cross? The model says: {queue.why}.")
        self.accept_button.setText(f"{queue.proposed} is right (Enter)")
        self.back_button.setEnabled(queue.can_go_back)
        self.bar.setRange(0, max(1, queue.total))
        self.bar.setValue(queue.at + 1)
        self.bar.setFormat(f"{queue.at + 1} of {queue.total}")

    def _summary(self) -> str:
        queue = self.queue
        if not queue.total:
            return "Shows one place after another where a label would teach the model most."
        said = f"{count(queue.labelled, 'point')} labelled of {queue.total} suggested."
        if queue.at < queue.total:
            return said
        return f"{said} Train again, then ask for more."

    def _answers(self) -> list[str]:
        own = [spec.key for spec in self.queue.scheme.classes if spec.key is not None]
        return [*own, *ACCEPT, SKIP, *BACK]

    def _forget_refusal(self, _: object = None) -> None:
        if self._job is None:
            self.run.end("")

    def _on_layers(self, event: object = None) -> None:
        self._show()

    def _on_models(self) -> None:
        self._fill()

    def _connect(self) -> None:
        viewer = self._viewer
        listen(self, self.queue.changed, labeller_of(viewer).scheme_changed, slot=self._show)
        listen(self, session(viewer).changed, slot=self._on_models)
        listen(
            self, viewer.layers.events.inserted, viewer.layers.events.removed, slot=self._on_layers
        )
        at_end(self, self.queue.stop)
        self.run.start_clicked.connect(self.suggest)
        self.number.valueChanged.connect(self._forget_refusal)
        self.order.activated.connect(self._forget_refusal)
        self.run.cancel_clicked.connect(self._cancel)
        self.accept_button.clicked.connect(lambda: self.label(self.queue.proposed))
        self.skip_button.clicked.connect(self.queue.skip)
        self.back_button.clicked.connect(lambda: self._try(self.queue.back))
        self.stop_button.clicked.connect(self.queue.stop)
        self.resume_button.clicked.connect(self._resume)
        self.buttons.chosen.connect(self.label)

    def _lay_out(self) -> None:
        for widget, name, tip in (
            (self.order, "suggest_order", "Which places come first"),
            (self.number, "suggest_number", "How many places to suggest"),
            (self.bar, "suggest_bar", ""),
        ):
            widget.setObjectName(name)
            widget.setToolTip(tip)
        narrow(self.order, 8)
        self.number.setRange(1, MOST)
        self.number.setValue(USUAL)
        self.actions = beside((self.skip_button, 1), (self.back_button, 1), (self.stop_button, 1))
        self.number.setSuffix(" places")
        choices = column(self.choices)
        choices.addWidget(self.number)
        choices.addWidget(self.order)
        layout = column(self)
        for widget in (
            self.words,
            self.choices,
            self.run,
            self.resume_button,
            self.question,
            self.accept_button,
            self.buttons,
            self.actions,
            self.bar,
        ):
            layout.addWidget(widget)
