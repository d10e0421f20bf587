"""Writing painted blocks while the next one is computed."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.inference.grid import Block
from napari_lungcls.inference.stores import MapStore


class BackgroundWriter:
    """Hands blocks to a store in a thread of its own, one at a time.

    While one block is written the next may be computed; a third waits, so that memory holds
    two at most. What goes wrong is raised by the next call, or on leaving the context.

    Parameters
    ----------
    store
        Takes the blocks, in the order in which they are given.
    """

    def __init__(self, store: MapStore) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lungcls-write")
        self._writing: Future[None] | None = None

    def write(
        self,
        block: Block,
        classes: NDArray[np.uint8],
        probabilities: NDArray[np.float16] | None,
        *,
        complete: bool = True,
    ) -> None:
        """Begin to write a block when the one before is written.

        Parameters
        ----------
        block, classes, probabilities
            Its cells.
        complete
            Whether nothing of it is left out for which the image could not be read.
        """
        self.wait()
        self._writing = self._thread.submit(
            self._store.write,
            block.index,
            block.rows,
            block.columns,
            classes,
            probabilities,
            complete=complete,
        )

    def wait(self) -> None:
        """Return when everything is written."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()

    def __enter__(self) -> Self:
        """Write."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for the thread; after an error, without asking how it ended."""
        try:
            if kind is None:
                self.wait()
        finally:
            self._thread.shutdown()
