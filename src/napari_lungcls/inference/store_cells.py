"""The cells of a map while it is painted: zarr arrays in a hidden folder, for any process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import zarr
from numpy.typing import NDArray

from napari_lungcls.inference.cells import PROBABILITIES, class_axis
from napari_lungcls.inference.map_data import Block, MapHeader
from napari_lungcls.utils.atomic_write import remove_store

_CODEC = numcodecs.Blosc(cname="zstd", clevel=3, shuffle=numcodecs.Blosc.SHUFFLE)

FIRST = "0"
"""Name of the array with the cells; `1`, `2`, … are coarser levels of a finished map."""

MODEL = "model.safetensors"
"""The model, for workers of a cluster."""

_TORN = "*.partial"
"""What zarr leaves of a chunk when a process is killed while it writes one."""


def create(group: zarr.Group, name: str, shape: Sequence[int], dtype: str, edge: int) -> Any:
    """Make an array for cells: square chunks, one plane each, 0 where nothing is written."""
    chunks = (*(1,) * (len(shape) - 2), *(min(edge, n) for n in shape[-2:]))
    return group.create_array(
        name,
        shape=tuple(shape),
        dtype=dtype,
        chunks=chunks,
        compressors=_CODEC,
        fill_value=0,
        chunk_key_encoding={"name": "v2", "separator": "/"},
    )


class CellArrays:
    """The arrays of a map that is being painted.

    Blocks that are whole chunks can be written by several processes at once.

    Parameters
    ----------
    group
        The hidden folder, see `create` and `open`.
    header
        The map.
    classes, probabilities
        The arrays; the second None without probabilities.
    """

    def __init__(
        self, group: zarr.Group, header: MapHeader, classes: Any, probabilities: Any
    ) -> None:
        self.group, self.header = group, header
        self.classes, self.probabilities = classes, probabilities

    @classmethod
    def create(cls, folder: Path, header: MapHeader, chunk: int) -> CellArrays:
        """Make the folder, with cells that are all 0."""
        group = zarr.create_group(folder, zarr_format=2)
        classes = create(group, FIRST, header.shape, "|u1", chunk)
        probabilities: Any = None
        if header.probabilities:
            shape = list(header.shape)
            shape.insert(class_axis(header), len(header.scheme))
            inner = group.create_group(PROBABILITIES)
            probabilities = create(inner, FIRST, shape, "<f2", chunk)
        return cls(group, header, classes, probabilities)

    @classmethod
    def open(cls, folder: Path, header: MapHeader) -> CellArrays:
        """Open a folder that `create` made."""
        group = zarr.open_group(folder, mode="r+", zarr_format=2)
        probabilities = group[f"{PROBABILITIES}/{FIRST}"] if header.probabilities else None
        return cls(group, header, group[FIRST], probabilities)

    @staticmethod
    def tidy(folder: Path) -> None:
        """Remove coarser levels, and what killed processes left."""
        (folder / MODEL).unlink(missing_ok=True)
        for level in (*folder.glob("[1-9]*"), *(folder / PROBABILITIES).glob("[1-9]*")):
            remove_store(level)
        CellArrays.sweep(folder)

    @staticmethod
    def sweep(folder: Path) -> None:
        """Remove what processes that were killed left of chunks."""
        for torn in folder.rglob(_TORN):
            torn.unlink(missing_ok=True)

    def write(
        self, block: Block, classes: NDArray[np.uint8], probabilities: NDArray[np.float16] | None
    ) -> None:
        """Write one block, see `BlockStore.write`."""
        self.classes[block.place] = classes
        if self.probabilities is not None and probabilities is not None:
            place = list(block.place)
            place.insert(class_axis(self.header), slice(None))
            self.probabilities[tuple(place)] = probabilities
