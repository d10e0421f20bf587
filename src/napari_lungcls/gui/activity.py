"""Background jobs in napari's activity dock: how far they are, and a button to cancel."""

import io
import math
from collections.abc import Callable
from typing import Any

from napari.utils.progress import cancelable_progress
from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QApplication, QLabel, QStatusBar

from napari_lungcls.gui.messages import remaining

AFTER = 1000
"""Milliseconds after which a job is shown; shorter ones would only flicker."""

BETWEEN = 400
"""Milliseconds between two updates."""

STEPS = 1000
"""Length of the bar."""

SPINNING = 20
"""Speed of napari's spinner once it shows a job of ours, in percent: seven pictures a second."""


class ActivityBar(cancelable_progress):
    """A progress bar of napari that never runs backwards, with our words beside it.

    Parameters
    ----------
    title
        What is being done, such as `Training`.
    cancel
        Called when its Cancel button is clicked.
    """

    def __init__(self, title: str, cancel: Callable[[], None]) -> None:
        self._cancel, self.words, self._long = cancel, "", 0
        # Without a window, tqdm would write to the terminal.
        super().__init__(desc=title, total=0, file=io.StringIO(), leave=False)

    def show(self, share: float, words: str) -> None:
        """Show the share that is done, 0 to 1, and what is being done."""
        self.words = words
        if not self._long:
            self.total = self._long = STEPS
        self.display()
        self.update(max(0, math.floor(min(share, 1.0) * STEPS) - self.n))

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Write the words beside the bar."""
        if not self.is_init:
            self.events.eta(value=self.words)

    def cancel(self) -> None:
        """Cancel the job."""
        super().cancel()
        self._cancel()


class JobActivity(QObject):
    """Shows one job in the activity dock, from its first second to its end.

    napari's bars run the event loop whenever they change. So they are touched by a timer only,
    when nothing of ours is in the middle of something.

    Parameters
    ----------
    title, cancel
        See `ActivityBar`.
    parent
        The job.
    """

    def __init__(self, title: str, cancel: Callable[[], None], parent: QObject) -> None:
        super().__init__(parent)
        self._title, self._cancel = title, cancel
        self._bar: ActivityBar | None = None
        self._share, self._words = -1.0, ""
        self._busy = self._closed = False
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._tick)
        self._timer.start(AFTER)

    def note(self, report: Any) -> None:
        """Take in a report of the core: with `done` and `total`, or a pair of them."""
        pair = isinstance(report, tuple) and len(report) >= 2
        done, total = report[:2] if pair else (
            getattr(report, "done", None), getattr(report, "total", None)
        )  # fmt: skip
        if isinstance(done, int | float) and isinstance(total, int | float) and total > 0:
            self._share = max(self._share, done / total)
        words = str(getattr(report, "words", ""))
        seconds = getattr(report, "remaining", None)
        left = remaining(seconds) if isinstance(seconds, int | float) else ""
        self._words = ", ".join(part for part in (words, left) if part)

    def stop(self) -> None:
        """Show no bar any more; one that is there stays until `close`."""
        self._closed = True
        self._timer.stop()

    def close(self) -> None:
        """Take the bar away; the job has ended."""
        self.stop()
        if not self._busy:
            self._take_away()

    def _tick(self) -> None:
        if self._busy:
            return
        self._busy = True
        if self._bar is None:
            self._timer.setInterval(BETWEEN)
            _slow_spinner()
            self._bar = ActivityBar(self._title, self._cancel)
        if self._share >= 0 and not self._closed:
            self._bar.show(self._share, self._words)
        self._busy = False
        # The job may have ended while napari ran the event loop, and Qt have deleted this object:
        # from here on nothing of Qt may be touched.
        if self._closed:
            self._take_away()

    def _take_away(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _slow_spinner() -> None:
    """Let napari's spinner in the status bar turn slowly.

    It changes 33 times a second, and each time Qt puts the whole window together anew, images
    and all. Without a graphics card that takes nearly half of two cores, which the job needs.
    """
    for window in QApplication.topLevelWidgets():
        # To ask a main window for its status bar would give it one.
        for bar in window.findChildren(QStatusBar):
            for label in bar.findChildren(QLabel):
                if (movie := label.movie()) is not None:
                    movie.setSpeed(SPINNING)
