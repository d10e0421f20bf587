"""Reading journals back after a crash: what was not saved, and what can be had again."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from napari_lungcls.annotation.journal import PATIENCE, SUFFIX, folder
from napari_lungcls.annotation.points import Points
from napari_lungcls.annotation.records import Header, Line, State, parsed
from napari_lungcls.annotation.snapshots import Snapshot
from napari_lungcls.errors import InputError
from napari_lungcls.utils.locks import is_running, lock

_MAX_LINE = 1 << 28

DISCARDED = "-discarded"
KEPT_DAYS = 30
"""How long a discarded journal can be taken back."""


class DamagedJournal(InputError):
    """A journal that can be read up to some line.

    Attributes
    ----------
    header
        The header, None when not even that can be read.
    points
        The points up to there, in data pixels of the image, or None.
    """

    def __init__(self, message: str, header: Header | None, points: Points | None) -> None:
        super().__init__(message)
        self.header = header
        self.points = points


def replay(path: str | os.PathLike[str]) -> tuple[Header, Points]:
    """Read a journal: what it belongs to, and the points in data pixels of the image.

    A last line that was not written to its end is passed over: nobody was told that it
    was there.

    Raises
    ------
    DamagedJournal
        When a line cannot be used; it has what the lines before it amount to.
    InputError
        When the file cannot be read.
    """
    file = Path(path)
    state: State | None = None
    number = 0
    for number, text in enumerate(_lines(file), start=1):
        try:
            if state is None:
                header = parsed(Header, text)
                state = State(header, Snapshot.empty(header.ndim))
            else:
                state = state.after(parsed(Line, text))
        except ValueError as error:
            if not text.endswith(b"\n") and len(text) < _MAX_LINE:
                break
            _damaged(file, number, str(error), state)
    if state is None:
        _damaged(file, max(1, number), "no header was written", None)
    return state.header, state.points.points()


def _damaged(file: Path, number: int, problem: str, state: State | None) -> NoReturn:
    points = None if state is None else state.points.points()
    found = (
        "nothing can be restored from it; discard it"
        if points is None
        else f"restore the {len(points)} points of the lines before"
    )
    raise DamagedJournal(
        f"{file}, line {number}: {problem}; {found}", state.header if state else None, points
    )


def _lines(file: Path) -> Iterator[bytes]:
    try:
        with file.open("rb") as stream:
            while line := stream.readline(_MAX_LINE):
                yield line
    except OSError as error:
        raise InputError(
            f"{file} cannot be read ({error.strerror}); discard it or see to its rights"
        ) from error


@dataclass(frozen=True)
class Unfinished:
    """Points that were never saved, from a window that is gone.

    Attributes
    ----------
    path
        The journal.
    header, points
        What can be read of it.
    when
        When the last line was written, in seconds since 1970.
    problem
        What is wrong with it, or empty.
    """

    path: Path
    header: Header
    points: Points
    when: float
    problem: str = ""


def unfinished(where: Path | None = None) -> list[Unfinished]:
    """List the journals that nobody is writing any more, oldest first.

    Journals without a readable header have nothing to offer and are passed over, as are
    those that another window holds.

    Parameters
    ----------
    where
        Folder; the user's by default.
    """
    found = []
    for path in sorted((where or folder()).glob(f"*{SUFFIX}")):
        with contextlib.suppress(InputError):
            entry = _read(path)
            with _held(path, entry.header, patience=0.0):
                # Read again: until now somebody else may have written or restored it.
                found.append(_read(path))
    return found


def discard(entry: Unfinished) -> Path:
    """Put an unfinished journal aside, so that it is offered no more; give where it is.

    Raises
    ------
    InputError
        When another window was faster.
    """
    with _held(entry.path, entry.header, PATIENCE):
        pass
    aside = entry.path.with_name(entry.path.name + DISCARDED)
    try:
        entry.path.rename(aside)
        os.utime(aside)
    except OSError as error:
        raise InputError(f"{entry.path} cannot be put aside ({error.strerror})") from error
    return aside


def take_back(aside: Path) -> None:
    """Offer a discarded journal again.

    Raises
    ------
    InputError
        When it is gone.
    """
    try:
        aside.rename(aside.with_name(aside.name.removesuffix(DISCARDED)))
    except OSError as error:
        raise InputError(
            f"{aside} cannot be taken back ({error.strerror}); what was discarded "
            f"{KEPT_DAYS} days ago is deleted"
        ) from error


def delete_discarded(where: Path | None = None) -> None:
    """Delete journals that were discarded long ago."""
    for aside in (where or folder()).glob(f"*{SUFFIX}{DISCARDED}"):
        with contextlib.suppress(OSError):
            if time.time() - aside.stat().st_mtime > KEPT_DAYS * 86400:
                aside.unlink()


def _read(path: Path) -> Unfinished:
    try:
        header, points = replay(path)
    except DamagedJournal as error:
        if error.header is None or error.points is None:
            raise
        return Unfinished(
            path, error.header, error.points, _written(path, error.header), str(error)
        )
    return Unfinished(path, header, points, _written(path, header))


def _written(path: Path, header: Header) -> float:
    with contextlib.suppress(OSError):
        return path.stat().st_mtime
    return header.created


@contextlib.contextmanager
def claimed(entry: Unfinished) -> Iterator[Unfinished]:
    """Keep other windows from an unfinished journal; it is removed when the block ends well.

    Raises
    ------
    InputError
        When another window was faster.
    """
    with _held(entry.path, entry.header, PATIENCE):
        yield entry
        if os.name != "nt":
            entry.path.unlink(missing_ok=True)
    # Windows removes no file that is open.
    entry.path.unlink(missing_ok=True)


@contextlib.contextmanager
def _held(path: Path, header: Header, patience: float) -> Iterator[None]:
    try:
        stream = path.open("r+b")
    except OSError as error:
        raise InputError(
            f"{path} is gone or locked ({error.strerror}); another window has restored it"
        ) from error
    with stream:
        got = lock(stream, patience)
        if got is None:
            # No locks on this file system: believe the process number, on this computer only.
            got = header.host == socket.gethostname() and not is_running(header.pid)
        if not got:
            raise InputError(f"{path} is in use; another window is labelling these points")
        yield
