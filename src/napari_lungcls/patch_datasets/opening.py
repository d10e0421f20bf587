"""Opening patch data sets, whatever their format."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.images.pairs import PathLike
from napari_lungcls.patch_datasets import hdf5, manifests
from napari_lungcls.patch_datasets.arrays import ArrayPixels, as_labels
from napari_lungcls.patch_datasets.dataset import Part, PatchData
from napari_lungcls.patch_datasets.folders import Tree, look_into, read_folder
from napari_lungcls.patch_datasets.npz import read_npz
from napari_lungcls.utils.humanize import listing
from napari_lungcls.utils.progress import Step, exhaust

AnyPatches = PatchData | PathLike | Iterable[PathLike] | NDArray[Any]

NPZ = ".npz"
LISTS = (manifests.LIST_SUFFIX, *manifests.MANIFEST_SUFFIXES)
KINDS = ".h5, .hdf5, .h5.gz, .npz, .manifest, .jsonl, .lst, or a folder per class"


def open_patches(
    data: PathLike | Iterable[PathLike],
    *,
    labelled: bool = True,
    attribute: str | None = None,
    progress: Callable[[Step], None] | None = None,
) -> PatchData:
    """Open files and folders as one data set.

    Parameters
    ----------
    data
        Paths; of a pair of HDF5 files either or both.
    labelled
        Whether every patch needs a class.
    attribute
        Of a manifest with several attributes, the one that holds the class.
    progress
        Called while something large is unpacked or many files are looked at.

    Raises
    ------
    InputError
        When something is missing, damaged, or of the wrong kind.

    Examples
    --------
    >>> data = lc.open_patches("patches.npz")
    >>> data.parts[0].pixels.read(0, 2).shape
    (2, 32, 32, 3)
    """
    given = [data] if isinstance(data, str | os.PathLike) else list(data)
    parts: list[Part] = []
    for path in _each(map(Path, given)):
        parts += exhaust(_parts(path, labelled, attribute), progress)
    if not parts:
        raise InputError(f"a data set of patches is needed: {KINDS}")
    return PatchData(parts)


def as_patches(
    data: AnyPatches, labels: NDArray[Any] | None = None, *, labelled: bool = True
) -> PatchData:
    """Take patches in any form: opened, as paths, or as an array `(n, height, width[, 3])`.

    Parameters
    ----------
    data
        The patches.
    labels
        `(n,)` numbers of the classes, for an array.
    labelled
        Whether files must have a class for each patch.

    Raises
    ------
    InputError
        When they cannot be used.
    """
    if isinstance(data, PatchData):
        return data
    if not isinstance(data, np.ndarray):
        return open_patches(data, labelled=labelled)
    source = "the array of patches"
    codes, names = None, None
    pixels = ArrayPixels(data, source)
    if labels is not None:
        codes, names = as_labels(np.asarray(labels), len(data), None, source)
    return PatchData([Part(source, "", pixels, codes, names)])


def is_patch_data(path: PathLike) -> bool:
    """Tell whether a path can only be a patch data set, by what it is called."""
    file = Path(path)
    folder = file.is_dir() and not file.name.lower().endswith(".zarr")
    return folder or _kind(file) is not None


def _kind(file: Path) -> str | None:
    """Tell the kind of a file of patches by its name."""
    if hdf5.SUFFIX.search(file.name):
        return "HDF5"
    suffix = file.suffix.lower()
    return suffix if suffix in (NPZ, *LISTS) else None


def _each(paths: Iterable[Path]) -> list[Path | Tree]:
    """Look into folders of files, take pairs once, and keep the order."""
    found: dict[Path, Path | Tree] = {}
    for path in paths:
        for item in _inside(look_into(path)) if path.is_dir() else [path]:
            if isinstance(item, Tree):
                found[item.path] = item
            else:
                file = hdf5.first_of_pair(item)
                found[file] = file
    return list(found.values())


def _inside(tree: Tree) -> list[Path] | list[Tree]:
    """Return the files of patches in a folder, or the folder itself if it has none.

    Raises
    ------
    InputError
        When it holds data sets of two kinds.
    """
    files = [path for path in tree.others if _kind(path)]
    if not files:
        return [tree]
    # The pictures that a list names lie beside it, in a folder of its name if we wrote them.
    listed = {path.stem for path in files if _kind(path) in LISTS}
    beside = [folder for folder in tree.full if folder.name not in listed]
    if beside:
        raise InputError(
            f"{tree.path}: holds pictures in folders ({listing(f.name for f in beside)}), and "
            f"{listing(f.name for f in files)} beside; move the file elsewhere to use the "
            f"folders, or give {files[0]} to use that"
        )
    kinds = {_kind(path): path for path in reversed(files)}
    if len(kinds) > 1:
        raise InputError(
            f"{tree.path}: holds data sets of several kinds "
            f"({listing(f.name for f in kinds.values())}); give those files that you mean"
        )
    if tree.files and not listed:
        warnings.warn(
            f"{tree.path}: passed over {len(tree.files)} pictures beside "
            f"{listing(f.name for f in files)}",
            LungclsWarning,
            stacklevel=2,
        )
    return files


def _parts(
    path: Path | Tree, labelled: bool, attribute: str | None
) -> Generator[Step, None, list[Part]]:
    if isinstance(path, Tree):
        return (yield from read_folder(path, labelled=labelled))
    kind = _kind(path)
    if kind == "HDF5":
        return [(yield from hdf5.read_hdf5(path, labelled=labelled))]
    if kind == NPZ:
        return (yield from read_npz(path, labelled=labelled))
    if kind == manifests.LIST_SUFFIX:
        return [(yield from manifests.read_list(path))]
    if kind:
        return [(yield from manifests.read_manifest(path, attribute=attribute, labelled=labelled))]
    raise InputError(f"{path}: is no data set of patches that is known; give {KINDS}")
