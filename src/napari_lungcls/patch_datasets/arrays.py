"""What HDF5 and npz files have in common: rows of patches, labels, and unpacking."""

from __future__ import annotations

import contextlib
import gzip
import lzma
import math
import shutil
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Callable, Generator
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation.schemes import MAX_CLASSES
from napari_lungcls.errors import InputError
from napari_lungcls.images.damage import READ_ERRORS
from napari_lungcls.images.stack import stack_dtype
from napari_lungcls.utils.progress import Step

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


Labels = tuple[NDArray[np.int64], tuple[str, ...] | None]
"""Numbers of the classes, and their names where the data have them."""


def as_labels(values: NDArray[Any], n: int, names: tuple[str, ...] | None, source: str) -> Labels:
    """Take one label for each of `n` patches, `(n,)`, `(n, 1)` or `(n, 1, 1, 1)`.

    Raises
    ------
    InputError
        When there are more or fewer, or they are no classes.
    """
    if values.shape[:1] != (n,) or values.size != n:
        raise InputError(
            f"{source}: has {n} patches and labels of the shape {tuple(values.shape)}; there must "
            "be one label for each patch"
        )
    flat = values.reshape(n)
    if flat.dtype.kind in "SUO":
        texts = np.array([_text(value) for value in flat], object)
        found, numbers = np.unique(texts.astype(str), return_inverse=True)
        return numbers.astype(np.int64).reshape(n), tuple(str(name) for name in found)
    return as_numbers(flat, names, source), names


def as_numbers(
    values: NDArray[Any], names: tuple[str, ...] | None, source: str
) -> NDArray[np.int64]:
    """Take whole numbers from 0 in any type.

    Raises
    ------
    InputError
        Naming the first label that is none.
    """
    if values.dtype.kind not in "buif":
        raise InputError(f"{source}: labels of type {values.dtype}; give whole numbers from 0")
    limit = len(names) if names is not None else MAX_CLASSES
    with np.errstate(invalid="ignore"):
        whole = values.astype(np.int64)
        bad = (whole != values) | (whole < 0) | (whole >= limit)
    if bad.any():
        row = int(bad.argmax())
        raise InputError(
            f"{source}: patch {row + 1} is labelled {values[row]}; labels are whole numbers from "
            f"0 to {limit - 1}"
        )
    return whole


def as_names(values: NDArray[Any]) -> tuple[str, ...]:
    """Take the names of classes as an array or attribute holds them."""
    return tuple(_text(value) for value in np.ravel(values))


def as_groups(values: NDArray[Any] | None, n: int, source: str) -> NDArray[np.object_] | None:
    """Take the group of each patch, as text.

    Raises
    ------
    InputError
        When there are more or fewer than patches.
    """
    if values is None:
        return None
    if values.size != n:
        raise InputError(
            f"{source}: has {n} patches and {values.size} groups; there must be one for each"
        )
    return np.array([_text(value) for value in np.ravel(values)], object)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


CHUNK = 4 * 2**20
SPARE = 2**30
"""Bytes of the disk that are never filled."""

DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError,
           NotImplementedError)  # fmt: skip


def unpacked_gzip(path: Path) -> Generator[Step, None, IO[bytes]]:
    """Unpack a `.gz` file, yielding progress; the temporary file is the return value.

    Raises
    ------
    InputError
        When it is damaged or cut short, or the disk is full.
    """
    try:
        with path.open("rb") as packed, gzip.open(packed) as stream:
            return (yield from unpacked(stream.read, packed.tell, path.stat().st_size, path.name))
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file; check the name") from None
    except DAMAGED as error:
        raise InputError(
            f"{path}: cannot be unpacked ({error}); the file is cut short or damaged, copy it again"
        ) from error


def unpacked(
    read: Callable[[int], bytes], where: Callable[[], int], total: int, name: str
) -> Generator[Step, None, IO[bytes]]:
    """Copy a stream that unpacks itself into a temporary file.

    Parameters
    ----------
    read
        Gives so many bytes, unpacked, and none at the end.
    where, total
        Bytes that were read of the packed file, now and at the end.
    name
        Of what is unpacked, for the progress.
    """
    with contextlib.ExitStack() as stack:
        target = stack.enter_context(tempfile.TemporaryFile(prefix="lungcls-"))
        while chunk := read(CHUNK):
            if shutil.disk_usage(tempfile.gettempdir()).free < len(chunk) + SPARE:
                raise InputError(
                    f"{name}: there is no room to unpack it in {tempfile.gettempdir()}; free "
                    "space there, set TMPDIR to another disk, or unpack the file yourself"
                )
            target.write(chunk)
            yield Step(where(), total, f"unpacking {name}")
        target.flush()
        stack.pop_all()
    return target
