"""The buttons that start, pause and cancel a run, and how far it is."""

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QProgressBar, QWidget

from napari_lungcls.gui.messages import remaining
from napari_lungcls.gui.parts import (
    SPACING,
    beside,
    button,
    column,
    lay_out,
    note,
    primary,
    redden,
    show_text,
)


class RunBar(QWidget):
    """Start, pause and cancel buttons, a progress bar and a status line.

    Parameters
    ----------
    start
        Text of the start button.
    name
        Prefix of the buttons' object names.
    pausable
        Whether there is a pause button.
    other
        Text of a second start button; none if empty.
    """

    start_clicked = Signal()
    other_clicked = Signal()
    cancel_clicked = Signal()
    pause_toggled = Signal(bool)

    def __init__(
        self,
        start: str,
        name: str = "run",
        *,
        pausable: bool = False,
        other: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.running = self._refused = False
        self.start_button = primary(button(start, f"{name}_start"))
        self.other_button = button(other, f"{name}_{other.lower()}")
        self.pause_button = button("Pause", f"{name}_pause")
        self.cancel_button = button("Cancel", f"{name}_cancel")
        self.pause_button.setCheckable(True)
        self.bar, self.words = QProgressBar(), note(name=f"{name}_status")
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        row = [(self.start_button, 2)]
        row += [(self.other_button, 1)] * bool(other) + [(self.pause_button, 1)] * pausable
        layout = column(self)
        layout.setContentsMargins(0, SPACING, 0, 0)
        self._buttons = beside(*row, (self.cancel_button, 1))
        for widget in (self._buttons, self.bar, self.words):
            layout.addWidget(widget)
        self.start_button.clicked.connect(self.start_clicked)
        self.other_button.clicked.connect(self.other_clicked)
        self.cancel_button.clicked.connect(self._on_cancel)
        self.pause_button.toggled.connect(self._on_pause)
        self._show_running(False)
        show_text(self.words, "")

    def add(self, widget: QWidget) -> None:
        """Put a small button behind the others."""
        row = self._buttons.layout()
        assert row is not None
        row.addWidget(widget)

    def begin(self, words: str) -> None:
        """Show that the work has started; its extent is not known yet."""
        redden(self.words, False)
        self.bar.setRange(0, 0)
        show_text(self.words, words)
        self._show_running(True)

    def report(self, done: int, total: int, words: str, seconds: float | None) -> None:
        """Show the progress, and the seconds left if known."""
        # Else the bar draws itself, and the window with it, before the words have changed.
        self.bar.setUpdatesEnabled(False)
        self.bar.setRange(0, max(1, total))
        self.bar.setValue(done)
        self.bar.setUpdatesEnabled(True)
        if not self.pause_button.isChecked() and self.cancel_button.isEnabled():
            left = "" if seconds is None else f", {remaining(seconds)}"
            show_text(self.words, f"{words}{left}")
        lay_out(self)

    def end(self, words: str, *, refused: bool = False) -> None:
        """Show that the work has ended, and how."""
        show_text(self.words, words)
        redden(self.words, refused)
        self._show_running(False)

    def show_paused(self, paused: bool) -> None:
        """Show that the work is paused or running."""
        with QSignalBlocker(self.pause_button):
            self.pause_button.setChecked(paused)
        self.pause_button.setText("Resume" if paused else "Pause")
        if paused:
            show_text(self.words, "paused")

    def show_cancelling(self) -> None:
        """Show that cancellation was requested."""
        self.cancel_button.setEnabled(False)
        show_text(self.words, "cancelling…")

    def allow(self, reason: str = "") -> None:
        """Enable the start button, or disable it with the reason as its tooltip."""
        self.start_button.setToolTip(reason)
        self._refused = bool(reason)
        self._enable()

    def _enable(self) -> None:
        for start in (self.start_button, self.other_button):
            start.setEnabled(not self.running and not self._refused)

    def _show_running(self, running: bool) -> None:
        self.running = running
        self._enable()
        self.cancel_button.setEnabled(running)
        self.pause_button.setEnabled(running)
        self.show_paused(False)
        self.bar.setVisible(running)
        lay_out(self)

    def _on_cancel(self) -> None:
        self.show_cancelling()
        self.cancel_clicked.emit()

    def _on_pause(self, paused: bool) -> None:
        self.show_paused(paused)
        self.pause_toggled.emit(paused)
