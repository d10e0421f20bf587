"""The readers that napari knows: each says quickly whether a file is its own."""

import os
from collections.abc import Callable, Sequence
from typing import Any

LayerData = tuple[Any, dict[str, Any], str]
"""Data, keyword arguments and kind of a layer, as napari takes them."""

Path = str | Sequence[str]
Read = Callable[[Path], list[Any]]

NOTHING: list[Any] = [(None,)]
"""What a reader gives that has read its file and made no layer of it."""

POINTS = ".csv"
MODELS = ".safetensors"
MAPS = (".ome.zarr", ".zarr", ".ome.tif", ".ome.tiff", ".tif", ".tiff")
HDF5 = (".h5", ".hdf5", ".hdf", ".he5")


def points_reader(path: Path) -> Read | None:
    """Give the function that reads `path`, or None when a name does not end in `.csv`.

    Which of several plugins opens `.csv` is the user's choice. Tables without a column
    `axis-0` are left to others.

    Parameters
    ----------
    path
        One file or several, of which each becomes a layer.
    """
    names = _names(path)
    if not all(_ends(name, POINTS) for name in names):
        return None
    from napari_lungcls.gui.reading.points import SUFFIX, has_points, read_points_layers

    if all(_ends(name, SUFFIX) or has_points(name) for name in names):
        return _each(read_points_layers)
    return None


def map_reader(path: Path) -> Read | None:
    """Give the function that reads `path`, or None when it is no map that we painted."""
    names = _names(path)
    if not all(_ends(name.rstrip("/\\"), *MAPS) for name in names):
        return None
    from napari_lungcls.gui.reading.maps import is_ours, read_map_layers

    return _each(read_map_layers) if all(is_ours(name) for name in names) else None


def model_reader(path: Path) -> Read | None:
    """Give the function that takes in a model, or None when it is no `.safetensors` file."""
    if not all(_ends(name, MODELS) for name in _names(path)):
        return None
    from napari_lungcls.gui.reading.models import take_model

    return _each(take_model)


def hdf5_reader(path: Path) -> Read | None:
    """Give the function that opens images of an HDF5 file, or None when it is none."""
    if not all(_ends(name, *HDF5) for name in _names(path)):
        return None
    from napari_lungcls.gui.reading.hdf5 import read_hdf5_layers

    return _each(read_hdf5_layers)


def _each(read: Callable[[str], list[LayerData]]) -> Read:
    """Read one file after another; napari wants to be told when there is no layer at all."""

    def reader(path: Path) -> list[Any]:
        return [layer for name in _names(path) for layer in read(name)] or NOTHING

    return reader


def _ends(name: str, *suffixes: str) -> bool:
    return name.lower().endswith(suffixes)


def _names(path: Path) -> list[str]:
    return [os.fspath(path)] if isinstance(path, str | os.PathLike) else list(path)
