"""Unpacking compressed files once, to a nameless temporary file that goes with its last user."""

from __future__ import annotations

import contextlib
import gzip
import lzma
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Generator
from pathlib import Path
from typing import IO

from napari_lungcls.errors import InputError
from napari_lungcls.learning.patches.parts import Step

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
