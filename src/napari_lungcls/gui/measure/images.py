"""Images by the names that tables of test points and painted maps use. No Qt."""

import re
from collections.abc import Sequence
from pathlib import Path

import napari
from napari.layers import Image
from npe2 import PluginManager

from napari_lungcls.gui.docks import PLUGIN
from napari_lungcls.gui.image_id import image_shape, is_called
from napari_lungcls.gui.image_layer import stack_of
from napari_lungcls.gui.layers import image_of, pictures
from napari_lungcls.gui.maps import is_map, map_of
from napari_lungcls.inference.map_data import MapData
from napari_lungcls.utils.names import comparable
from napari_lungcls.utils.printable import printable

_LAYER = re.compile(r"layer '(.*)'")
"""How a map that was painted of a layer names its image."""


def name_in_table(viewer: "napari.Viewer", image: Image) -> str:
    """Name an image as its maps do, so that measuring puts its test points on them.

    Raises
    ------
    InputError
        If the layer cannot be used as an image.
    """
    for layer in reversed(viewer.layers):
        painted = map_of(layer) if is_map(layer) else None
        if painted is not None and image_of(viewer, layer) == image:
            known = painted.header.provenance.get("image")
            if known:
                return str(known)
    return printable(stack_of(image).source)


def short_name(name: str) -> str:
    """Give the name of a layer, or the file name without folders."""
    layer = _LAYER.fullmatch(name)
    return layer[1] if layer else comparable(name).rpartition("/")[2]


def open_image_of(
    viewer: "napari.Viewer", name: str, folder: Path, ndim: int, plane: tuple[int, int]
) -> Image | None:
    """Find the open image that a table means.

    Parameters
    ----------
    viewer
        The viewer.
    name
        What the column `image` says.
    folder
        Of the table; a relative path begins there.
    ndim, plane
        Number of axes, and height and width in pixels, that the image must have.
    """
    layer = _LAYER.fullmatch(name)
    for image in pictures(viewer, ndim):
        if image_shape(image)[-2:] == plane and (
            comparable(image.name) == comparable(layer[1])
            if layer
            else is_called(image, name, folder)
        ):
            return image
    return None


def maps_for_table(maps: Sequence[MapData], names: Sequence[str]) -> list[MapData]:
    """Have maps name their images as a table of test points does, where only the way differs.

    A map that was painted in a window names a layer, one of the command line a file.

    Parameters
    ----------
    maps
        The maps.
    names
        Of the images in the table.
    """
    short = [_stem(name) for name in names]
    found = []
    for painted in maps:
        known = str(painted.header.provenance.get("image", ""))
        told = comparable(known) in map(comparable, names)
        if not told and short.count(_stem(known)) == 1:
            same = names[short.index(_stem(known))]
            header = painted.header.model_copy(
                update={"provenance": {**painted.header.provenance, "image": same}}
            )
            painted = MapData(painted.classes, painted.probabilities, header)
        found.append(painted)
    return found


def _stem(name: str) -> str:
    name = short_name(name)
    return comparable(name if _LAYER.fullmatch(name) else Path(name).stem.removesuffix(".ome"))


def reader_of(path: Path) -> str:
    """Give the plugin that opens an image: this one where it can, else napari itself."""
    readers = PluginManager.instance().iter_compatible_readers([str(path)])
    return PLUGIN if any(reader.plugin_name == PLUGIN for reader in readers) else "napari"
