"""The readers that napari knows: each says quickly whether a file is its own.

napari offers a plugin by the patterns of its manifest alone, and for folders to every plugin that
reads any. A reader that then gives None ends in a complaint that it "refused the file". So the
manifest claims what can be read, and what turns out not to be an image is told in one line.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

from napari_lungcls.images.opening import SUPPORTED

LayerData = tuple[Any, dict[str, Any], str]
"""Data, keyword arguments and kind of a layer, as napari takes them."""

Path = str | Sequence[str]
Read = Callable[[Path], list[Any]]

NOTHING: list[Any] = [(None,)]
"""What a reader gives that has read its file and made no layer of it."""

POINTS = ".lungcls.csv"
MODELS = ".safetensors"


def points_reader(path: Path) -> Read | None:
    """Give the function that reads `path`, or None when its name is not one of points files.

    Parameters
    ----------
    path
        One file or several, of which each becomes a layer.
    """
    if not all(_ends(name, POINTS) for name in _names(path)):
        return None
    from napari_lungcls.gui.reading.points import read_points_layers

    return _each(read_points_layers)


def image_reader(path: Path) -> Read | None:
    """Give the function that opens images and painted maps, or None for other kinds of files.

    A folder is read as a zarr store; one that is none is told when it is read.
    """
    if not all(os.path.isdir(name) or _ends(name, *SUPPORTED) for name in _names(path)):
        return None
    from napari_lungcls.gui.reading.images import read_image_layers

    return _each(read_image_layers)


def model_reader(path: Path) -> Read | None:
    """Give the function that takes in a model, or None when it is no `.safetensors` file."""
    if not all(_ends(name, MODELS) for name in _names(path)):
        return None
    from napari_lungcls.gui.reading.models import take_model

    return _each(take_model)


def _each(read: Callable[[str], list[LayerData]]) -> Read:
    """Read one file after another; napari wants to be told when there is no layer at all."""

    def reader(path: Path) -> list[Any]:
        return [layer for name in _names(path) for layer in read(name)] or NOTHING

    return reader


def _ends(name: str, *suffixes: str) -> bool:
    return name.lower().endswith(suffixes)


def _names(path: Path) -> list[str]:
    return [os.fspath(path)] if isinstance(path, str | os.PathLike) else list(path)
