"""Several processes on this machine that work on one study, watched by the one that began them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.hyperparameter_search.worker import POLL
from napari_lungcls.utils.progress import Step

PATIENCE = 30.0
"""Seconds that a process has to end after it was asked to."""

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Variables that tell libraries how many threads to use."""

Member = tuple[BaseProcess, Connection]
Work = Callable[[Callable[[], bool]], None]


def run_in_processes(
    work: Work,
    jobs: int,
    progress: Callable[[str], Step],
    cancelled: Callable[[], bool],
) -> Generator[Step, None, None]:
    """Let several processes work until all have ended.

    Processes that die are not replaced: the others repeat their trials.

    Parameters
    ----------
    work
        What each of them runs, with a function that tells when to end; must be picklable.
    jobs
        How many processes.
    progress
        Tells where the study stands.
    cancelled
        Asked now and then.

    Raises
    ------
    InputError
        When one of them found something wrong with the input, or all of them died.
    """
    members = _start(work, jobs)
    told, last = False, None
    try:
        while alive := [process for process, _ in members if process.is_alive()]:
            if cancelled() and not told:
                _tell(members)
                told = True
            _complain(members)
            now = progress(f"{len(alive)} process{'es' * (len(alive) > 1)} at work")
            if now != last:
                yield now
            last = now
            time.sleep(POLL)
        _complain(members)
        codes = [process.exitcode for process, _ in members]
        if all(codes) and not told:
            raise InputError(
                f"all {len(members)} processes ended with codes {', '.join(map(str, codes))}, "
                "perhaps for lack of memory; search again with fewer: it goes on",
                setting="jobs",
            )
    finally:
        _end(members)


def _start(work: Work, jobs: int) -> list[Member]:
    context = multiprocessing.get_context("spawn")
    members: list[Member] = []
    with _threads(max(1, (os.cpu_count() or 1) // jobs)):
        for _ in range(jobs):
            ours, theirs = context.Pipe()
            process = context.Process(target=_run, args=(work, theirs), daemon=True)
            process.start()
            # Their end must live in their process alone, so that we see it close.
            theirs.close()
            members.append((process, ours))
    return members


def _run(work: Work, connection: Connection) -> None:
    """Be one of the processes; end when told so, or when whoever began us is gone."""
    # Ctrl-C goes to all processes of a terminal; the first one tells the others to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # It has said them already.
    warnings.simplefilter("ignore", LungclsWarning)
    try:
        work(connection.poll)
    except InputError as error:
        with suppress(OSError):  # Whoever began us may be gone.
            # Its own class may need more than its message to be made again.
            connection.send((error.problem, error.setting, error.suggestion))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let processes that are started now have so many threads, unless the user says else."""
    mine = {name: str(count) for name in THREADS if name not in os.environ}
    os.environ.update(mine)
    try:
        yield
    finally:
        for name in mine:
            del os.environ[name]


def _tell(members: Sequence[Member]) -> None:
    for process, connection in members:
        if process.is_alive():
            try:
                connection.send("end")
            except OSError:
                # It has just ended by itself.
                continue


def _complain(members: Sequence[Member]) -> None:
    for _, connection in members:
        try:
            if connection.poll():
                problem, setting, suggestion = connection.recv()
                raise InputError(problem, setting=setting, suggestion=suggestion)
        except (EOFError, OSError):
            # It has ended without a complaint.
            continue


def _end(members: Sequence[Member]) -> None:
    """Leave no process behind, whatever happened."""
    _tell(members)
    until = time.monotonic() + PATIENCE
    for process, connection in members:
        process.join(max(0.0, until - time.monotonic()))
        if process.is_alive():
            process.kill()
            process.join()
        connection.close()
