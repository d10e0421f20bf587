"""Patches that are picture files of one size, decoded when they are asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.images.readers.picture import Picture, decode, describe
from napari_lungcls.patch_datasets.arrays import as_rgb
from napari_lungcls.utils.progress import Step

MAX_EDGE = 4096
"""Pixels along the longest edge of a patch; larger pictures are images to label points in."""
_EVERY = 500
"""Files between two steps of progress."""
_SAMPLE = 4096
"""Bytes in the middle of two files that are compared before the whole files are."""


class PictureFiles:
    """Picture files of one size; see `Pixels`.

    Parameters
    ----------
    paths
        At least one.
    first
        What the first is; the others have its size and type.
    rgb
        Whether any has colours.
    """

    run_length = 1

    def __init__(self, paths: Sequence[Path], first: Picture, rgb: bool) -> None:
        self.paths, self.rgb = tuple(paths), rgb
        self.shape = (len(paths), *first.size)
        self.dtype = np.dtype(first.dtype)

    def read(self, first: int, stop: int) -> NDArray[Any]:
        """Decode pictures as RGB, `(m, height, width, 3)`."""
        return np.stack([self._one(path) for path in self.paths[first:stop]])

    def _one(self, path: Path) -> NDArray[Any]:
        pixels = decode(path, str(path))
        if pixels.shape[:2] != self.shape[1:] or pixels.dtype != self.dtype:
            raise InputError(f"{path}: has changed since the data set was opened; open it again")
        rgb: NDArray[Any] = as_rgb(pixels[np.newaxis], str(path))[0]
        return rgb


def opened_pictures(paths: Sequence[Path], source: str) -> Generator[Step, None, PictureFiles]:
    """Look at the size and type of every picture, without decoding it.

    Raises
    ------
    InputError
        When there is none, or one differs from the first, or is damaged.
    """
    if not paths:
        raise InputError(f"{source}: names no pictures; add some")
    first: Picture | None = None
    rgb = False
    for done, path in enumerate(paths):
        if done % _EVERY == 0:
            yield Step(done, len(paths), f"looking at {source}")
        found = describe(path, str(path))
        if max(found.size) > MAX_EDGE:
            height, width = found.size
            raise InputError(
                f"{path}: has {width} by {height} pixels, and a patch has at most {MAX_EDGE} along "
                "an edge; cut it, or label points in it"
            )
        first = first or found
        rgb = rgb or found.rgb
        if found[:2] != first[:2]:
            raise InputError(
                f"{path}: is {_said(found)}, but {paths[0].name} is {_said(first)}; patches of a "
                "data set have one size and type, convert or remove this one"
            )
    assert first is not None
    return PictureFiles(paths, first, rgb)


def identical_files(paths: Sequence[Path]) -> NDArray[np.intp]:
    """Return, for each file, the number of the first with the same bytes.

    Only files of equal length are read, and only those whose middles agree are read whole.

    Raises
    ------
    InputError
        When a file cannot be read.
    """
    same = np.arange(len(paths))
    try:
        alike: list[list[int]] = [list(range(len(paths)))]
        for key in (_length, _middle, _digest):
            alike = [part for rows in alike for part in _apart(rows, paths, key)]
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror})") from error
    for rows in alike:
        same[rows] = rows[0]
    return same


def _apart(
    rows: Iterable[int], paths: Sequence[Path], key: Callable[[Path], object]
) -> list[list[int]]:
    """Put rows with the same key together; those that are alone are left out."""
    found: dict[object, list[int]] = {}
    for row in rows:
        found.setdefault(key(paths[row]), []).append(row)
    return [rows for rows in found.values() if len(rows) > 1]


def _length(path: Path) -> int:
    return path.stat().st_size


def _middle(path: Path) -> bytes:
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - _SAMPLE) // 2)
        return stream.read(_SAMPLE)


def _digest(path: Path) -> bytes:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def _said(picture: Picture) -> str:
    height, width = picture.size
    return f"{height} × {width} {picture.dtype}"
