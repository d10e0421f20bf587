"""Reader of HDF5: one dataset as an image, `file.h5:/path/to/dataset`."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from napari_lungcls.errors import InputError
from napari_lungcls.images.axes import Opened
from napari_lungcls.images.channels import Choice
from napari_lungcls.images.damage import reading
from napari_lungcls.images.pixel_size import micrometres
from napari_lungcls.images.readers.arrays import named_stack
from napari_lungcls.images.readers.selection import Listed
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.utils.humanize import listing

SUFFIXES = (".h5", ".hdf5", ".hdf", ".he5", ".ims")
CACHE_BYTES = 64 * 2**20
"""Cache of decompressed chunks per dataset; the default of HDF5, 1 MiB, barely holds one."""
_MOST_NAMES = 10
_IMARIS = "/DataSet/ResolutionLevel 0/"
"""Where Imaris keeps the finest level of an image."""

_DAMAGED = "is a damaged HDF5 file ({}); copy it again"

_WITH_DATASET = re.compile(
    rf"(?P<file>.*(?:{'|'.join(re.escape(s) for s in SUFFIXES)})):(?P<inside>.*)",
    re.IGNORECASE | re.DOTALL,
)


def split_dataset(path: str) -> tuple[str, str | None]:
    r"""Split `file.h5:/inside` into the file and the dataset, if one is named.

    The colon counts only after one of `SUFFIXES`, so the drive of `C:\\x.h5` does not.
    Backslashes in the inner path, which `pathlib` makes on Windows, become slashes.
    """
    if os.path.exists(path):  # pathlib raises for a name that the system does not take
        return path, None
    found = _WITH_DATASET.fullmatch(path)
    if found is None:
        return path, None
    return found["file"], found["inside"].replace("\\", "/") or None


def list_hdf5(path: Path, source: str) -> list[Listed]:
    """List the datasets of a file that hold numbers along two or more axes.

    Parameters
    ----------
    path
        The file.
    source
        Names it in messages.

    Raises
    ------
    InputError
        When it is no HDF5 file or damaged.
    """
    with _file(path, source) as file, reading(source, _DAMAGED):
        return [
            Listed(f":{inside}", inside, tuple(node.shape), str(node.dtype))
            for inside, node in ((inside, file[inside]) for inside in _images(file))
        ]


def open_hdf5(
    path: Path,
    inside: str | None,
    source: str,
    channels: Choice | None = None,
    chosen: str | None = None,
) -> ImageStack:
    """Open one dataset of a file, which stays open while the image is in use.

    Axes come from the attribute `axistags` of ilastik or from dimension labels, and are
    otherwise guessed; see `_sizes` for voxel sizes.

    Parameters
    ----------
    path
        The file.
    inside
        Path of the dataset; None when there is only one with two or more axes.
    source
        Names it in messages.
    channels
        Which channels to use, as for `ImageStack`.
    chosen
        Number of the dataset among the images of the file, counted from 1, in place of its
        path.

    Raises
    ------
    InputError
        When the file is no HDF5 file, or the dataset is missing, unclear or no image.
    """
    file = _file(path, source)
    opened = Opened(file.close)
    dataset = _dataset(file, inside, chosen, path, source)
    name = f"{path.stem} {str(dataset.name).strip('/')}"
    return hdf5_stack(dataset, name, source, channels, opened)


def hdf5_stack(
    dataset: h5py.Dataset,
    name: str,
    source: str,
    channels: Choice | None = None,
    opened: Opened | None = None,
) -> ImageStack:
    """Make an image from an open dataset; see `open_hdf5` for the parameters.

    Raises
    ------
    InputError
        When it is damaged or not an image.
    """
    with reading(source, _DAMAGED):
        tags, labels = _axistags(dataset), [dim.label for dim in dataset.dims]
        sizes = _sizes(dataset)
        array = _without_padding(dataset)
    return named_stack(
        array,
        [axis.get("key", "") for axis in tags],
        labels,
        channels=channels,
        name=name,
        source=source,
        sizes=sizes,
        opened=opened,
    )


def check_own(dataset: h5py.Dataset, file: h5py.File, source: str) -> None:
    """Refuse a dataset whose numbers lie in other files: a stranger's file could name any.

    Raises
    ------
    InputError
        If it is reached through a link into another file, stored outside, or put together of
        datasets of others.
    """
    with reading(source, _DAMAGED):
        elsewhere = dataset.file.filename != file.filename or bool(dataset.external)
        if not elsewhere and dataset.is_virtual:
            elsewhere = any(part.file_name != "." for part in dataset.virtual_sources())
    if elsewhere:
        raise InputError(
            f"{source}: the numbers of {dataset.name} are in another file; copy them into one file"
        )


def _file(path: Path, source: str) -> h5py.File:
    with reading(source, "is not an HDF5 file that can be read ({}); copy or export it again"):
        return h5py.File(path, "r", rdcc_nbytes=CACHE_BYTES)


def _dataset(
    file: h5py.File, inside: str | None, chosen: str | None, path: Path, source: str
) -> h5py.Dataset:
    with reading(source, _DAMAGED):
        found = _images(file)
        if chosen is not None and chosen.isdecimal() and 1 <= int(chosen) <= len(found):
            inside = found[int(chosen) - 1]
        elif chosen is not None:
            inside = chosen
        node = file.get(inside) if inside is not None else file[found[0]] if found else None
    listed = listing(found, _MOST_NAMES)
    if inside is not None and not isinstance(node, h5py.Dataset):
        raise InputError(
            f"{source}: there is no dataset {inside!r} in {path.name}; "
            f"the images in it are: {listed or 'none'}"
        )
    if node is None:
        raise InputError(f"{source}: holds no dataset with two or more axes of numbers")
    if inside is None and len(found) > 1:
        raise InputError(f"{source}: holds several images; name one as {path.name}:PATH ({listed})")
    check_own(node, file, source)
    return node


def _images(file: h5py.File) -> list[str]:
    """Return the paths of all numeric datasets with two or more axes.

    Of a pyramid by Imaris only the finest level counts.
    """
    found: list[str] = []

    def note(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset) and node.ndim >= 2 and node.dtype.kind in "buif":
            found.append(f"/{name}")

    file.visititems(note)
    finest = [name for name in found if name.startswith(_IMARIS)]
    return finest or found


def _axistags(dataset: h5py.Dataset) -> list[dict[str, Any]]:
    """Read what vigra and ilastik write about each axis; empty if they did not."""
    try:
        axes = json.loads(dataset.attrs["axistags"])["axes"]
        return [dict(axis) for axis in axes]
    except (KeyError, TypeError, ValueError):
        return []


def _sizes(dataset: h5py.Dataset) -> dict[str, float | None]:
    """Find the voxel size, µm along `x`, `y`, `z`, in the first place that states one.

    Fiji writes `element_size_um` (z, y, x), PlantSeg `voxel_size` (z, y, x) and its unit,
    ilastik a resolution per axis and `axis_units`, Imaris the extent of the image.
    """
    found = _along_zyx(dataset, "element_size_um", 1.0)
    if not found:
        unit = micrometres(_text(dataset.attrs.get("voxel_size_unit", "um")))
        found = _along_zyx(dataset, "voxel_size", unit)
    return found or _ilastik_sizes(dataset) or _imaris_sizes(dataset)


def _along_zyx(dataset: h5py.Dataset, name: str, unit: float | None) -> dict[str, float | None]:
    if name not in dataset.attrs or unit is None:
        return {}
    values = np.atleast_1d(dataset.attrs[name])
    if values.dtype.kind not in "uif":
        return {}
    return {axis: float(v) * unit for axis, v in zip("xyz", values[::-1], strict=False)}


def _ilastik_sizes(dataset: h5py.Dataset) -> dict[str, float | None]:
    try:
        units = json.loads(dataset.attrs["axis_units"])
        found = {str(axis["key"]): float(axis["resolution"]) for axis in _axistags(dataset)}
        known = {axis: micrometres(str(units.get(axis, ""))) for axis in found}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}
    return {a: v * unit for a, v in found.items() if v > 0 and (unit := known[a]) is not None}


def _imaris_sizes(dataset: h5py.Dataset) -> dict[str, float | None]:
    """Divide the extent stated by Imaris by the number of pixels at full resolution."""
    info = dataset.file.get("DataSetInfo/Image")
    if not str(dataset.name).startswith(_IMARIS) or info is None:
        return {}
    unit = micrometres(_text(info.attrs.get("Unit", "um")))
    found: dict[str, float | None] = {}
    for i, axis in enumerate("xyz"):
        try:
            least, most, count = (
                float(_text(info.attrs[name]))
                for name in (f"ExtMin{i}", f"ExtMax{i}", axis.upper())
            )
        except (KeyError, ValueError):
            return {}
        found[axis] = unit * (most - least) / count if unit and count else None
    return found


def _text(value: Any) -> str:
    """Return an attribute as text; Imaris writes an array of single characters."""
    if isinstance(value, np.ndarray):
        return b"".join(np.atleast_1d(value).astype("S1")).decode("utf-8", "replace")
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


class _Cropped:
    """The first entries of an array along every axis."""

    def __init__(self, array: h5py.Dataset, shape: tuple[int, ...]) -> None:
        self._array, self.shape = array, shape
        self.dtype, self.chunks = array.dtype, array.chunks

    def __getitem__(self, key: tuple[int | slice, ...]) -> Any:
        return self._array[key]


def _without_padding(dataset: h5py.Dataset) -> Any:
    """Crop the padding that Imaris adds to fill whole chunks."""
    if not str(dataset.name).startswith(_IMARIS) or dataset.ndim != 3:
        return dataset
    try:
        said = [int(_text(dataset.parent.attrs[f"ImageSize{axis}"])) for axis in "ZYX"]
    except (KeyError, ValueError):
        return dataset
    return _Cropped(dataset, tuple(min(n, m) for n, m in zip(said, dataset.shape, strict=True)))
