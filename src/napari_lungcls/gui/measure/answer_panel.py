"""Asking the questions of an audit, one at a time."""

from pathlib import Path

import napari
from qtpy.QtWidgets import QLabel, QProgressBar, QStackedWidget, QWidget

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.gui.dialogs import ask_open
from napari_lungcls.gui.label.class_buttons import ClassButtons
from napari_lungcls.gui.lifetime import at_end, listen
from napari_lungcls.gui.measure.auditing import Auditing
from napari_lungcls.gui.measure.crossings import Crossings
from napari_lungcls.gui.measure.images import reader_of, short_name
from napari_lungcls.gui.measure.scheme_choice import SchemeChoice
from napari_lungcls.gui.notices import refuse
from napari_lungcls.gui.parts import beside, button, column, note, show_text
from napari_lungcls.gui.questions.panel import QuestionPanel
from napari_lungcls.gui.session import session
from napari_lungcls.gui.titles import in_window
from napari_lungcls.utils.humanize import count

NO_TABLE = "Make test points above, or open a table of them."
SKIP, UNDO = "Space", ("Ctrl+Z", "Backspace")
DIGITS = "0123456789"
ASKED = {
    "class": "Which class lies exactly at the middle of the cross?",
    "crossings": "How often does the line cross a surface between air and tissue?",
}


