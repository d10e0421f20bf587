"""Opening patch data sets, whatever their format."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from pathlib import Path

from napari_lungcls.errors import InputError
from napari_lungcls.generators import exhaust
from napari_lungcls.learning.patches import hdf5, manifests
from napari_lungcls.learning.patches.npz import read_npz
from napari_lungcls.learning.patches.parts import Part, PatchData, Step
from napari_lungcls.learning.patches.pictures import read_folder

PathLike = str | os.PathLike[str]

NPZ = ".npz"
KINDS = ".h5, .hdf5, .h5.gz, .npz, .manifest, .jsonl, .lst, or a folder per class"


def opening(
    data: PathLike | Iterable[PathLike], *, labelled: bool = True, attribute: str | None = None
) -> Generator[Step, None, PatchData]:
    """Open files and folders as one data set; it is the generator's return value.

    Parameters
    ----------
    data
        Paths; of a pair of HDF5 files either or both.
    labelled
        Whether every patch needs a class.
    attribute
        Of a manifest with several attributes, the one that holds the class.

    Yields
    ------
    Step
        While something large is unpacked or many files are looked at.

    Raises
    ------
    InputError
        When something is missing, damaged, or of the wrong kind.
    """
    given = [data] if isinstance(data, str | os.PathLike) else list(data)
    parts: list[Part] = []
    for path in _each(map(Path, given)):
        parts += yield from _parts(path, labelled, attribute)
    if not parts:
        raise InputError(f"a data set of patches is needed: {KINDS}")
    return PatchData(parts)


def open_patches(
    data: PathLike | Iterable[PathLike],
    *,
    labelled: bool = True,
    attribute: str | None = None,
    progress: Callable[[Step], None] | None = None,
) -> PatchData:
    """Open files and folders as one data set; see `opening`."""
    return exhaust(opening(data, labelled=labelled, attribute=attribute), progress)


def is_patch_data(path: PathLike) -> bool:
    """Tell whether a path can only be a patch data set, by what it is called."""
    file = Path(path)
    lists = (NPZ, manifests.LIST_SUFFIX, *manifests.MANIFEST_SUFFIXES)
    folder = file.is_dir() and not file.name.lower().endswith(".zarr")
    return folder or bool(hdf5.SUFFIX.search(file.name)) or file.suffix.lower() in lists


def _each(paths: Iterable[Path]) -> list[Path]:
    """Look into folders of files, take pairs once, and keep the order."""
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.iterdir()) if path.is_dir() else []
        files = [p for p in inside if p.is_file() and is_patch_data(p)]
        found += files or [path]
    return list(dict.fromkeys(hdf5.first_of_pair(path) for path in found))


def _parts(path: Path, labelled: bool, attribute: str | None) -> Generator[Step, None, list[Part]]:
    suffix = path.suffix.lower()
    if path.is_dir():
        return (yield from read_folder(path, labelled=labelled))
    if hdf5.SUFFIX.search(path.name):
        return [(yield from hdf5.read_hdf5(path, labelled=labelled))]
    if suffix == NPZ:
        return (yield from read_npz(path, labelled=labelled))
    if suffix in manifests.MANIFEST_SUFFIXES:
        return [(yield from manifests.read_manifest(path, attribute=attribute, labelled=labelled))]
    if suffix == manifests.LIST_SUFFIX:
        return [(yield from manifests.read_list(path))]
    raise InputError(f"{path}: is no data set of patches that is known; give {KINDS}")
