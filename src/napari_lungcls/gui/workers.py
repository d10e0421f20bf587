"""Long work in threads; the only module that uses napari's workers."""

import atexit
import gc
import os
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Generator
from typing import Any

from napari.qt.threading import GeneratorWorker, create_worker
from napari.utils.notifications import show_warning
from qtpy.QtCore import QCoreApplication, QEvent, QObject, QThread, QThreadPool, Signal

from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.gui.activity import JobActivity
from napari_lungcls.gui.lifetime import when_destroyed
from napari_lungcls.gui.notices import refuse
from napari_lungcls.gui.titles import in_window

Work = Callable[[Callable[[], bool]], Generator[Any, None, Any]]
"""Takes `cancelled` and returns a generator of the core."""

LEAST_THREADS = 6
"""Least size of the thread pool, so that a click need not wait for running jobs."""

NICENESS = 10
"""Of the threads that compute, where the window's is 0: it is drawn first when both want to."""

BETWEEN_REPORTS = 0.05
"""Least seconds between two progress reports, so that they do not flood the window."""

_running: "weakref.WeakSet[BackgroundJob]" = weakref.WeakSet()

_in_thread: "dict[int, BackgroundJob]" = {}
"""Running jobs by thread identifier."""

_notified: set[str] = set()

_pool = QThreadPool()
"""Our own, not Qt's that all plugins share: a thread that has stepped back cannot come forward."""
_pool.setMaxThreadCount(max(LEAST_THREADS, _pool.maxThreadCount()))
_pool.setThreadPriority(QThread.Priority.LowPriority)


