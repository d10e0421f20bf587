"""Strips of a compressed TIFF kept for a while, because every tile needs them again."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from zarr.abc.store import ByteRequest, Store
from zarr.storage import WrapperStore

if TYPE_CHECKING:
    from zarr.abc.buffer import Buffer
    from zarr.core.buffer import BufferPrototype

LIMIT = 128 * 2**20
"""Bytes of decoded strips that are kept; one strip is kept whatever its size."""


class RecentChunks(WrapperStore[Store]):
    """A zarr store that remembers the chunks it gave last.

    A strip spans the whole width of an image. Without memory each tile along a row would
    decode the same strips again: sixty times for a slide 30 000 pixels wide.

    Parameters
    ----------
    store
        Gives decoded chunks, as tifffile's store does.
    limit
        Bytes to keep.
    """

    def __init__(self, store: Store, limit: int = LIMIT) -> None:
        super().__init__(store)
        self._limit = limit
        self._kept: OrderedDict[str, Buffer] = OrderedDict()
        self._bytes = 0

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Give a value, from memory where it is there; zarr's own thread calls this."""
        if byte_range is not None:
            return await super().get(key, prototype, byte_range)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        value = await super().get(key, prototype)
        if value is not None and key not in self._kept:
            self._kept[key] = value
            self._bytes += len(value)
            while self._bytes > self._limit and len(self._kept) > 1:
                _, oldest = self._kept.popitem(last=False)
                self._bytes -= len(oldest)
        return value
