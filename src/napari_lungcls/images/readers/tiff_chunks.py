"""Tiles and strips of a TIFF: what is not in the file is an error, not a zero."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
import zarr
from cachetools import LRUCache
from numpy.typing import NDArray
from zarr.abc.store import ByteRequest, Store
from zarr.storage import WrapperStore

from napari_lungcls.errors import InputError
from napari_lungcls.images.damage import READ_ERRORS
from napari_lungcls.utils.memory import byte_cache

if TYPE_CHECKING:
    from zarr.abc.buffer import Buffer
    from zarr.core.buffer import BufferPrototype

REMEMBERED = 128 * 2**20
"""Bytes of decoded strips that are kept; one strip is kept whatever its size."""

WHOLE = 2**18
"""Bytes of a page that is decoded in one piece and kept, such as a patch."""

_heard: ContextVar[list[logging.LogRecord] | None] = ContextVar("heard", default=None)


def _keep(record: logging.LogRecord) -> bool:
    """Collect what tifffile logs while `hushed` is open; all else goes its usual way."""
    records = _heard.get()
    if records is None:
        return True
    records.append(record)
    return False


logging.getLogger("tifffile").addFilter(_keep)


@contextlib.contextmanager
def hushed() -> Iterator[list[logging.LogRecord]]:
    """Collect what tifffile has to say about a file, in place of logging it.

    Its lines ("missing data are zeroed") speak to programmers. What matters of them to a user
    is said by whoever opens the file. Other code that uses tifffile is not affected.
    """
    records: list[logging.LogRecord] = []
    token = _heard.set(records)
    try:
        yield records
    finally:
        _heard.reset(token)


class StrictChunks(WrapperStore[Store]):
    """A store of decoded chunks in which a chunk that is not there is an error.

    tifffile's store gives nothing for a page or tile that is missing, which zarr turns into
    zeros. A zero is a black pixel, and a network has an opinion about black pixels.

    Parameters
    ----------
    store
        Gives decoded chunks, as tifffile's store does.
    broken
        Chunks that are cut off, by key, each with what is wrong.
    absent
        What is wrong with the others that are missing; None leaves them to zarr, which fills
        them.
    remember
        Bytes of chunks to keep in memory. A strip spans the whole width of an image: without
        memory, each tile along a row would decode the same strips again, sixty times for a
        slide 30 000 pixels wide.
    """

    def __init__(
        self,
        store: Store,
        broken: Mapping[str, str] | None = None,
        absent: str | None = None,
        remember: int = 0,
    ) -> None:
        super().__init__(store)
        self._broken = broken or {}
        self._absent = absent
        self._kept: LRUCache[str, Buffer] = byte_cache(remember, len)

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Give a value, from memory where it is there; zarr's own thread calls this.

        Raises
        ------
        InputError
            For a chunk that the file does not have, or not whole.
        """
        if byte_range is not None:
            return await super().get(key, prototype, byte_range)
        if (kept := self._kept.get(key)) is not None:
            return kept
        if key in self._broken:
            raise InputError(self._broken[key])
        try:
            value = await super().get(key, prototype)
        except IndexError:  # The list of pages breaks off before this one.
            value = None
        if value is None:
            if self._absent is not None and key.replace(".", "").isdecimal():
                raise InputError(self._absent)
            return None
        if self._kept.maxsize:
            self._kept[key] = value
        return value


class HushedArray:
    """A zarr array of a TIFF that is read without tifffile's log; what a `LazyView` needs."""

    def __init__(self, array: zarr.Array[Any]) -> None:
        self.array = array
        self.shape, self.dtype, self.chunks = array.shape, np.dtype(array.dtype), array.chunks

    def __getitem__(self, key: tuple[int | slice, ...]) -> NDArray[Any]:
        """Read a region."""
        with hushed():
            return np.asarray(self.array[key])


