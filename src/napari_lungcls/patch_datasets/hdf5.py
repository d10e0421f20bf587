"""Patches in HDF5: `x` and `y` in one file, or in two as PatchCamelyon ships; gzip'd or not."""

from __future__ import annotations

import contextlib
import re
import weakref
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation.tables import column, read_table
from napari_lungcls.errors import InputError
from napari_lungcls.images.damage import reading
from napari_lungcls.images.readers.hdf5 import CACHE_BYTES, check_own
from napari_lungcls.patch_datasets.arrays import (
    ArrayPixels,
    as_groups,
    as_labels,
    as_names,
    unpacked_gzip,
)
from napari_lungcls.patch_datasets.dataset import Part, role_within
from napari_lungcls.utils.progress import Step

SUFFIX = re.compile(r"\.(h5|hdf5)(\.gz)?$", re.IGNORECASE)
_PAIRED = re.compile(r"(?P<stem>.*)_(?P<which>[xy])(?P<suffix>\.(h5|hdf5)(\.gz)?)$", re.IGNORECASE)

PIXEL_KEYS = ("x", "images")
LABEL_KEYS = ("y", "labels")
GROUP_KEYS = ("group", "groups")
_SMALL, _MOST_PACKED = 2**20, 1100
"""Bytes that are read whatever is stored, and how many one byte of a packed file may stand for at
the most: 1032 by gzip."""
GROUP_COLUMNS = ("group", "wsi")
"""Columns of a `_meta.csv` that name what belongs together; PatchCamelyon has `wsi`."""


def first_of_pair(path: Path) -> Path:
    """Return the file with the patches, given either file of a pair."""
    found = _PAIRED.fullmatch(path.name)
    if found is None or found["which"].lower() == "x":
        return path
    return _sibling(path, "x") or path


def read_hdf5(path: Path, *, labelled: bool = True) -> Generator[Step, None, Part]:
    """Open the patches of a file, or of a pair of files of which `path` is that with `x`.

    Raises
    ------
    InputError
        When the file is damaged, or patches or labels are missing or of the wrong kind.
    """
    with contextlib.ExitStack() as opened:
        with reading(str(path), "is a damaged HDF5 file ({}); copy it again"):
            part = yield from _read(path, labelled, opened)
        weakref.finalize(part.pixels, opened.pop_all().close)
        return part


def _read(path: Path, labelled: bool, opened: contextlib.ExitStack) -> Generator[Step, None, Part]:
    source = str(path)
    file = yield from _open(path, opened)
    files = [file]
    x = _find([file], PIXEL_KEYS, source)
    if x is None:
        raise InputError(
            f"{source}: has no dataset {' or '.join(PIXEL_KEYS)} with patches, but "
            f"{', '.join(file) or 'nothing'}; name it so"
        )
    other = _sibling(path, "y")
    if other is not None and _find([file], LABEL_KEYS, source) is None:
        files.append((yield from _open(other, opened)))
    y, n = _find(files, LABEL_KEYS, source), x.shape[0] if x.ndim else 0
    if y is None and labelled:
        raise InputError(
            f"{source}: has no labels beside the patches; add a dataset y, or the file "
            "with _y in place of _x beside it"
        )
    pixels = ArrayPixels(x, source, int(x.chunks[0]) if x.chunks else None)
    labels, names = None, None
    if y is not None:
        stored = y.attrs.get("classes")
        names = None if stored is None else as_names(np.asarray(stored))
        _check_count(y, n, source)
        _check_stored(y, source)
        labels, names = as_labels(y[()], n, names, source)
    groups = _find(files, GROUP_KEYS, source)
    if groups is not None:
        _check_stored(groups, source)
    named = _meta(path) if groups is None else groups[()]
    role = role_within(re.split(r"[^A-Za-z]+", SUFFIX.sub("", path.name)))
    return Part(source, role, pixels, labels, names, as_groups(named, n, source))


def _open(path: Path, opened: contextlib.ExitStack) -> Generator[Step, None, h5py.File]:
    """Open a file; what is to be closed is noted, the HDF5 file after its stream."""
    stream: Any = None
    if path.suffix.lower() == ".gz":
        stream = opened.enter_context((yield from unpacked_gzip(path)))
    elif not path.is_file():
        raise InputError(f"{path}: there is no such file; check the name")
    with reading(str(path), "is not an HDF5 file that can be read ({}); copy it again"):
        return opened.enter_context(h5py.File(stream or path, "r", rdcc_nbytes=CACHE_BYTES))


def _find(files: Iterable[h5py.File], keys: tuple[str, ...], source: str) -> h5py.Dataset | None:
    for file in files:
        for key in file:
            if key.lower() in keys and isinstance(found := file.get(key), h5py.Dataset):
                check_own(found, file, source)
                return found
    return None


def _check_count(y: h5py.Dataset, n: int, source: str) -> None:
    """Refuse labels of another number before they are read, however many they are."""
    if y.size != n:
        raise InputError(
            f"{source}: has {n} patches and labels of the shape {y.shape}; there must be one "
            "label for each patch"
        )


def _check_stored(dataset: h5py.Dataset, source: str) -> None:
    """Refuse numbers that are only announced, before memory is filled with what stands for them."""
    announced = dataset.size * dataset.dtype.itemsize
    if announced > max(_SMALL, _MOST_PACKED * dataset.id.get_storage_size()):
        raise InputError(
            f"{source}: {dataset.name} announces {announced} bytes and stores less than packing "
            "explains; save it again"
        )


def _sibling(path: Path, which: str) -> Path | None:
    """Find the other file of a pair, packed or not."""
    found = _PAIRED.fullmatch(path.name)
    if found is None:
        return None
    bare = found["suffix"].removesuffix(".gz")
    letter = which.upper() if found["which"].isupper() else which
    for suffix in (found["suffix"], bare, f"{bare}.gz"):
        other = path.with_name(f"{found['stem']}_{letter}{suffix}")
        if other.is_file():
            return other
    return None


def _meta(path: Path) -> NDArray[Any] | None:
    """Read the groups from the table beside a pair, if there is one that names them."""
    found = _PAIRED.fullmatch(path.name)
    table = path.with_name(f"{found['stem']}_meta.csv") if found else None
    if table is None or not table.is_file():
        return None
    header, rows, _ = read_table(table)
    folded = [name.strip().lower() for name in header]
    place = next((folded.index(name) for name in GROUP_COLUMNS if name in folded), None)
    return None if place is None else column(rows, place)
