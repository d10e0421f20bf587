"""Pixels of a TIFF: reading tiles and strips, and converting them to intensities."""

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
"""Bytes of decoded strips to cache; one strip is kept whatever its size."""

WHOLE = 2**18
"""Bytes up to which a page, such as a patch, is decoded as a whole and kept."""

MIN_IS_WHITE, MIN_IS_BLACK, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6

# Compressions that decode to RGB: JPEG in all its spellings, JPEG 2000, WebP, JPEG XL and XR, PNG.
_DECODED_TO_RGB = {6, 7, 34892, 33007, 34712, 33005, 50001, 50002, 52546, 22610, 34934, 34933}
_APERIO_YCBCR = 33003

Convert = Callable[[NDArray[Any]], NDArray[Any]]

_heard: ContextVar[list[logging.LogRecord] | None] = ContextVar("heard", default=None)


def _keep(record: logging.LogRecord) -> bool:
    """Collect what tifffile logs inside `hushed`; pass on all other records."""
    records = _heard.get()
    if records is None:
        return True
    records.append(record)
    return False


logging.getLogger("tifffile").addFilter(_keep)


@contextlib.contextmanager
def hushed() -> Iterator[list[logging.LogRecord]]:
    """Collect what tifffile logs about a file instead of showing it.

    Its messages ("missing data are zeroed") are for programmers; the reader reports what
    matters to the user. Other code that uses tifffile is not affected.
    """
    records: list[logging.LogRecord] = []
    token = _heard.set(records)
    try:
        yield records
    finally:
        _heard.reset(token)


class StrictChunks(WrapperStore[Store]):
    """A store of decoded chunks that raises an error for missing chunks.

    For a missing page or tile tifffile's store returns nothing, which zarr turns into zeros:
    black pixels that the network would classify.

    Parameters
    ----------
    store
        Gives decoded chunks, as tifffile's store does.
    broken
        Chunks that are cut off, by key, each with what is wrong.
    absent
        What is wrong with other chunks that are missing; if None, zarr fills them.
    remember
        Bytes of chunks to cache. A strip spans the whole width of an image: without a cache
        every tile along a row would decode the same strips again, sixty times for a slide
        that is 30,000 pixels wide.
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
        """Return a value, from the cache if possible; called in zarr's own thread.

        Raises
        ------
        InputError
            For a chunk that is missing or truncated.
        """
        if byte_range is not None:
            return await super().get(key, prototype, byte_range)
        if (kept := self._kept.get(key)) is not None:
            return kept
        if key in self._broken:
            raise InputError(self._broken[key])
        try:
            value = await super().get(key, prototype)
        except IndexError:  # The list of pages ends before this one.
            value = None
        if value is None:
            if self._absent is not None and key.replace(".", "").isdecimal():
                raise InputError(self._absent)
            return None
        if self._kept.maxsize:
            self._kept[key] = value
        return value


class HushedArray:
    """A zarr array of a TIFF, read without tifffile's log messages."""

    def __init__(self, array: zarr.Array[Any]) -> None:
        self.array = array
        self.shape, self.dtype, self.chunks = array.shape, np.dtype(array.dtype), array.chunks

    def __getitem__(self, key: tuple[int | slice, ...]) -> NDArray[Any]:
        """Read a region."""
        with hushed():
            return np.asarray(self.array[key])


