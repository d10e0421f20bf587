"""How much a server takes on at once: requests, and pixels in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from napari_lungcls.serving.dispatcher import Busy


class Budget:
    """An amount that is shared by what runs at the same time.

    Parameters
    ----------
    amount
        What there is in all.
    """

    def __init__(self, amount: float) -> None:
        self._left = self.amount = amount
        self._lock = threading.Lock()

    @property
    def used(self) -> float:
        """What is taken at the moment."""
        return self.amount - self._left

    @contextmanager
    def take(self, share: float) -> Iterator[None]:
        """Take a share, and give it back.

        Raises
        ------
        Busy
            If there is not so much left.
        """
        with self._lock:
            if share > self._left:
                raise Busy
            self._left -= share
        try:
            yield
        finally:
            with self._lock:
                self._left += share