class AnswerPanel(QuestionPanel):
    """Asks what lies at the test points, and how often their lines cross a surface.

    Parameters
    ----------
    viewer
        The viewer.
    """

    def __init__(self, viewer: "napari.Viewer", parent: QWidget | None = None) -> None:
        super().__init__(viewer, parent)
        self.auditing = session(viewer).part(Auditing)
        self._wanted = ""
        self._offered: ClassScheme | None = None
        self.classes = SchemeChoice(viewer)
        self.words, self.question, self.missing = (
            note(name="audit_words"),
            note(name="audit_question"),
            note(name="audit_missing"),
        )
        self.start_button = self._button("Start", "audit_start", "")
        self.stop_button = self._button(
            "Stop", "audit_stop", "Show maps and layers again; every answer is saved"
        )
        self.open_image_button = button("Open…", "audit_open_image", "Open this image")
        self.missing_row = beside((self.missing, 1), self.open_image_button)
        self.buttons, self.crossings = ClassButtons(blind=True), Crossings()
        self.skip_button = self._button("Skip", "audit_skip", "Ask it again in the end (Space)")
        self.undo_button = self._button(
            "Undo", "audit_undo", "Take the last answer back (Backspace or Ctrl+Z)"
        )
        self.choice = beside(QLabel("Classes"), (self.classes, 1))
        self.actions = beside((self.skip_button, 1), (self.undo_button, 1))
        self.answers, self.bar = QStackedWidget(), QProgressBar()
        self._lay_out()
        self._connect()
        self._show()

    def open(self, path: Path) -> bool:
        """Open a table of test points; return whether it could be opened."""
        for scheme in [self.classes.scheme, *self.classes.schemes]:
            try:
                self.auditing.open(path, scheme)
            except InputError as error:
                # Answers of before may be of other classes than those of the map.
                problem = error
            else:
                return True
        refuse(problem)
        show_text(self.words, in_window(problem))
        return False

    def answer(self, value: str | int) -> None:
        """Answer the question, as a key or a button does."""
        self._try(lambda: self.auditing.answer(value))

    def _stop(self) -> None:
        self.auditing.stop()

    def _on_key(self, key: str) -> None:
        question = self.auditing.question
        if question is None or not self.auditing.answering:
            return
        if key == SKIP:
            self.auditing.skip()
        elif key in UNDO:
            self._try(self.auditing.undo)
        elif question.kind == "crossings":
            if key in DIGITS:
                self.answer(int(key))
        elif named := [spec.name for spec in self._asked().classes if spec.key == key]:
            self.answer(named[0])

    def _asked(self) -> ClassScheme:
        audit = self.auditing.audit
        return self.classes.scheme if audit is None else audit.scheme

    def _show(self, event: object = None) -> None:
        """Show the question, or what to do for there to be one."""
        auditing, audit = self.auditing, self.auditing.audit
        question, answering = auditing.question, auditing.answering
        self._take_keys(self._answer_keys() if answering else ())
        missing = auditing.not_open()
        done, total = (0, 0) if audit is None else (audit.done, audit.total)
        self.start_button.setVisible(not answering and not (total and done == total))
        self.start_button.setEnabled(total - done > sum(missing.values()))
        self.start_button.setText("Continue" if done else "Start")
        self.stop_button.setVisible(answering)
        self.choice.setVisible(not answering)
        self.classes.setEnabled(audit is None or not done)
        if self._asked() != self._offered:
            self._offered = self._asked()
            self.buttons.show_scheme(self._offered)
        for widget in (self.question, self.answers, self.actions):
            widget.setVisible(answering)
        self.bar.setVisible(bool(total))
        self.bar.setRange(0, max(1, total))
        self.bar.setValue(done)
        self.bar.setFormat(f"{done:,} of {total:,}")
        show_text(self.words, "" if answering else self._summary(done, total))
        self._show_missing(missing)
        if question is not None and answering:
            self.question.setText(ASKED[question.kind])
            self.answers.setCurrentWidget(
                self.buttons if question.kind == "class" else self.crossings
            )
            self.crossings.clear()
            self.undo_button.setEnabled(auditing.can_undo)

    def _summary(self, done: int, total: int) -> str:
        path = self.auditing.path
        if path is None:
            return NO_TABLE
        if done == total:
            return f"{path.name}: every question is answered."
        return f"{path.name}: {count(total - done, 'question')} to answer."

    def _show_missing(self, missing: dict[str, int]) -> None:
        """Say which image to open for the questions that cannot be asked."""
        self._wanted = next(iter(missing), "")
        text = ""
        if missing:
            others = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            text = (
                f"{count(sum(missing.values()), 'question')} left out until you open "
                f"{short_name(self._wanted)}{others}."
            )
        self.missing.setText(text)
        self.missing_row.setVisible(bool(missing))

    def _answer_keys(self) -> list[str]:
        own = [spec.key for spec in self._asked().classes if spec.key is not None]
        return [*own, *DIGITS, SKIP, *UNDO]

    def _on_scheme(self, index: int = 0) -> None:
        path, audit, chosen = self.auditing.path, self.auditing.audit, self.classes.scheme
        if path is not None and audit is not None and not audit.scheme.same_classes(chosen):
            self._try(lambda: self.auditing.open(path, chosen))

    def _on_start(self) -> None:
        # A field that was typed in before must not keep the keys.
        self.setFocus()
        self.auditing.start()

    def _open_image(self) -> None:
        name = short_name(self._wanted)
        if path := ask_open(self, f"Open {name}", "All files (*)"):
            self._viewer.open(str(path), plugin=reader_of(path))

    def _connect(self) -> None:
        auditing = self.auditing
        listen(self, auditing.changed, slot=self._show)
        at_end(self, auditing.stop)
        self.start_button.clicked.connect(self._on_start)
        self.stop_button.clicked.connect(auditing.stop)
        self.skip_button.clicked.connect(auditing.skip)
        self.undo_button.clicked.connect(lambda: self._try(auditing.undo))
        self.open_image_button.clicked.connect(self._open_image)
        self.classes.currentIndexChanged.connect(self._on_scheme)
        self.buttons.chosen.connect(self.answer)
        self.crossings.chosen.connect(self.answer)

    def _lay_out(self) -> None:
        self.bar.setObjectName("audit_bar")
        self.answers.addWidget(self.buttons)
        self.answers.addWidget(self.crossings)
        layout = column(self)
        for widget in (
            self.choice,
            self.words,
            self.question,
            self.answers,
            self.actions,
            self.bar,
            self.missing_row,
            self.start_button,
            self.stop_button,
        ):
            layout.addWidget(widget)
