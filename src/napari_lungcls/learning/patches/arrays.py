"""Patches that lie in one array on disk: an HDF5 dataset, or numbers in a row in a file."""

from __future__ import annotations

import math
import weakref
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.images.damage import READ_ERRORS
from napari_lungcls.images.stack import stack_dtype

RUN_BYTES = 2**21
"""Bytes of neighbouring patches that are read together, if the file does not say how many."""


class Rows(Protocol):
    """An array of which rows are read."""

    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def dtype(self) -> np.dtype[Any]: ...  # noqa: D102
    def __getitem__(self, rows: slice) -> NDArray[Any]: ...  # noqa: D105


class RowFile:
    """An array of numbers in a file, from `offset` on, in C order.

    Reads instead of mapping, so that what was read does not count as this program's memory.
    """

    def __init__(
        self, stream: IO[bytes], offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        self.shape, self.dtype = shape, dtype
        self._stream, self._offset = stream, offset
        weakref.finalize(self, stream.close)

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        """Read a range of rows."""
        first, stop, _ = rows.indices(self.shape[0])
        row = math.prod(self.shape[1:])
        self._stream.seek(self._offset + first * row * self.dtype.itemsize)
        content = self._stream.read((stop - first) * row * self.dtype.itemsize)
        return np.frombuffer(content, self.dtype).reshape(stop - first, *self.shape[1:])


class ArrayPixels:
    """Patches of an array `(n, height, width[, channel])`; see `Pixels`.

    Parameters
    ----------
    array
        The rows.
    source
        Names it in messages.
    run_length
        Rows that are stored together; chosen by their size if not given.

    Raises
    ------
    InputError
        When the array holds no patches.
    """

    def __init__(self, array: Rows, source: str, run_length: int | None = None) -> None:
        self._array, self._source = array, source
        _check(array, source)
        n, height, width = array.shape[:3]
        self.shape = (n, height, width)
        self.dtype = stack_dtype(array.dtype)
        self.rgb = array.shape[3:] not in ((), (1,))
        row = math.prod(array.shape[1:]) * array.dtype.itemsize
        self.run_length = run_length or max(1, RUN_BYTES // row)

    def read(self, first: int, stop: int) -> NDArray[Any]:
        """Read patches as RGB, `(m, height, width, 3)`."""
        try:
            found = np.asarray(self._array[first:stop])
        except READ_ERRORS as error:
            raise InputError(
                f"{self._source}: patches {first + 1} to {stop} cannot be read ({error}); the "
                "file is damaged or incomplete, copy it again"
            ) from error
        return as_rgb(found.astype(self.dtype, copy=False), self._source)


def as_rgb(patches: NDArray[Any], source: str) -> NDArray[Any]:
    """Make RGB of grey patches `(m, h, w)` or `(m, h, w, 1)`, and drop transparency.

    Raises
    ------
    InputError
        When intensities are not finite.
    """
    if patches.dtype.kind == "f" and not np.isfinite(patches).all():
        raise InputError(f"{source}: holds NaN or infinite intensities; fill them first")
    if patches.ndim == 3:
        patches = patches[..., np.newaxis]
    if patches.shape[-1] == 1:
        return np.repeat(patches, 3, axis=-1)
    return np.ascontiguousarray(patches[..., :3])


def _check(array: Rows, source: str) -> None:
    shape = tuple(array.shape)
    if len(shape) == 4 and shape[1] in (1, 3, 4) and shape[3] not in (1, 3, 4):
        raise InputError(
            f"{source}: the patches have the shape {shape}, channels first; write them as "
            "(N, height, width, 3)"
        )
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3, 4)):
        raise InputError(
            f"{source}: patches have the shape (N, height, width, 3), or 1 or 4 channels, or "
            f"none, not {shape}; write them so"
        )
    if 0 in shape:
        raise InputError(f"{source}: holds no patches, its shape is {shape}; give another file")
    if array.dtype.kind not in "buif":
        raise InputError(
            f"{source}: intensities must be numbers, not {array.dtype}; convert them to uint8"
        )
