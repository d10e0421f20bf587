"""Patches in `.npz` archives: `x`/`y`, `images`/`labels`, `train_images` …, `x_train` …."""

from __future__ import annotations

import math
import re
import struct
import tokenize
import zipfile
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.images.damage import reading
from napari_lungcls.patch_datasets.arrays import (
    DAMAGED,
    ArrayPixels,
    RowFile,
    as_groups,
    as_labels,
    as_names,
    unpacked,
)
from napari_lungcls.patch_datasets.dataset import PART_NAMES, Part, role_of, role_within
from napari_lungcls.utils.progress import Step

_PIXELS = ("x", "images")
_LABELS = {"x": ("y", "labels"), "images": ("labels", "y")}
"""Arrays of the labels, those that belong to the name of the pixels first."""
_MORE_LABELS = ("label", "targets", "target")
_GROUPS = ("group", "groups")
_NAMES = "classes"
_ROLES = "|".join(sorted(PART_NAMES, key=len, reverse=True))
_NAME = re.compile(rf"(?:(?P<before>{_ROLES})_)?(?P<key>.+?)(?:_(?P<after>{_ROLES}))?")
"""Names of arrays: `x`, `train_images` as in MedMNIST, `x_train` as in Keras."""
_LOCAL_HEADER = 30
"""Bytes of a zip member's own header before its name; PKWARE's APPNOTE, section 4.3.7."""

ERRORS = (*DAMAGED, ValueError, KeyError, struct.error, SyntaxError, tokenize.TokenError)
_BROKEN = (
    "is not an .npz archive that can be read ({}); copy it again, and save arrays of numbers only"
)


class _Name(NamedTuple):
    """What the name of an array says, in lower case: the part it belongs to, and what it is."""

    role: str
    key: str

    @classmethod
    def of(cls, name: str) -> _Name:
        found = _NAME.fullmatch(name.lower())
        if found is None or (found["before"] and found["after"]):
            return cls("", name.lower())
        return cls(found["before"] or found["after"] or "", found["key"])


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
    with reading(str(path), _BROKEN, *ERRORS), zipfile.ZipFile(path) as archive:
        members = _members(path, archive)
        wanted = [name for name in members if name.key in _PIXELS]
        if not wanted:
            raise InputError(
                f"{path}: has no array x, images, train_images or x_train, but "
                f"{', '.join(_plain(members.values())) or 'nothing'}; name the patches so"
            )
        roles = [name.role for name in wanted]
        if len(set(roles)) < len(roles):
            both = ", ".join(_plain(members[name] for name in wanted))
            raise InputError(f"{path}: has several arrays of patches ({both}); keep one")
        parts = []
        for name in wanted:
            parts.append((yield from _part(path, archive, members, name, labelled)))
        return parts


def _members(path: Path, archive: zipfile.ZipFile) -> dict[_Name, str]:
    """Name the arrays of an archive; two may not differ only by case or order."""
    members: dict[_Name, str] = {}
    for member in archive.namelist():
        name = _Name.of(member.removesuffix(".npy"))
        if name in members:
            both = " and ".join(_plain((members[name], member)))
            raise InputError(f"{path}: has two arrays of the same name, {both}; rename one")
        members[name] = member
    return members


def _plain(members: Iterable[str]) -> list[str]:
    return [member.removesuffix(".npy") for member in members]


def _part(
    path: Path,
    archive: zipfile.ZipFile,
    members: dict[_Name, str],
    name: _Name,
    labelled: bool,
) -> Generator[Step, None, Part]:
    several = bool(name.role)
    shown = members[name].removesuffix(".npy")
    source = f"{path}:{shown}" if several else str(path)
    array = yield from _rows(path, archive, members[name], source)
    pixels = ArrayPixels(array, source)
    n = array.shape[0]
    member = _labels(members, name, source)
    if member is None and labelled:
        others = ", ".join(_plain(members.values()))
        key = shown.lower().replace(name.key, _LABELS[name.key][0])
        raise InputError(f"{source}: has no labels; add an array {key} (there are {others})")
    stored = _small(archive, members.get(_Name("", _NAMES)), None)
    names = None if stored is None else as_names(stored)
    labels = None
    if member is not None:
        values = _small(archive, member, n)
        assert values is not None
        labels, names = as_labels(values, n, names, source)
    found = [members.get(_Name(name.role, key)) for key in _GROUPS]
    groups = next((g for m in found if (g := _small(archive, m, n)) is not None), None)
    words = re.split(r"[^A-Za-z]+", path.stem)
    role = (role_of(name.role) or "") if several else role_within(words)
    return Part(source, role, pixels, labels, names, as_groups(groups, n, source))


def _labels(members: dict[_Name, str], name: _Name, source: str) -> str | None:
    """Find the labels of an array of patches."""
    for keys in ((_LABELS[name.key][0],), (_LABELS[name.key][1], *_MORE_LABELS)):
        found = [members[n] for key in keys if (n := _Name(name.role, key)) in members]
        if len(found) > 1:
            both = ", ".join(_plain(found))
            raise InputError(f"{source}: has several arrays of labels ({both}); keep one")
        if found:
            return found[0]
    return None


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


def _small(archive: zipfile.ZipFile, member: str | None, n: int | None) -> NDArray[Any] | None:
    """Read an array with an entry for each patch, whose header says so before it is read."""
    if member is None:
        return None
    with archive.open(member) as stream:
        shape = _header(stream).shape
    if n is not None and math.prod(shape) != n:
        raise InputError(
            f"{archive.filename}: has {n} patches and {_plain([member])[0]} of the shape {shape}; "
            "there must be one entry for each patch"
        )
    with archive.open(member) as stream:
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
