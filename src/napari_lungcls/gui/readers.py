"""The readers that napari knows: each says quickly whether a file is its own.

napari offers a plugin by the patterns of its manifest alone, and for folders to every plugin that
reads any. A reader that then gives None ends in a complaint that it "refused the file". So the
manifest claims what can be read, and what turns out not to be an image is told in one line.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari_lungcls.errors import InputError
from napari_lungcls.gui import LayerData
from napari_lungcls.images.opening import SUPPORTED, list_images

Paths = str | Sequence[str]
Read = Callable[[Paths], list[Any]]

NOTHING: list[Any] = [(None,)]
"""What a reader gives that has read its file and made no layer of it."""

POINTS = ".lungcls.csv"
OTHER_POINTS = (".geojson", ".xml", ".roi")
"""Of QuPath, Cell Counter, cellfinder, ASAP and ImageJ; the content tells whether they are."""
MODELS = ".safetensors"


def points_reader(path: Paths) -> Read | None:
    """Give the function that reads `path`, or None when it holds no points that we read.

    Files of other programs are looked into, as much else ends in `.xml` or `.geojson`.

    Parameters
    ----------
    path
        One file or several, of which each becomes a layer.
    """
    if not all(_ends(name, POINTS) or _holds_points(name) for name in _names(path)):
        return None
    from napari_lungcls.gui.points_layer import read_points_layers

    return _each(read_points_layers)


def image_reader(path: Paths) -> Read | None:
    """Give the function that opens images and painted maps, or None for other kinds of files.

    A folder is read as a saved session or a zarr store; one that is neither is told when it is
    read.
    """
    if all(_is_session(name) for name in _names(path)):
        return _each(take_session)
    if not all(os.path.isdir(name) or _ends(name, *SUPPORTED) for name in _names(path)):
        return None
    return _each(read_image_layers)


def model_reader(path: Paths) -> Read | None:
    """Give the function that takes in a model, or None when it is no `.safetensors` file."""
    if not all(_ends(name, MODELS) for name in _names(path)):
        return None
    return _each(take_model)


def read_image_layers(path: str) -> list[LayerData]:
    """Open whatever `open_image` opens, or a map that this program painted.

    Of several images in a file the largest is opened, and a window beside the image offers
    the others. Datasets of HDF5 files only the user can tell apart: there the window comes
    first.

    Raises
    ------
    InputError
        When the file or folder cannot be used; without a viewer also when it is an HDF5 file
        with several images.
    """
    from napari import current_viewer

    from napari_lungcls.gui.image_files import file_layers
    from napari_lungcls.gui.map_files import read_map_layers
    from napari_lungcls.inference.formats import is_map

    if is_map(Path(path)):
        return read_map_layers(path)
    viewer, found = current_viewer(), list_images(path)
    taken = next((path + image.choice for image in found if image.taken), path)
    if viewer is None or len(found) < 2:
        return file_layers(path if len(found) > 1 else taken)

    from napari.utils.notifications import show_info

    from napari_lungcls.gui.chooser import show_chooser

    show_chooser(viewer, path, found)
    if taken == path:
        return []
    show_info(
        f"{Path(path).name} holds {len(found)} images. The largest is open; the list beside "
        "it opens the others."
    )
    return file_layers(taken)


def take_model(path: str) -> list[LayerData]:
    """Read a model, make it the current one, and open Paint. No layer is made.

    Raises
    ------
    InputError
        When the file is no model of ours, or no viewer is open.
    """
    from napari import current_viewer

    from napari_lungcls.gui.docks import open_dock
    from napari_lungcls.gui.preferences import preferences
    from napari_lungcls.gui.session import session
    from napari_lungcls.model import load

    viewer = current_viewer()
    if viewer is None:
        raise InputError(f"{path}: a model is opened in a viewer; start napari first")
    file = Path(path)
    model = load(file, device=preferences().device)
    session(viewer).add(model, file.stem, file)
    open_dock(viewer, "Paint")
    return []


def take_session(path: str) -> list[LayerData]:
    """Bring back a saved session: its images, points, models, maps and choices.

    Raises
    ------
    InputError
        When it cannot be read, or no viewer is open.
    """
    from napari import current_viewer

    from napari_lungcls.gui.session_folder import restore_session

    viewer = current_viewer()
    if viewer is None:
        raise InputError(f"{path}: a session is opened in a viewer; start napari first")
    restore_session(viewer, Path(path))
    return []


def _is_session(name: str) -> bool:
    from napari_lungcls.gui.session_file import is_session

    return os.path.isdir(name) and is_session(Path(name))


def _each(read: Callable[[str], list[LayerData]]) -> Read:
    """Read one file after another; napari wants to be told when there is no layer at all."""

    def reader(path: Paths) -> list[Any]:
        return [layer for name in _names(path) for layer in read(name)] or NOTHING

    return reader


def _holds_points(name: str) -> bool:
    if not _ends(name, *OTHER_POINTS):
        return False
    from napari_lungcls.annotation.files import is_foreign

    return is_foreign(name)


def _ends(name: str, *suffixes: str) -> bool:
    return name.lower().endswith(suffixes)


def _names(path: Paths) -> list[str]:
    return [os.fspath(path)] if isinstance(path, str | os.PathLike) else list(path)
