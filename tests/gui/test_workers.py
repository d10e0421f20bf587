"""Jobs: what they report, how they end, and that nothing outlives its window."""

import os
import sys
import threading
import time
import warnings

import pytest
from napari._qt.dialogs.qt_activity_dialog import ActivityToggleItem, QtActivityDialog
from napari._qt.widgets.qt_progress_bar import QtLabeledProgressBar
from qtpy.QtWidgets import QLabel, QMainWindow, QWidget

from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.gui import activity, notices, workers


@pytest.fixture(autouse=True)
def _no_thread_left(qapp):
    yield
    assert workers.cancel_all(5000)


@pytest.fixture
def owner(qtbot):
    widget = QWidget()
    qtbot.addWidget(widget)
    return widget


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr(notices, "show_error", lines.append)
    return lines


class Log:
    """Remembers every report, and that it came in the window's thread."""

    def __init__(self):
        self.events = []

    def callbacks(self):
        return {name: self.note(name) for name in ("progressed", "returned", "failed", "ended")}

    def note(self, name):
        def add(*values):
            assert threading.current_thread() is threading.main_thread()
            self.events.append((name, *values))

        return add


def run(qtbot, work, owner):
    log = Log()
    job = workers.start(work, owner=owner, **log.callbacks())
    with qtbot.waitSignal(job.ended, timeout=5000):
        pass
    qtbot.wait(1)
    return job, log.events


def test_progress_then_the_value_then_the_end(qtbot, owner):
    def work(cancelled):
        assert threading.current_thread() is not threading.main_thread()
        for i in range(3):
            time.sleep(workers.BETWEEN_REPORTS * 1.5)
            yield i
        return "done"

    job, events = run(qtbot, work, owner)
    assert events == [*(("progressed", i) for i in range(3)), ("returned", "done"), ("ended",)]
    assert not job.running


@pytest.mark.skipif(sys.platform != "linux", reason="Qt's priorities do it elsewhere")
@pytest.mark.parametrize("already", [0, workers.NICENESS + 5])
def test_it_lets_the_window_go_first(qtbot, owner, monkeypatch, already):
    # As in a program that was started with a niceness of its own, which it may not lower.
    monkeypatch.setattr(os, "getpriority", lambda which, who: already)
    wanted = []
    monkeypatch.setattr(os, "setpriority", lambda *given: wanted.append(given))

    def work(cancelled):
        yield threading.get_native_id()

    _, events = run(qtbot, work, owner)
    assert wanted == [(os.PRIO_PROCESS, events[0][1], max(already, workers.NICENESS))]


def test_a_flood_is_thinned_but_its_last_report_arrives(qtbot, owner):
    def work(cancelled):
        yield from range(20_000)

    _, events = run(qtbot, work, owner)
    shown = [value for name, *rest in events if name == "progressed" for value in rest]
    assert shown[0] == 0
    assert shown[-1] == 19_999
    assert len(shown) < 200


def test_cancelling_keeps_what_there_is(qtbot, owner):
    def work(cancelled):
        n = 0
        while not cancelled():
            n += 1
            yield n
            time.sleep(0.001)
        return n

    log = Log()
    job = workers.start(work, owner=owner, **log.callbacks())
    qtbot.waitUntil(lambda: len(log.events) > 0, timeout=5000)
    with qtbot.waitSignal(job.ended, timeout=5000):
        job.cancel()
    assert job.cancelling
    assert log.events[-2][0] == "returned"
    assert log.events[-2][1] > 0


def test_a_pause_holds_and_cancelling_ends_it(qtbot, owner):
    steps = []

    def work(cancelled):
        while not cancelled():
            steps.append(1)
            yield
            time.sleep(0.001)

    job = workers.start(work, owner=owner)
    qtbot.waitUntil(lambda: len(steps) > 3, timeout=5000)
    job.pause()
    qtbot.wait(30)
    held = len(steps)
    qtbot.wait(60)
    assert len(steps) == held
    job.resume()
    qtbot.waitUntil(lambda: len(steps) > held, timeout=5000)
    job.pause()
    with qtbot.waitSignal(job.ended, timeout=5000):
        job.cancel()


def test_bad_input_is_one_line_without_a_traceback(qtbot, owner, said):
    def work(cancelled):
        yield 1
        raise InputError("the stride is wrong; give 1 to 64")

    _, events = run(qtbot, work, owner)
    line = "The stride is wrong; give 1 to 64"
    # napari cuts long notifications short: what to do comes first.
    assert said == ["Give 1 to 64. The stride is wrong."]
    assert events == [("progressed", 1), ("failed", line), ("ended",)]


def test_bad_input_before_the_first_report(qtbot, owner, said):
    def work(cancelled):
        raise InputError("no points")
        yield

    _, events = run(qtbot, work, owner)
    assert said == ["No points"]
    assert events == [("failed", "No points"), ("ended",)]


@pytest.mark.parametrize("error", [KeyError("gone"), RuntimeError("out of memory")])
def test_a_fault_reaches_napari(qtbot, owner, error):
    def work(cancelled):
        yield from ()
        raise error

    with qtbot.captureExceptions() as raised:
        _, events = run(qtbot, work, owner)
    assert events == [("failed", f"{type(error).__name__}: {error}"), ("ended",)]
    assert len(raised) <= 1


def test_a_plain_function(qtbot, owner):
    log = Log()
    job = workers.start_call(lambda: 42, owner=owner, **log.callbacks())
    with qtbot.waitSignal(job.ended, timeout=5000):
        pass
    assert log.events == [("returned", 42), ("ended",)]


