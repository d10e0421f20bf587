"""Running jobs that yield progress and return a result."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

P = TypeVar("P")
R = TypeVar("R")


def exhaust(run: Generator[P, None, R], progress: Callable[[P], None] | None = None) -> R:
    """Run a generator to its end, pass on what it yields, and return what it returns."""
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
        Takes the callback for steps done and in all; runs in a thread of its own.
    """
    reports: SimpleQueue[tuple[int, int] | None] = SimpleQueue()
    with ThreadPoolExecutor(1, "lungcls-steps") as pool:
        job = pool.submit(call, lambda done, total: reports.put((done, total)))
        job.add_done_callback(lambda _: reports.put(None))
        while (step := reports.get()) is not None:
            yield step
        return job.result()
