"""Patches in `.npz` archives: `x`/`y`, `images`/`labels`, and MedMNIST's `train_images` …."""

from __future__ import annotations

import math
import re
import struct
import zipfile
from collections.abc import Generator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.learning.patches.arrays import ArrayPixels, RowFile
from napari_lungcls.learning.patches.labels import as_groups, as_labels, as_names
from napari_lungcls.learning.patches.parts import PART_NAMES, Part, Step, role_of, role_within
from napari_lungcls.learning.patches.unpacking import DAMAGED, unpacked

_PIXELS = re.compile(
    rf"(?P<prefix>(?:(?P<role>{'|'.join(PART_NAMES)})_)?)(?P<key>x|images)", re.IGNORECASE
)
_LABELS = {"x": "y", "images": "labels"}
_GROUPS = ("group", "groups")
_NAMES = "classes"
_LOCAL_HEADER = 30
"""Bytes of a zip member's own header before its name; PKWARE's APPNOTE, section 4.3.7."""

ERRORS = (*DAMAGED, ValueError, KeyError, struct.error)


class _Header(NamedTuple):
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    size: int
    """Bytes before the numbers."""


def read_npz(path: Path, *, labelled: bool = True) -> Generator[Step, None, list[Part]]:
    """Open the patches of an archive; compressed ones are unpacked to a temporary file.

    Raises
    ------
    InputError
        When the archive is damaged, or patches or labels are missing or of the wrong kind.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; check the name")
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name.removesuffix(".npy"): name for name in archive.namelist()}
            wanted = [found for name in members if (found := _PIXELS.fullmatch(name))]
            if not wanted:
                raise InputError(
                    f"{path}: has no array x, images or train_images, but "
                    f"{', '.join(members) or 'nothing'}; name the patches so"
                )
            parts = []
            for found in wanted:
                parts.append((yield from _part(path, archive, members, found, labelled)))
            return parts
    except InputError:
        raise
    except ERRORS as error:
        raise InputError(
            f"{path}: is not an .npz archive that can be read ({error}); copy it again, and save "
            "arrays of numbers only"
        ) from error


def _part(
    path: Path,
    archive: zipfile.ZipFile,
    members: dict[str, str],
    found: re.Match[str],
    labelled: bool,
) -> Generator[Step, None, Part]:
    several = found["role"] is not None
    source = f"{path}:{found[0]}" if several else str(path)
    array = yield from _rows(path, archive, members[found[0]], source)
    pixels = ArrayPixels(array, source)
    n = array.shape[0]
    key = found["prefix"] + _LABELS[found["key"].lower()]
    if key not in members and labelled:
        raise InputError(f"{source}: has no labels; add an array {key}")
    stored = _small(archive, members, _NAMES, None)
    names = None if stored is None else as_names(stored)
    labels = None
    if key in members:
        values = _small(archive, members, key, n)
        assert values is not None
        labels, names = as_labels(values, n, names, source)
    keys = [found["prefix"] + name for name in _GROUPS]
    groups = next((g for k in keys if (g := _small(archive, members, k, n)) is not None), None)
    words = re.split(r"[^A-Za-z]+", path.stem)
    role = (role_of(found["role"]) or "") if several else role_within(words)
    return Part(source, role, pixels, labels, names, as_groups(groups, n, source))


def _rows(
    path: Path, archive: zipfile.ZipFile, member: str, source: str
) -> Generator[Step, None, RowFile]:
    """Give the rows of a member: where it lies in the archive, or unpacked."""
    info = archive.getinfo(member)
    if info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1:
        stream: IO[bytes] = path.open("rb")
        stream.seek(info.header_offset)
        head = stream.read(_LOCAL_HEADER)
        name, extra = struct.unpack("<HH", head[26:30])
        start = info.header_offset + _LOCAL_HEADER + name + extra
    else:
        with archive.open(info) as packed:
            # The stream does not tell how much it read of the file; what it gave, it does.
            stream = yield from unpacked(packed.read, packed.tell, info.file_size, source)
        start = 0
    try:
        stream.seek(start)
        header = _header(stream)
        whole = header.size + math.prod(header.shape) * header.dtype.itemsize
        if header.fortran or whole > info.file_size:
            how = "in Fortran order" if header.fortran else "cut short"
            raise InputError(f"{source}: the patches are {how}; save them again, in C order")
    except (InputError, *ERRORS):
        stream.close()
        raise
    return RowFile(stream, start + header.size, header.shape, header.dtype)


def _small(
    archive: zipfile.ZipFile, members: dict[str, str], key: str, n: int | None
) -> NDArray[Any] | None:
    """Read an array with an entry for each patch, whose header says so before it is read."""
    if key not in members:
        return None
    with archive.open(members[key]) as stream:
        shape = _header(stream).shape
    if n is not None and math.prod(shape) != n:
        raise InputError(
            f"{archive.filename}: has {n} patches and {key} of the shape {shape}; there must be "
            "one entry for each patch"
        )
    with archive.open(members[key]) as stream:
        found: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return found


def _header(stream: IO[bytes]) -> _Header:
    begin = stream.tell()
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise ValueError(f"version {version} of the .npy format")
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    return _Header(shape, fortran, dtype, stream.tell() - begin)
