"""What the commands print: progress on stderr, one JSON document or plain text on stdout."""

from __future__ import annotations

import codecs
import io
import json
import logging
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from napari_lungcls.errors import InputError, Wording
from napari_lungcls.utils.printable import printable

LINE_EVERY = 5.0
"""Seconds between lines of progress where stderr is no terminal."""

_PLAIN = {
    "–": "-", "—": "-", "−": "-", "×": "x", "µ": "u", "μ": "u", "…": "...", "²": "2", "³": "3",
    "·": "*", "\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u00a0": " ",
}  # fmt: skip
"""What stands for characters of ours on terminals that lack them."""

Report = Callable[[int, int, str], None]


class Options(Wording):
    """Names settings as the options that they are on the command line."""

    _CALLED = {"kind": "format", "repeat_fraction": "repeat"}  # noqa: RUF012

    def name(self, setting: str) -> str:
        """Write the option of a setting."""
        return f"--{self._CALLED.get(setting, setting).replace('_', '-')}"

    def use(self, setting: str, value: Any) -> str:
        """Ask for an option, with its value if it takes one."""
        if value is None or value is False:
            return f"leave {self.name(setting)} out"
        if value is ... or value is True:
            return f"use {self.name(setting)}"
        if isinstance(value, tuple | list):
            value = ",".join(map(str, value))
        shown = f"{value:g}" if isinstance(value, float) else value
        return f"use {self.name(setting)} {shown}"


class Interrupted(Exception):
    """The user ended the command; the message says what is left of it."""


class Incomplete(Exception):
    """A result lacks what could not be read of the input; the message says what."""


@contextmanager
def progress(title: str) -> Iterator[Report]:
    """Show how far a long job is.

    Gives a function of steps done, steps in all, and a few words. On a terminal it moves a
    bar; elsewhere, as in a log file, it prints a line every few seconds.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(title)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[words]}"),
    )
    with Progress(*columns, console=console) as bars:
        task = bars.add_task(title, words="")
        yield lambda done, total, words: bars.update(task, completed=done, total=total, words=words)


def _lines(title: str) -> Report:
    last = time.monotonic()

    def report(done: int, total: int, words: str) -> None:
        nonlocal last
        if done < total and time.monotonic() - last < LINE_EVERY:
            return
        last = time.monotonic()
        print(f"{title} {done}/{total} {words}".rstrip(), file=sys.stderr, flush=True)

    return report


class _Stderr(logging.Handler):
    """Prints records to what stderr is at the moment: above a progress bar, where there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        print(printable(self.format(record)), file=sys.stderr)


@contextmanager
def showing_log(verbosity: int) -> Iterator[None]:
    """Show what the package logs on stderr: nothing at 0, steps at 1, details from 2 on."""
    logger, handler = logging.getLogger("napari_lungcls"), _Stderr()
    before = logger.level
    if verbosity:
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO if verbosity == 1 else logging.DEBUG)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a wish to end well, and the second into an interrupt.

    Raises
    ------
    Interrupted
        In place of an `InputError` after the wish, which then is no fault of the input.
    """
    asked = False

    def ask(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        print("lungcls: ending; press Ctrl-C again to stop at once", file=sys.stderr)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: asked
    except InputError as error:
        if asked:
            raise Interrupted(error.told(Options())) from error
        raise
    finally:
        signal.signal(signal.SIGINT, before)


def answer(document: dict[str, Any], text: str, *, as_json: bool) -> None:
    """Print a command's result: the document, or the text for people."""
    print(json.dumps(_printable(document), indent=2) if as_json else printable(text))


def _printable(value: Any) -> Any:
    """Give a document whose texts every reader of JSON takes."""
    match value:
        case str():
            return printable(value)
        case dict():
            return {printable(key): _printable(entry) for key, entry in value.items()}
        case list() | tuple():
            return [_printable(entry) for entry in value]
    return value


def print_anywhere() -> None:
    """Let stdout and stderr write what their encoding lacks in other characters, not fail."""
    codecs.register_error("lungcls", _in_other_characters)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="lungcls")


def _in_other_characters(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    failed = error.object[error.start : error.end]
    plain = printable("".join(_PLAIN.get(character, character) for character in failed))
    return plain.encode("ascii", "backslashreplace").decode("ascii"), error.end
