"""Painted maps as layers: told from other files quickly, put where they belong."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import tifffile
from napari import current_viewer
from napari.layers import Image

from napari_lungcls.gui.image_id import is_called
from napari_lungcls.gui.layer_types import LayerData
from napari_lungcls.gui.layers import pictures
from napari_lungcls.gui.maps import map_layers, open_map
from napari_lungcls.images.damage import READ_ERRORS
from napari_lungcls.inference.cells import NAMESPACE
from napari_lungcls.inference.map_data import MapHeader

SUFFIXES = (".ome.zarr", ".zarr", ".ome.tif", ".ome.tiff", ".tif", ".tiff")


def is_ours(path: str) -> bool:
    """Tell whether a file or folder says that it is a map of this program.

    Only attributes are read, never a cell, and what cannot be read is not ours.
    """
    target = Path(path)
    return _zarr_says(target) if target.is_dir() else _tiff_says(target)


def read_map_layers(path: str) -> list[LayerData]:
    """Open a painted map as layers; probabilities are hidden, and stay on disk if large.

    Raises
    ------
    InputError
        When the map is damaged or newer than this program.
    """
    painted = open_map(path)
    images = pictures(current_viewer(), len(painted.header.shape))
    image = image_for(painted.header, path, images)
    return map_layers(painted, layer_name(path), image, probabilities=True)


def image_for(header: MapHeader, path: str, images: Sequence[Image]) -> Image | None:
    """Find the open image that a map was painted over, by the name that the map remembers.

    Parameters
    ----------
    header
        What the map says about itself.
    path
        The file.
    images
        The open images with as many axes.
    """
    named = str(header.provenance.get("image", ""))
    for image in images:
        if named == f"layer {image.name!r}" or is_called(image, named, Path(path).parent):
            return image
    return None


def layer_name(path: str) -> str:
    """Name a layer after its file."""
    name = os.path.basename(os.path.normpath(path))
    suffix = next((end for end in SUFFIXES if name.lower().endswith(end)), "")
    return name[: len(name) - len(suffix)] or "map"


def _zarr_says(folder: Path) -> bool:
    for name, inside in ((".zattrs", ()), ("zarr.json", ("attributes",))):
        try:
            found = json.loads((folder / name).read_bytes())
        except (OSError, ValueError):
            continue
        for key in inside:
            found = found.get(key) if isinstance(found, dict) else None
        if isinstance(found, dict) and NAMESPACE in found:
            return True
    return False


def _tiff_says(file: Path) -> bool:
    try:
        with tifffile.TiffFile(file) as tif:
            described = tif.ome_metadata
    except READ_ERRORS:
        return False
    return described is not None and f'Namespace="{NAMESPACE}"' in described