class BackgroundJob(QObject):
    """A generator of the core that runs in a thread.

    Signals arrive in the window's thread: `progressed` with what the generator yields, at a
    limited rate, and `warned` with each different warning of the core; then `returned` with
    its value or `failed` with one line; `ended` in any case.

    Parameters
    ----------
    work
        Takes `cancelled`, which the generator should call regularly, and returns the generator.
    owner
        When it is destroyed, the job is cancelled and reports nothing more.
    title
        What napari's activity dock calls it; it is not shown there if empty.
    """

    progressed = Signal(object)
    warned = Signal(str)
    returned = Signal(object)
    failed = Signal(str)
    ended = Signal()

    def __init__(self, work: Work, owner: QObject, title: str = "") -> None:
        super().__init__(QCoreApplication.instance())
        self._work = work
        self._cancelled, self._awake = threading.Event(), threading.Event()
        self._awake.set()
        self._left = threading.Event()
        self._over = self._silent = False
        self._lines: set[str] = set()
        self._worker: Any = create_worker(self._steps, _worker_class=_Worker, _start_thread=False)
        self._worker.yielded.connect(self._on_progress)
        self._worker.returned.connect(self._on_return)
        self._worker.errored.connect(self._on_error)
        self._worker.finished.connect(self._on_end)
        self._owner = weakref.ref(owner)
        self._forget = _drop_with(owner, self)
        self._activity = JobActivity(title, self.cancel, self) if title else None

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return not self._over

    @property
    def paused(self) -> bool:
        """Whether it is paused."""
        return not self._awake.is_set()

    @property
    def cancelling(self) -> bool:
        """Whether cancellation was requested."""
        return self._cancelled.is_set()

    def begin(self) -> None:
        """Start the thread."""
        if not _running:
            # A full garbage collection stops all threads. With a deep-learning library loaded
            # there are millions of objects, and the window would freeze for a third of a
            # second. While jobs run, only new objects are examined.
            gc.freeze()
        _running.add(self)
        _wait_at_exit()
        _hear_warnings()
        self._worker.start()

    def cancel(self) -> None:
        """Ask the generator to stop; it returns what it has so far."""
        self._cancelled.set()
        self._awake.set()

    def pause(self) -> None:
        """Pause when the generator next calls `cancelled`."""
        self._awake.clear()

    def resume(self) -> None:
        """Resume after a pause."""
        self._awake.set()

    def wait(self, milliseconds: int = 20_000) -> bool:
        """Wait until the generator has ended; return whether it has."""
        return self._left.wait(milliseconds / 1000)

    def drop(self) -> None:
        """Cancel, and report nothing more because the owner is gone."""
        self._silent = True
        if self._activity is not None:
            self._activity.stop()
        self.cancel()

    def works_for(self, window: QObject) -> bool:
        """Whether it still reports, and its owner is the window or lies in it."""
        found: QObject | None = None if self._silent else self._owner()
        while found is not None and found is not window:
            found = found.parent()
        return found is not None

    def _asked(self) -> bool:
        self._awake.wait()
        return self._cancelled.is_set()

    def _steps(self) -> Generator[Any, None, Any]:
        """Run the generator of the core, in the thread."""
        _in_thread[threading.get_ident()] = self
        try:
            return (yield from self._thinned(self._work(self._asked)))
        except InputError as error:
            # An exception would be shown with a traceback; this is no fault of the code.
            return _Refusal(in_window(error))
        finally:
            _in_thread.pop(threading.get_ident(), None)
            self._left.set()

    def warn(self, message: LungclsWarning | str) -> None:
        """Report what the core warns of in the job's thread, each line once."""
        line = in_window(message)
        if line not in self._lines and not self._silent:
            self._lines.add(line)
            self.warned.emit(line)

    def _thinned(self, generator: Generator[Any, None, Any]) -> Generator[Any, None, Any]:
        """Limit the rate of reports, but pass on the first, the last and every epoch."""
        latest: Any = None
        pending, last = False, 0.0
        while True:
            try:
                latest = next(generator)
            except StopIteration as stop:
                if pending:
                    yield latest
                return stop.value
            pending = time.perf_counter() - last < BETWEEN_REPORTS and not _must_tell(latest)
            if not pending:
                last = time.perf_counter()
                yield latest

    def _on_progress(self, value: Any) -> None:
        if self._activity is not None:
            self._activity.note(value)
        if not self._silent:
            self.progressed.emit(value)

    def _on_return(self, value: Any) -> None:
        if self._silent:
            return
        if isinstance(value, _Refusal):
            refuse(value.line)
            self.failed.emit(value.line)
        else:
            self.returned.emit(value)

    def _on_error(self, error: Exception) -> None:
        if not self._silent:
            self.failed.emit(f"{type(error).__name__}: {error}")

    def _on_end(self) -> None:
        self._over = True
        if self._activity is not None:
            self._activity.close()
        _running.discard(self)
        if not _running:
            gc.unfreeze()
        self._forget()
        if not self._silent:
            self.ended.emit()
        self.deleteLater()


class _Worker(GeneratorWorker):
    """A worker that does not touch the module `warnings`.

    superqt replaces the warning filters and hook of the whole process while a thread runs, so
    that overlapping threads disturb each other. It also mistakes a `RuntimeError`, as torch
    raises when out of memory, for a deleted worker, and then never emits `finished`.
    """

    def start(self) -> None:
        """Do what `WorkerBase.start` does otherwise, in our own pool."""
        self._worker_set.add(self)
        self._finished.connect(self._set_discard)
        _pool.start(self)

    def run(self) -> None:
        """Do what `WorkerBase.run` does otherwise, in a thread that lets the window go first."""
        if sys.platform == "linux":  # Where Qt's priorities of threads do nothing.
            # A program that was started with a higher niceness may not lower it.
            niceness = max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0))
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
        self.started.emit()
        self._running = True
        try:
            result = self.work()
            if isinstance(result, Exception):
                raise result
            if not self.abort_requested:
                self.returned.emit(result)
        except Exception as error:  # reported by `errored`
            self.errored.emit(error)
        self._running = False
        self.finished.emit()
        self._finished.emit(self)


class _Refusal:
    """The message of an `InputError`, returned from the thread."""

    def __init__(self, line: str) -> None:
        self.line = line


def _notify(line: str) -> None:
    """Show a warning as a notification, once."""
    if line not in _notified:
        _notified.add(line)
        show_warning(line)