def test_a_job_ends_with_its_owner_and_reports_nothing(qtbot):
    widget = QWidget()
    log, ended = Log(), threading.Event()

    def work(cancelled):
        while not cancelled():
            yield
            time.sleep(0.001)
        ended.set()
        return "too late"

    workers.start(work, owner=widget, **log.callbacks())
    qtbot.waitUntil(lambda: len(log.events) > 0, timeout=5000)
    widget.deleteLater()
    qtbot.waitUntil(ended.is_set, timeout=5000)
    qtbot.wait(20)
    assert {name for name, *_ in log.events} == {"progressed"}


def test_more_jobs_than_cores_run_at_once(qtbot, owner):
    barrier = threading.Barrier(4, timeout=5)

    def work(cancelled):
        yield
        return barrier.wait()

    log = Log()
    jobs = [workers.start(work, owner=owner, returned=log.note("returned")) for _ in range(4)]
    qtbot.waitUntil(lambda: not any(job.running for job in jobs), timeout=8000)
    assert sorted(value for _, value in log.events) == [0, 1, 2, 3]


def test_while_a_job_runs_the_collector_looks_at_new_objects_only(qtbot):
    import gc

    owner, release = QWidget(), threading.Event()
    qtbot.addWidget(owner)
    gc.unfreeze()
    jobs = [workers.start_call(lambda: release.wait(20), owner=owner) for _ in range(2)]
    assert gc.get_freeze_count() > 1000
    release.set()
    qtbot.waitUntil(lambda: not any(job.running for job in jobs), timeout=20_000)
    assert gc.get_freeze_count() == 0


def test_a_warning_of_the_core_is_reported_once_and_in_the_window_s_thread(qtbot, owner):
    def work(cancelled):
        yield 1
        for _ in range(3):
            warnings.warn("the image is grey", LungclsWarning, stacklevel=1)
        warnings.warn("and small; set the pixel size", LungclsWarning, stacklevel=1)

    # Every run says it anew: Python itself would show it for the first one only.
    for _ in range(2):
        log = Log()
        job = workers.start(work, owner=owner, warned=log.note("warned"))
        with qtbot.waitSignal(job.ended, timeout=5000):
            pass
        assert log.events == [
            ("warned", "The image is grey"),
            ("warned", "And small; set the pixel size"),
        ]


def test_a_warning_that_nobody_waits_for_is_a_notification(qtbot, owner, monkeypatch):
    shown = []
    monkeypatch.setattr(workers, "show_warning", shown.append)
    monkeypatch.setattr(workers, "_notified", set())
    for _ in range(2):
        job = workers.start_call(
            lambda: warnings.warn("it is odd", LungclsWarning, stacklevel=1), owner=owner
        )
        with qtbot.waitSignal(job.ended, timeout=5000):
            pass
    assert shown == ["It is odd"]


def test_other_warnings_go_where_they_went(qtbot, owner):
    def work():
        warnings.warn("beware", RuntimeWarning, stacklevel=1)

    with pytest.warns(RuntimeWarning, match="beware"):
        qtbot.waitSignal(workers.start_call(work, owner=owner).ended, timeout=5000).wait()


@pytest.fixture
def dock(qtbot):
    """Give napari's activity dock, the bars that it has, and the speed of its spinner."""
    window = QMainWindow()
    qtbot.addWidget(window)
    toggle = ActivityToggleItem()
    window.statusBar().addPermanentWidget(toggle)
    made = QtActivityDialog(toggle_button=toggle)
    qtbot.addWidget(made)
    made.bars = lambda: made.findChildren(QtLabeledProgressBar)
    made.window_of_toggle = window  # Qt would delete both.
    made.speed = toggle.findChild(QLabel).movie().speed
    return made


def test_the_activity_dock_shows_a_job_and_cancels_it(qtbot, owner, dock, monkeypatch):
    monkeypatch.setattr(activity, "AFTER", 20)
    monkeypatch.setattr(activity, "BETWEEN", 10)
    reports = [(0, 0), (3, 10), (1, 10), (6, 10)]  # A second phase may count anew.

    def work(cancelled):
        for report in reports:
            yield report
            time.sleep(workers.BETWEEN_REPORTS * 1.5)
        while not cancelled():
            time.sleep(0.001)

    job = workers.start(work, owner=owner, title="Painting")
    qtbot.waitUntil(lambda: bool(dock.bars()), timeout=5000)
    (bar,) = dock.bars()
    assert bar.description_label.text() == "Painting: "
    assert dock.speed() == activity.SPINNING
    seen = [0]

    def arrived():
        seen.append(bar.qt_progress_bar.value())
        return seen[-1] == 600

    qtbot.waitUntil(arrived, timeout=5000)
    assert 300 in seen
    assert [value for value in seen if value >= 0] == sorted(v for v in seen if v >= 0)
    with qtbot.waitSignal(job.ended, timeout=5000):
        bar.cancel_button.click()
    qtbot.waitUntil(lambda: not dock.bars(), timeout=5000)


def test_a_short_job_does_not_flicker_and_a_dropped_one_leaves_no_bar(
    qtbot, owner, dock, monkeypatch
):
    job = workers.start_call(lambda: None, owner=owner, title="Opening")
    with qtbot.waitSignal(job.ended, timeout=5000):
        pass
    assert not dock.bars()
    monkeypatch.setattr(activity, "AFTER", 5)
    release = threading.Event()
    job = workers.start_call(lambda: release.wait(5), owner=owner, title="Opening")
    qtbot.waitUntil(lambda: bool(dock.bars()), timeout=5000)
    job.drop()
    release.set()
    qtbot.waitUntil(lambda: not dock.bars(), timeout=5000)