class WholePage:
    """A small page that is decoded as a whole, six times faster than through zarr.

    If that fails, its chunks are read one by one, so that intact ones are not lost.

    Parameters
    ----------
    level
        A level of one page with no missing chunks.
    by_chunks
        Opens it as an array that is read chunk by chunk.
    """

    def __init__(self, level: tifffile.TiffPageSeries, by_chunks: Callable[[], Any]) -> None:
        self._level, self._by_chunks = level, by_chunks
        self._array: Any = None
        self.shape, self.dtype = level.shape, np.dtype(level.dtype)

    @property
    def chunks(self) -> tuple[int, ...]:
        """Lengths of the chunks that are read."""
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
    """Return the pixels of one level as a lazy array.

    Contiguous pixels are memory-mapped; tiles and strips are decoded on demand.

    Parameters
    ----------
    level
        A level of a series.
    path
        The file, for mapping.
    source
        Names the file in errors.
    absent
        The message for missing pixels, with the remedy.

    Raises
    ------
    InputError
        When the file is truncated and its chunks cannot be told apart.
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
    """Find the chunks of a level that extend beyond the end of their file.

    Returns
    -------
    dict
        What is wrong, by the key in tifffile's store.
    """
    keyframe, contiguous = level.keyframe, level.dataoffset is not None
    pages: list[Any] = []
    with contextlib.suppress(IndexError):  # The list of pages is truncated.
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


class Converted:
    """An array whose values are converted to intensities as they are read.

    Parameters
    ----------
    array
        Anything with `shape`, `dtype` and indexing by integers and slices.
    convert
        Converts a region of any shape; adds a last axis if there are `colours`.
    dtype
        Of its result.
    colours
        Length of the axis that it adds; 0 if it adds none.
    """

    def __init__(self, array: Any, convert: Convert, dtype: Any, colours: int = 0) -> None:
        self.array, self._convert = array, convert
        self.dtype = np.dtype(dtype)
        added = (colours,) if colours else ()
        self.shape = (*array.shape, *added)
        stored = getattr(array, "chunks", None)
        self.chunks = None if stored is None else (*stored, *added)

    def __getitem__(self, key: tuple[int | slice, ...]) -> NDArray[Any]:
        """Read a region; an entry for every axis."""
        ndim = len(self.array.shape)
        region = self._convert(np.asarray(self.array[key[:ndim]]))
        found: NDArray[Any] = region[(..., *key[ndim:])]
        return found


def intensities(array: Any, page: tifffile.TiffPage, *, lookup: bool, source: str) -> Any:
    """Convert the values of a level to intensities: 0 is black, 8 bits or more.

    Parameters
    ----------
    array
        The values as stored.
    page
        Says what they mean.
    lookup
        Whether a palette is only a lookup table for display, as in ImageJ and OME files.
    source
        Names the file in errors.

    Returns
    -------
    array
        Grey of 1 to 7 bits spans 0 to 255, MinIsWhite is inverted, palettes become RGB (a
        last axis). Everything else is unchanged.

    Raises
    ------
    InputError
        When they are not intensities: CMYK, Lab, complex numbers and others.
    """
    kind = int(page.photometric)
    dtype = np.dtype(array.dtype)
    if page.compression == _APERIO_YCBCR or (
        kind == YCBCR and page.compression not in _DECODED_TO_RGB
    ):
        raise InputError(f"{source}: has YCbCr colours as they are; save it as RGB or grey")
    if kind not in (MIN_IS_WHITE, MIN_IS_BLACK, RGB, PALETTE, YCBCR):
        name = tifffile.PHOTOMETRIC(kind).name.lower()
        raise InputError(f"{source}: has {name} colours; save it as RGB or grey")
    if kind == PALETTE and not lookup:
        return _palette(array, page, source)
    bits = page.bitspersample if isinstance(page.bitspersample, int) else 8
    steps: list[Convert] = []
    if bits < 8:
        top = 2**bits - 1
        table = np.rint(np.arange(top + 1) * (255 / top)).astype(np.uint8)
        steps.append(lambda v: table[v.astype(np.uint8)])
        dtype = np.dtype(np.uint8)
    if kind == MIN_IS_WHITE:
        if dtype.kind != "u":
            raise InputError(
                f"{source}: says that its least value is white, but holds {dtype}; save it as "
                "uint8 or uint16 with black as 0"
            )
        white = dtype.type(255 if bits < 8 else 2**bits - 1)
        steps.append(lambda v: white - v)
    if not steps:
        return array

    def convert(region: NDArray[Any]) -> NDArray[Any]:
        for step in steps:
            region = step(region)
        return region

    return Converted(array, convert, dtype)


def _palette(array: Any, page: tifffile.TiffPage, source: str) -> Converted:
    colours = page.colormap
    if colours is None or colours.ndim != 2 or len(colours) != 3:
        raise InputError(f"{source}: has palette colours without a palette; save it as RGB")
    # Stored as 16 bits, but written from 8-bit colours by every program.
    table = np.ascontiguousarray((colours >> 8).astype(np.uint8).T)

    def look_up(indices: NDArray[Any]) -> NDArray[Any]:
        if indices.size and int(indices.max()) >= len(table):
            raise ValueError("it has colours that are not in its palette")
        return table[indices.astype(np.intp)]

    return Converted(array, look_up, np.uint8, colours=3)
