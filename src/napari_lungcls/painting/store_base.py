"""How maps get to disk: into a hidden folder block by block, and out of it at the end."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import zarr
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.files import check_writable, remove_store
from napari_lungcls.painting.cells import PROBABILITIES, class_axis, class_map_axes
from napari_lungcls.painting.header import MapHeader

_CODEC = numcodecs.Blosc(cname="zstd", clevel=3, shuffle=numcodecs.Blosc.SHUFFLE)


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


@contextlib.contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turn a full disk or a lost folder into one line for the user."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{target}: cannot be written ({error.strerror or error}); free space there or "
            "choose another output"
        ) from error


class BlockStore(ABC):
    """Takes painted blocks into a hidden folder and makes the output at the end.

    The folder `.NAME.partial` beside the output is a zarr group, compressed, so that
    neither memory nor disk holds the whole map uncompressed. A run that is killed leaves
    it, hidden, and the next run to the same output removes it.

    Parameters
    ----------
    path
        The output.
    header
        The map; its `probabilities` says whether there is room for them.
    chunk
        Edge of the chunks in cells. Blocks that cover whole chunks are written fastest.
    overwrite
        Whether an existing output is replaced, at the end.

    Raises
    ------
    InputError
        When the output exists or cannot be written, or the map fits no OME file.
    """

    def __init__(
        self, path: Path, header: MapHeader, *, chunk: int = 512, overwrite: bool = False
    ) -> None:
        class_map_axes(header)
        self.target = check_writable(path)
        self.header = header
        self.chunk = chunk
        if self.target.exists() and not (overwrite and self._may_replace()):
            raise InputError(f"{self.target}: exists already; remove it or choose another name")
        if header.probabilities:
            class_axis(header)
        self.folder = self.target.with_name(f".{self.target.name}.partial")
        remove_store(self.folder)
        self._open = True
        try:
            with writing(self.target):
                self._begin()
        except InputError:
            self.abandon()
            raise

    def _begin(self) -> None:
        """Make the hidden folder with the arrays for the cells."""
        header = self.header
        self.group = zarr.create_group(self.folder, zarr_format=2)
        self.classes = create(self.group, "0", header.shape, "|u1", self.chunk)
        self.probabilities: Any = None
        if header.probabilities:
            shape = list(header.shape)
            shape.insert(class_axis(header), len(header.scheme))
            inner = self.group.create_group(PROBABILITIES)
            self.probabilities = create(inner, "0", shape, "<f2", self.chunk)

    def write(
        self,
        index: tuple[int, ...],
        rows: slice,
        columns: slice,
        classes: NDArray[np.uint8],
        probabilities: NDArray[np.float16] | None = None,
    ) -> None:
        """Take one block.

        Parameters
        ----------
        index
            Position along the axes before `(y, x)`.
        rows, columns
            Cells of the map.
        classes
            `(h, w)`, code + 1.
        probabilities
            `(k, h, w)`; ignored when the map has none.
        """
        if not self._open:
            raise RuntimeError(f"{self.target} is finished and takes no more blocks")
        with writing(self.target):
            self.classes[(*index, rows, columns)] = classes
            if self.probabilities is not None and probabilities is not None:
                place: list[int | slice] = [*index, rows, columns]
                place.insert(class_axis(self.header), slice(None))
                self.probabilities[tuple(place)] = probabilities

    def finish(self) -> None:
        """Make the output of what was written; cells that were not stay 0."""
        if self._open:
            with writing(self.target):
                self._publish()
            self._close()

    def abandon(self, *, keep: bool = False) -> None:
        """Remove everything, or with `keep` finish the map as it is."""
        if keep:
            self.finish()
        self._close()

    def _close(self) -> None:
        if self._open:
            self._open = False
            remove_store(self.folder)

    @abstractmethod
    def _publish(self) -> None:
        """Turn the folder into the output, under its final name."""

    @abstractmethod
    def _may_replace(self) -> bool:
        """Whether what lies at the output is of the kind that this store makes."""