class WholePage:
    """A small page that is decoded in one piece, which costs a sixth of doing it by zarr.

    Where that fails, its chunks are read one by one, so that those that are whole are not lost.

    Parameters
    ----------
    level
        A level of one page of which no chunk is missing.
    by_chunks
        Opens it as an array that is read chunk by chunk.
    """

    def __init__(self, level: tifffile.TiffPageSeries, by_chunks: Callable[[], Any]) -> None:
        self._level, self._by_chunks = level, by_chunks
        self._array: Any = None
        self.shape, self.dtype = level.shape, np.dtype(level.dtype)

    @property
    def chunks(self) -> tuple[int, ...]:
        """Lengths of the pieces that are read."""
        found: tuple[int, ...] = getattr(self._array, "chunks", self.shape)
        return found

    def __getitem__(self, key: tuple[int | slice, ...]) -> NDArray[Any]:
        """Read a region."""
        if self._array is None:
            try:
                with hushed():
                    self._array = self._level.asarray(maxworkers=1)
            except READ_ERRORS:
                self._array = self._by_chunks()
        return np.asarray(self._array[key])


def level_pixels(level: tifffile.TiffPageSeries, path: Path, source: str, absent: str) -> Any:
    """Give the pixels of one level as an array that is read when it is indexed.

    Contiguous pixels are mapped into memory, tiles and strips are decoded when they are
    asked for.

    Parameters
    ----------
    level
        A level of a series.
    path
        The file, for mapping.
    source
        Names the file in errors.
    absent
        What to say about pixels that are missing, with what to do.

    Raises
    ------
    InputError
        When the file is cut off and its chunks cannot be told apart.
    """
    broken = _broken(level, source)
    offset = level.dataoffset if level.transform is None and not level.is_multifile else None
    if offset is not None and not broken:
        dtype = np.dtype(level.dtype).newbyteorder(level.keyframe.parent.byteorder)
        return np.memmap(path, dtype, "r", offset, level.shape)

    def by_chunks() -> HushedArray:
        # Philips leaves out tiles of bare glass.
        sparse = level.keyframe.parent.is_philips
        store = level.aszarr(level=0, **({"fillvalue": 255} if sparse else {}))
        remember = 0 if level.keyframe.is_tiled else REMEMBERED
        strict = StrictChunks(store, broken, None if sparse else f"{source}: {absent}", remember)
        return HushedArray(zarr.open_array(strict, mode="r"))

    counts = level.keyframe.databytecounts
    complete = not broken and len(level.pages) == 1 and len(counts) and all(counts)
    return WholePage(level, by_chunks) if complete and level.nbytes <= WHOLE else by_chunks()


def _broken(level: tifffile.TiffPageSeries, source: str) -> dict[str, str]:
    """Find the chunks of a level that lie, in part, behind the end of their file.

    Returns
    -------
    dict
        Per key of tifffile's store, what is wrong.
    """
    keyframe, contiguous = level.keyframe, level.dataoffset is not None
    pages: list[Any] = []
    with contextlib.suppress(IndexError):  # The list of pages breaks off.
        pages.extend(level.pages)
    found: dict[tuple[int, int], int] = {}
    for number, page in enumerate(pages):
        if page is None or not len(page.dataoffsets):
            continue
        ends = np.add(page.dataoffsets, page.databytecounts, dtype=np.int64)
        size = int(page.parent.filehandle.size)
        found |= {(number, int(i)): int(ends[i]) - size for i in np.flatnonzero(ends > size)}
    if contiguous and len(pages) == 1 and level.nbytes > keyframe.nbytes:
        # ImageJ announces all planes in the first page.
        size, planes = int(keyframe.parent.filehandle.size), level.nbytes // keyframe.nbytes
        ends = np.add(keyframe.dataoffsets, keyframe.databytecounts, dtype=np.int64)
        for plane in range(planes):
            short = ends + plane * keyframe.nbytes - size
            found |= {(plane, int(i)): int(short[i]) for i in np.flatnonzero(short > 0)}
    if not found:
        return {}
    leading = level.shape[: level.ndim - len(keyframe.shape)]
    if level.shape[len(leading) :] != keyframe.shape or len(keyframe.chunked) != keyframe.ndim:
        raise InputError(
            f"{source}: is truncated, {max(found.values())} bytes are missing; copy it again"
        )
    words = f"{source}: is truncated, {{}} bytes are missing; copy it again"
    return {
        ".".join(
            str(int(i))
            for i in (
                *np.unravel_index(page, leading or (1,))[: len(leading)],
                *np.unravel_index(chunk, keyframe.chunked),
            )
        ): words.format(short)
        for (page, chunk), short in found.items()
    }
