"""Painted maps as layers: put where they belong."""

import os
from collections.abc import Sequence
from pathlib import Path

from napari import current_viewer
from napari.layers import Image

from napari_lungcls.gui import LayerData
from napari_lungcls.gui.image_id import is_called
from napari_lungcls.gui.layers import pictures
from napari_lungcls.gui.maps import map_layers, open_map
from napari_lungcls.inference.formats import FORMATS
from napari_lungcls.inference.map_data import MapHeader


def read_map_layers(path: str) -> list[LayerData]:
    """Open a painted map as a layer; its probabilities stay on disk if large.

    Raises
    ------
    InputError
        When the map is damaged or newer than this program.
    """
    painted = open_map(path)
    images = pictures(current_viewer(), len(painted.header.shape))
    image = image_for(painted.header, path, images)
    return map_layers(painted, layer_name(path), image)


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
    suffixes = (end for form in FORMATS for end in form.suffixes)
    suffix = next((end for end in suffixes if name.lower().endswith(end)), "")
    return name[: len(name) - len(suffix)] or "map"