def _hear_warnings() -> None:
    """Route warnings of the core in a job's thread to the job.

    napari replaces `warnings.showwarning` too, so every job checks that ours is in place. The
    filter lets each warning through every time; by default Python shows it once per process.
    """
    warnings.filterwarnings("always", category=LungclsWarning)
    before = warnings.showwarning
    if getattr(before, "of_lungcls", False):
        return

    def show(message: Warning | str, category: type[Warning], *where: Any, **options: Any) -> None:
        job = _in_thread.get(threading.get_ident())
        if job is not None and isinstance(message, LungclsWarning):
            job.warn(message)
        else:
            before(message, category, *where, **options)

    show.of_lungcls = True  # type: ignore[attr-defined]
    warnings.showwarning = show


def _must_tell(value: Any) -> bool:
    """Tell whether a report must not be dropped because it has the metrics of an epoch."""
    return getattr(value, "record", None) is not None


def start(
    work: Work,
    *,
    owner: QObject,
    title: str = "",
    progressed: Callable[[Any], None] | None = None,
    warned: Callable[[str], None] | None = None,
    returned: Callable[[Any], None] | None = None,
    failed: Callable[[str], None] | None = None,
    ended: Callable[[], None] | None = None,
) -> BackgroundJob:
    """Run a generator of the core in a thread.

    Parameters
    ----------
    work
        Takes `cancelled` and returns the generator.
    owner
        The widget that the callbacks belong to; when it is destroyed, the job is cancelled.
    title
        What napari's activity dock calls the job; it is not shown there if empty.
    progressed, warned, returned, failed, ended
        Called in the window's thread; see `BackgroundJob`. An `InputError` is also shown as a
        notification, any other exception as napari shows errors, and a warning without a
        callback as a notification, once.
    """
    job = BackgroundJob(work, owner, title)
    for signal, callback in (
        (job.progressed, progressed),
        (job.warned, warned or _notify),
        (job.returned, returned),
        (job.failed, failed),
        (job.ended, ended),
    ):
        if callback is not None:
            signal.connect(callback)
    job.begin()
    return job


def start_call(call: Callable[[], Any], *, owner: QObject, **callbacks: Any) -> BackgroundJob:
    """Run a plain function in a thread; see `start` for the callbacks."""

    def work(cancelled: Callable[[], bool]) -> Generator[Any, None, Any]:
        yield from ()
        return call()

    return start(work, owner=owner, **callbacks)


def drop_jobs_of(window: QObject) -> None:
    """Cancel the jobs of a window that was closed; they report nothing more.

    Qt destroys it later, and what was reported until then would be shown in it: layers, or
    progress in napari's activity dock. The button of a new bar there is a window for a moment,
    and with any new window Qt takes back its decision to end with the last one: an application
    without windows would stay behind.
    """
    for job in list(_running):
        if job.works_for(window):
            job.drop()


def cancel_all(milliseconds: int = 20_000) -> bool:
    """Cancel every job and wait until the threads have ended; return whether they have.

    A library that still computes while Qt shuts down can crash the process.
    """
    for job in list(_running):
        job.drop()
    return _pool.waitForDone(milliseconds)


def _drop_with(owner: QObject, job: BackgroundJob) -> Callable[[], None]:
    """Drop the job when its owner is destroyed; return a function that prevents it."""
    known = weakref.ref(job)

    def drop() -> None:
        if (found := known()) is not None:
            found.drop()

    return when_destroyed(owner, drop)


def _wait_at_exit() -> None:
    """Make the application wait for the threads before it exits.

    `atexit` covers scripts that never run the event loop, where `aboutToQuit` is not emitted.
    """
    application = QCoreApplication.instance()
    if application is not None and not application.property("lungcls_waits"):
        application.setProperty("lungcls_waits", True)
        application.aboutToQuit.connect(cancel_all)
        atexit.register(_end_without_event_loop)


def _end_without_event_loop() -> None:
    """End the jobs, and delete what waits for an event loop to delete it.

    A window closed while no event loop runs is still there when Python ends. PyQt then deletes
    it while it walks through the list of its objects, and crashes when a part of the window is
    next on the list.
    """
    cancel_all()
    if QCoreApplication.instance() is not None:
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
