"""Running generators that yield progress and return a result."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import NamedTuple, TypeVar


class Step(NamedTuple):
    """How far something is, and what is being done."""

    done: int
    total: int
    words: str


P = TypeVar("P")
R = TypeVar("R")


def exhaust(run: Generator[P, None, R], progress: Callable[[P], None] | None = None) -> R:
    """Run a generator to its end, reporting what it yields, and return its return value."""
    while True:
        try:
            step = next(run)
        except StopIteration as end:
            result: R = end.value
            return result
        if progress:
            progress(step)


def stepwise(
    call: Callable[[Callable[[int, int], None]], R],
) -> Generator[tuple[int, int], None, R]:
    """Turn a function that reports to a callback into a generator that yields the reports.

    Parameters
    ----------
    call
        Takes a callback for the steps done and the total; runs in its own thread.
    """
    reports: SimpleQueue[tuple[int, int] | None] = SimpleQueue()
    with ThreadPoolExecutor(1, "lungcls-steps") as pool:
        job = pool.submit(call, lambda done, total: reports.put((done, total)))
        job.add_done_callback(lambda _: reports.put(None))
        while (step := reports.get()) is not None:
            yield step
        return job.result()
