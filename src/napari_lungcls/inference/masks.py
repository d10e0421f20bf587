"""Maps as masks: a folder with one black-and-white OME-TIFF for each class."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.images.pixel_size import micrometres
from napari_lungcls.inference.map_data import MapData, MapHeader, blocks
from napari_lungcls.inference.store_base import Begin
from napari_lungcls.inference.store_cells import class_map_axes
from napari_lungcls.inference.store_tiff import LARGE, physical_sizes, tile_edge, tiles
from napari_lungcls.utils.atomic_write import check_writable, remove_store, writing
from napari_lungcls.utils.printable import printable

SUFFIX = ".masks"
INSIDE = 255
"""Of a cell of the class; others are 0."""

_UNSAFE = re.compile(r"[^\w.-]+")


class _OneClass:
    """The mask of one class, made from a map where it is read."""

    def __init__(self, classes: Any, value: int) -> None:
        self.classes, self.value, self.shape = classes, value, tuple(classes.shape)

    def __getitem__(self, place: Any) -> NDArray[np.uint8]:
        inside = np.asarray(self.classes[place]) == self.value
        return np.where(inside, INSIDE, 0).astype(np.uint8)


def write_masks(painted: MapData, path: Path, *, overwrite: bool, begin: Begin) -> Path:
    """Write one mask per class: a cell of the map is a pixel, 255 inside and 0 elsewhere.

    A mask knows the size of its pixels and where the first lies. Masks are written tile by tile,
    so that a map of any size takes little memory.

    Parameters
    ----------
    painted
        The map.
    path
        The folder, `NAME.masks`.
    overwrite
        Whether a folder of masks is replaced.
    begin
        Told the number of tiles; what it gives is called for each, and leaves nothing when it
        raises.

    Raises
    ------
    InputError
        When the folder exists, holds something else, or cannot be written.
    """
    target = check_writable(path)
    if target.exists() and not (overwrite and _is_masks(target)):
        raise InputError(f"{target}: exists already; remove it or choose another name")
    header, cells = painted.header, painted.classes
    names = mask_names(header)
    tick = begin(len(names) * sum(1 for _ in blocks(cells.shape, tile_edge(cells))))
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.absolute().parent))
    try:
        with writing(target):
            for value, name in enumerate(names, start=1):
                label = header.scheme.names[value - 1]
                _write(aside / name, _OneClass(cells, value), label, header, tick)
            aside.chmod(0o755)
            remove_store(target)
            os.replace(aside, target)
    finally:
        remove_store(aside)
    return target


def mask_names(header: MapHeader) -> list[str]:
    """Name the file of each class: its number from 1, and its name as far as files can have it."""
    return [
        f"{number}-{_UNSAFE.sub('_', printable(name))[:60]}.ome.tif"
        for number, name in enumerate(header.scheme.names, start=1)
    ]


def _write(
    path: Path, mask: _OneClass, label: str, header: MapHeader, tick: Callable[[], None]
) -> None:
    edge = tile_edge(mask)
    size = int(np.prod(mask.shape))
    with tifffile.TiffWriter(path, bigtiff=size > LARGE, ome=True) as tif:
        tif.write(
            tiles(mask, "uint8", edge, tick),
            shape=mask.shape,
            dtype="uint8",
            tile=(edge, edge),
            compression="zlib",
            photometric="minisblack",
            metadata={
                "Name": label,
                "axes": class_map_axes(header).upper(),
                **physical_sizes(header),
                **_positions(header),
            },
        )


def _positions(header: MapHeader) -> dict[str, Any]:
    """Say where the centre of the first cell lies, in µm; nothing when pixels have no size."""
    unit = micrometres(header.unit)
    if unit is None:
        return {}
    planes = int(np.prod(header.shape[:-2]))
    place = dict(zip("YX", header.translate[-2:], strict=True))
    said: dict[str, Any] = {}
    for axis, value in place.items():
        said[f"Position{axis}"] = [value * unit] * planes
        said[f"Position{axis}Unit"] = ["µm"] * planes
    return {"Plane": said}


def _is_masks(folder: Path) -> bool:
    """Tell whether a folder holds nothing but masks, so that it may be replaced."""
    return folder.is_dir() and all(_is_mask(each) for each in folder.iterdir())


def _is_mask(path: Path) -> bool:
    return path.is_file() and re.fullmatch(r"[0-9]+-.*\.ome\.tif", path.name) is not None
