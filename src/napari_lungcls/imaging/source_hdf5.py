"""One dataset of an HDF5 file as an image: `file.h5:/path/to/dataset`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from napari_lungcls.errors import InputError
from napari_lungcls.imaging.channels import Choice
from napari_lungcls.imaging.source_axes import READ_ERRORS, LazyView, Opened, arrange, guess_axes
from napari_lungcls.imaging.source_units import world
from napari_lungcls.imaging.stack import ImageStack

SUFFIXES = (".h5", ".hdf5", ".hdf", ".he5")
CACHE_BYTES = 64 * 2**20
"""Decompressed chunks that HDF5 keeps per dataset; its default, 1 MiB, holds hardly one."""
_MOST_NAMES = 10

_WITH_DATASET = re.compile(
    rf"(?P<file>.*(?:{'|'.join(re.escape(s) for s in SUFFIXES)})):(?P<inside>.*)",
    re.IGNORECASE | re.DOTALL,
)


def split_dataset(path: str) -> tuple[str, str | None]:
    r"""Split `file.h5:/inside` into the file and the dataset, if one is named.

    The colon counts only after one of `SUFFIXES`, so the drive of `C:\\x.h5` does not.
    Backslashes in the inner path, which `pathlib` makes on Windows, become slashes.
    """
    if Path(path).exists():
        return path, None
    found = _WITH_DATASET.fullmatch(path)
    if found is None:
        return path, None
    return found["file"], found["inside"].replace("\\", "/") or None


@dataclass(frozen=True)
class Listed:
    """A dataset that may be an image.

    Attributes
    ----------
    inside
        Its path in the file.
    shape, dtype
        Of the array as it is stored.
    """

    inside: str
    shape: tuple[int, ...]
    dtype: str


def list_images(path: Path, source: str) -> list[Listed]:
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
    with _file(path, source) as file:
        try:
            nodes = [(inside, file[inside]) for inside in _images(file)]
            return [Listed(inside, tuple(node.shape), str(node.dtype)) for inside, node in nodes]
        except READ_ERRORS as error:
            raise InputError(_damaged(source, error)) from error


def open_hdf5(
    path: Path, inside: str | None, source: str, channels: Choice | None = None
) -> ImageStack:
    """Open one dataset of a file, which stays open while the image is in use.

    Axes are taken from the attribute `axistags` of ilastik or from dimension labels, else
    guessed; voxel sizes (z, y, x) from the attribute `element_size_um`.

    Parameters
    ----------
    path
        The file.
    inside
        Path of the dataset; None when there is only one with two or more axes.
    source
        Names it in messages.
    channels
        What to make of its channels, as for `ImageStack`.

    Raises
    ------
    InputError
        When the file is no HDF5 file, or the dataset is missing, unclear or no image.
    """
    file = _file(path, source)
    opened = Opened(file.close)
    try:
        dataset = _dataset(file, inside, path, source)
        axes = _axes(dataset, choosing=channels is not None)
        sizes = _element_size(dataset)
    except InputError:
        raise
    except READ_ERRORS as error:
        raise InputError(_damaged(source, error)) from error
    layout = arrange(axes, dataset.shape, source, choosing=channels is not None)
    pixel_size, scale, unit = world(layout.names, sizes, source)
    return ImageStack(
        LazyView(dataset, source, layout.order, opened),
        rgb=layout.rgb,
        pixel_size=pixel_size,
        scale=scale,
        unit=unit,
        name=f"{path.stem} {dataset.name.strip('/')}",
        source=source,
        channels=channels,
    )


def _file(path: Path, source: str) -> h5py.File:
    try:
        return h5py.File(path, "r", rdcc_nbytes=CACHE_BYTES)
    except READ_ERRORS as error:
        raise InputError(
            f"{source}: is not an HDF5 file that can be read ({error}); copy or export it again"
        ) from error


def _damaged(source: str, error: Exception) -> str:
    return f"{source}: is a damaged HDF5 file ({error}); copy it again"


def _dataset(file: h5py.File, inside: str | None, path: Path, source: str) -> h5py.Dataset:
    found = _images(file)
    listed = ", ".join(found[:_MOST_NAMES]) + (", …" if len(found) > _MOST_NAMES else "")
    if inside is not None:
        node = file.get(inside)
        if isinstance(node, h5py.Dataset):
            return node
        raise InputError(
            f"{source}: there is no dataset {inside!r} in {path.name}; "
            f"the images in it are: {listed or 'none'}"
        )
    if not found:
        raise InputError(f"{source}: holds no dataset with two or more axes of numbers")
    if len(found) > 1:
        raise InputError(f"{source}: holds several images; name one as {path.name}:PATH ({listed})")
    return file[found[0]]


def _images(file: h5py.File) -> list[str]:
    """Give the paths of all datasets of numbers with two or more axes."""
    found: list[str] = []

    def note(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset) and node.ndim >= 2 and node.dtype.kind in "buif":
            found.append(f"/{name}")

    file.visititems(note)
    return found


def _axes(dataset: h5py.Dataset, *, choosing: bool) -> tuple[str, ...]:
    """Name the axes as ilastik or the dimension labels do, else guess."""
    for names in (_axistags(dataset), [dim.label.lower() for dim in dataset.dims]):
        if len(names) == dataset.ndim and {"y", "x"} <= set(names):
            return tuple(names)
    return guess_axes(dataset.shape, choosing=choosing)


def _axistags(dataset: h5py.Dataset) -> list[str]:
    try:
        tags = json.loads(dataset.attrs["axistags"])
        return [str(axis["key"]).lower() for axis in tags["axes"]]
    except (KeyError, TypeError, ValueError):
        return []


def _element_size(dataset: h5py.Dataset) -> dict[str, float | None]:
    """Read `element_size_um`, numbers along z, y, x; with two numbers y, x."""
    if "element_size_um" not in dataset.attrs:
        return {}
    values = np.atleast_1d(dataset.attrs["element_size_um"])
    if values.dtype.kind not in "uif":
        return {}
    return {axis: float(v) for axis, v in zip("xyz", values[::-1], strict=False)}
