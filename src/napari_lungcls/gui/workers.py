"""Long work in threads: the only module that knows napari's workers."""

import atexit
import gc
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Generator
from typing import Any

from napari.qt.threading import GeneratorWorker, create_worker
from napari.utils.notifications import show_error, show_warning
from qtpy.QtCore import QCoreApplication, QObject, QThreadPool, Signal

from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.gui.lifetime import when_destroyed
from napari_lungcls.gui.messages import in_window

Work = Callable[[Callable[[], bool]], Generator[Any, None, Any]]
"""Takes `cancelled`, gives a generator of the core."""

LEAST_THREADS = 6
"""Qt's pool has as many threads as cores: a click must not wait for two running jobs."""

BETWEEN_REPORTS = 0.05
"""Seconds from one progress report to the next: more would only flood the window."""

POLL = 0.05
"""Seconds between looks whether a pause is over."""

_running: "weakref.WeakSet[Job]" = weakref.WeakSet()

_in_thread: "dict[int, Job]" = {}
"""The jobs by the number of the thread in which they run."""

_notified: set[str] = set()


class Job(QObject):
    """A generator of the core that runs in a thread.

    Signals come in the window's thread: `progressed` with what the generator yields,
    thinned, and `warned` with each different line that the core warns of; then `returned` with
    its value or `failed` with one line; `ended` in any case.

    Parameters
    ----------
    work
        Takes `cancelled`, which the generator is to ask now and then, and gives the generator.
    owner
        When it is destroyed, the job is cancelled and nothing is reported any more.
    """

    progressed = Signal(object)
    warned = Signal(str)
    returned = Signal(object)
    failed = Signal(str)
    ended = Signal()

    def __init__(self, work: Work, owner: QObject) -> None:
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
        self._forget = _drop_with(owner, self)

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return not self._over

    @property
    def paused(self) -> bool:
        """Whether it is held."""
        return not self._awake.is_set()

    @property
    def cancelling(self) -> bool:
        """Whether it was asked to end."""
        return self._cancelled.is_set()

    def begin(self) -> None:
        """Start the thread."""
        pool = QThreadPool.globalInstance()
        pool.setMaxThreadCount(max(LEAST_THREADS, pool.maxThreadCount()))
        if not _running:
            # Python's collector stops all threads while it looks at every object. With the
            # libraries of a network there are millions, and the window would stand still for
            # a third of a second; while jobs run it looks at new objects only.
            gc.freeze()
        _running.add(self)
        _wait_at_exit()
        _hear_warnings()
        self._worker.start()

    def cancel(self) -> None:
        """Ask the generator to end; what it has so far is returned as usual."""
        self._cancelled.set()
        self._awake.set()

    def pause(self) -> None:
        """Hold it where it next asks whether it was cancelled."""
        self._awake.clear()

    def resume(self) -> None:
        """Go on after a pause."""
        self._awake.set()

    def wait(self, milliseconds: int = 20_000) -> bool:
        """Wait until the generator has ended; tell whether it has."""
        return self._left.wait(milliseconds / 1000)

    def drop(self) -> None:
        """Cancel, and report nothing any more: who wanted to know is gone."""
        self._silent = True
        self.cancel()

    def _asked(self) -> bool:
        self._awake.wait()
        return self._cancelled.is_set()

    def _steps(self) -> Generator[Any, None, Any]:
        """Run the core's generator and say when it has ended."""
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
        """Let the first and last report through, those that must be told, and a few more."""
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
        if not self._silent:
            self.progressed.emit(value)

    def _on_return(self, value: Any) -> None:
        if self._silent:
            return
        if isinstance(value, _Refusal):
            show_error(value.line)
            self.failed.emit(value.line)
        else:
            self.returned.emit(value)

    def _on_error(self, error: Exception) -> None:
        if not self._silent:
            self.failed.emit(f"{type(error).__name__}: {error}")

    def _on_end(self) -> None:
        self._over = True
        _running.discard(self)
        if not _running:
            gc.unfreeze()
        self._forget()
        if not self._silent:
            self.ended.emit()
        self.deleteLater()


class _Worker(GeneratorWorker):
    """A worker that leaves the module `warnings` alone.

    superqt exchanges the filters and the hook of the whole process while a thread runs. Of two
    threads that overlap, one would take away what the other needs. It also takes a
    `RuntimeError`, as torch raises when memory runs out, for a sign that the worker is gone,
    and never says that it has ended.
    """

    def run(self) -> None:
        """Do as `WorkerBase.run` does otherwise."""
        self.started.emit()
        self._running = True
        try:
            result = self.work()
            if isinstance(result, Exception):
                raise result
            if not self.abort_requested:
                self.returned.emit(result)
        except Exception as error:  # whatever it is, `errored` tells of it
            self.errored.emit(error)
        self._running = False
        self.finished.emit()
        self._finished.emit(self)


class _Refusal:
    """The line of an `InputError` on its way out of the thread."""

    def __init__(self, line: str) -> None:
        self.line = line


def _notify(line: str) -> None:
    """Show a warning that no window waits for, once."""
    if line not in _notified:
        _notified.add(line)
        show_warning(line)


def _hear_warnings() -> None:
    """Have what the core warns of in the thread of a job reported by the job.

    napari puts a function of its own in the same place while it runs, hence every job looks
    whether ours is still there. Each warning is let through each time: Python itself would
    show it for the first run only.
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
    """Tell whether a report must not be thinned out: it carries the record of an epoch."""
    return getattr(value, "record", None) is not None


def start(
    work: Work,
    *,
    owner: QObject,
    progressed: Callable[[Any], None] | None = None,
    warned: Callable[[str], None] | None = None,
    returned: Callable[[Any], None] | None = None,
    failed: Callable[[str], None] | None = None,
    ended: Callable[[], None] | None = None,
) -> Job:
    """Run a generator of the core in a thread.

    Parameters
    ----------
    work
        Takes `cancelled` and gives the generator.
    owner
        The widget that the callbacks belong to; when it goes, the job is cancelled.
    progressed, warned, returned, failed, ended
        Called in the window's thread; see `Job`. An `InputError` is also shown as a
        notification, any other exception as napari shows errors, and a warning that has no
        callback as a notification, once.
    """
    job = Job(work, owner)
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


def start_call(call: Callable[[], Any], *, owner: QObject, **callbacks: Any) -> Job:
    """Run a plain function in a thread; see `start` for the callbacks."""

    def work(cancelled: Callable[[], bool]) -> Generator[Any, None, Any]:
        yield from ()
        return call()

    return start(work, owner=owner, **callbacks)


def cancel_all(milliseconds: int = 20_000) -> bool:
    """Cancel every job and wait until the threads have ended; tell whether they have.

    A library that still computes while Qt leaves can crash the process.
    """
    for job in list(_running):
        job.drop()
    return bool(QThreadPool.globalInstance().waitForDone(milliseconds))


def _drop_with(owner: QObject, job: Job) -> Callable[[], None]:
    """Drop the job when its owner is destroyed; return what undoes that."""
    known = weakref.ref(job)

    def drop() -> None:
        if (found := known()) is not None:
            found.drop()

    return when_destroyed(owner, drop)


def _wait_at_exit() -> None:
    """Have the application wait for the threads before it leaves, once.

    An application whose event loop a script never ran does not say that it quits.
    """
    application = QCoreApplication.instance()
    if application is not None and not application.property("lungcls_waits"):
        application.setProperty("lungcls_waits", True)
        application.aboutToQuit.connect(cancel_all)
        atexit.register(cancel_all)
