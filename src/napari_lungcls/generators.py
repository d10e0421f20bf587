"""Running jobs that yield progress and return a result."""

from __future__ import annotations

from collections.abc import Callable, Generator
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
