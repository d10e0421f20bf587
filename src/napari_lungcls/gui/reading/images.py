"""Images as layers: lazy, in the place that their file states; and open ones found again."""

from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

import dask.array as da

from napari_lungcls.gui.readers import LayerData
from napari_lungcls.imaging.source_hdf5 import SUFFIXES as HDF5
from napari_lungcls.imaging.sources import open_image
from napari_lungcls.imaging.stack import ImageStack

if TYPE_CHECKING:
    from napari.layers import Image

WHOLE = 2**24
"""Pixels up to which a plane is read in one piece."""

TILE = 2048
"""Edge in pixels of the pieces of larger planes, rounded to whole chunks of the file."""


def read_image_layers(path: str) -> list[LayerData]:
    """Open whatever `open_image` opens, or a map that this program painted.

    Raises
    ------
    InputError
        When the file or folder cannot be used.
    """
    if path.lower().endswith(HDF5):
        from napari_lungcls.gui.reading.hdf5 import read_hdf5_layers

        return read_hdf5_layers(path)

    from napari_lungcls.gui.reading.maps import is_ours, read_map_layers

    return read_map_layers(path) if is_ours(path) else [image_layer(open_image(path))]


def image_layer(stack: ImageStack) -> LayerData:
    """Turn an image into the layer data that napari adds; pixels are read when looked at."""
    levels = [_as_dask(level, stack.ndim) for level in stack.levels]
    options = {
        "name": stack.name,
        "rgb": stack.rgb,
        "multiscale": len(levels) > 1,
        "scale": stack.scale,
        "translate": stack.translate,
        "units": (stack.unit,) * stack.ndim,
    }
    return levels if len(levels) > 1 else levels[0], options, "image"


def open_images(ndim: int) -> "list[Image]":
    """List the images of the viewer that have `ndim` axes, painted probabilities left out."""
    from napari import current_viewer
    from napari.layers import Image

    from napari_lungcls.gui.layers import KEY

    viewer = current_viewer()
    return [
        layer
        for layer in (viewer.layers if viewer is not None else ())
        if isinstance(layer, Image) and layer.ndim == ndim and KEY not in layer.metadata
    ]


def is_called(image: "Image", name: str, folder: Path) -> bool:
    """Tell whether an open image is the one that a file calls `name`.

    Parameters
    ----------
    image
        The layer.
    name
        The name of a layer, or the path of an image.
    folder
        What a relative path begins at.
    """
    file = PureWindowsPath(name)  # It also knows the slashes of other systems.
    if image.name in (name, file.name, file.stem):
        return True
    source = image.source.path
    there = (folder / file.as_posix()).resolve()
    return source is not None and Path(str(source)).resolve() == there


def _as_dask(level: Any, ndim: int) -> Any:
    """Wrap an array on disk so that napari can slice it as it likes, plane by plane."""
    shape, stored = level.shape, getattr(level, "chunks", None) or (1,) * len(level.shape)
    pieces = [1] * (ndim - 2) + list(shape[ndim - 2 :])
    if shape[ndim - 2] * shape[ndim - 1] > WHOLE:
        for axis in (ndim - 2, ndim - 1):
            pieces[axis] = max(1, round(TILE / stored[axis])) * stored[axis]
    return da.from_array(level, chunks=tuple(pieces), name=False, asarray=False)  # type: ignore[no-untyped-call]
