"""Maps block by block: each is a small file as soon as it is painted, for clients that paint here.

A file is compressed with gzip and holds a line of JSON, `{"index": […], "rows": [first, end],
"columns": […], "probabilities": k, "complete": true}` in cells of the map, then the cells of the
class map, one byte each, row by row, and, if there are, `k` times as many probabilities as
float16, little-endian, class by class. A block is not complete where the image cannot be read.
"""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.inference.map_data import Block, MapHeader

LEVEL = 1
"""Of the compression: maps are simple, and the network is not to wait for it."""


class BlockFiles:
    """Takes the blocks of a painting, and writes each to a file of its own.

    Parameters
    ----------
    folder
        Where they go.
    header
        The map.

    Attributes
    ----------
    count
        Files that are complete: `folder/0`, `folder/1`, …
    cells
        How often each value occurs among the cells so far.
    """

    def __init__(self, folder: Path, header: MapHeader) -> None:
        self.header, self._folder = header, folder
        self.count = 0
        self.cells = np.zeros(256, np.int64)

    def write(
        self,
        block: Block,
        classes: NDArray[np.uint8],
        probabilities: NDArray[np.float16] | None = None,
        *,
        complete: bool = True,
    ) -> None:
        """Write one block; see `BlockStore.write`."""
        head: dict[str, Any] = {
            "index": list(block.index),
            "rows": [block.rows.start, block.rows.stop],
            "columns": [block.columns.start, block.columns.stop],
            "probabilities": 0 if probabilities is None else len(probabilities),
            "complete": complete,
        }
        data = json.dumps(head).encode() + b"\n" + np.ascontiguousarray(classes).tobytes()
        if probabilities is not None:
            data += np.ascontiguousarray(probabilities, "<f2").tobytes()
        aside = self._folder / "aside"
        aside.write_bytes(gzip.compress(data, LEVEL))
        os.replace(aside, self._folder / str(self.count))
        self.cells += np.bincount(classes.ravel(), minlength=256)
        self.count += 1

    def finish(self) -> None:
        """Do nothing: what is written is there."""

    def abandon(self, *, keep: bool = False) -> None:
        """Do nothing: the files go with their job."""

    def fractions(self) -> dict[str, float]:
        """Give the share of each class in the painted cells."""
        painted = max(1, int(self.cells[1:].sum()))
        names = self.header.scheme.names
        return {name: float(n) / painted for name, n in zip(names, self.cells[1:], strict=False)}
