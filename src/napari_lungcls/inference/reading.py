"""Maps on disk, opened again without reading their cells."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import tifffile
import zarr

from napari_lungcls.errors import InputError
from napari_lungcls.images.axes import LazyView, Opened
from napari_lungcls.images.damage import READ_ERRORS
from napari_lungcls.images.readers.zarr import child, open_node
from napari_lungcls.inference.cells import (
    NAMESPACE,
    PROBABILITIES,
    class_axis,
    class_map_axes,
    parse_document,
)
from napari_lungcls.inference.map_data import MapData, MapHeader


def read_document(target: Path) -> Any:
    """Give the document of the map at `target`; None when it has none.

    Raises
    ------
    InputError
        When it cannot be opened.
    """
    if target.is_dir():
        return open_node(target, str(target)).attrs.asdict().get(NAMESPACE)
    try:
        with tifffile.TiffFile(target) as tif:
            return _annotation(tif)
    except READ_ERRORS as error:
        raise InputError(f"{target}: is not a TIFF that can be read ({error})") from error


def read_zarr(target: Path, source: str) -> MapData:
    """Open the OME-Zarr folder `target`, called `source` in errors."""
    node = open_node(target, source)
    header = parse_document(node.attrs.asdict().get(NAMESPACE), source)
    if not isinstance(node, zarr.Group):
        raise InputError(f"{source}: is no painted map; paint one with `lungcls paint`")
    classes = LazyView(child(node, "0", zarr.Array, source), source)
    if not header.probabilities:
        return _painted(classes, None, header, source)
    inner = child(node, PROBABILITIES, zarr.Group, source)
    stored = child(inner, "0", zarr.Array, source)
    order = list(range(len(stored.shape)))
    if len(order) == len(header.shape) + 1:
        order.insert(0, order.pop(class_axis(header)))
    return _painted(classes, LazyView(stored, source, order), header, source)


def read_tiff(target: Path, source: str) -> MapData:
    """Open the OME-TIFF file `target`, called `source` in errors."""
    broken = f"{source}: is not a TIFF that can be read"
    try:
        tif = tifffile.TiffFile(target)
    except READ_ERRORS as error:
        raise InputError(f"{broken} ({error}); copy or paint it again") from error
    opened = Opened(tif.close)
    header = parse_document(_annotation(tif), source)
    try:
        classes = _image(tif, 0, class_map_axes(header), source, opened)
        probabilities = None
        if header.probabilities:
            axes = f"c{class_map_axes(header)}"
            probabilities = _image(tif, 1, axes, source, opened, dtype="float16")
    except InputError:
        raise
    except READ_ERRORS as error:
        raise InputError(f"{broken} ({error}); copy or paint it again") from error
    return _painted(classes, probabilities, header, source)


def _image(
    tif: tifffile.TiffFile, number: int, axes: str, source: str, opened: Opened, **options: Any
) -> LazyView:
    """Give one image of the file with its axes in our order, those of length 1 included."""
    series = tif.series[number]
    stored = series.get_axes(False).lower()
    order = [stored.index(axis) for axis in axes]
    array = zarr.open_array(series.aszarr(level=0, squeeze=False), mode="r")
    return LazyView(array, source, order, opened, **options)


def _annotation(tif: tifffile.TiffFile) -> Any:
    """Find the document in the OME-XML, or None."""
    try:
        root = ElementTree.fromstring(tif.ome_metadata or "<none/>")
        for element in root.iter():
            name = element.tag.rpartition("}")[2]
            if name == "MapAnnotation" and element.get("Namespace") == NAMESPACE:
                found = [item for item in element.iter() if item.get("K") == "document"]
                return json.loads(found[0].text or "") if found else None
    except (ElementTree.ParseError, ValueError):
        return None
    return None


def _painted(
    classes: LazyView, probabilities: LazyView | None, header: MapHeader, source: str
) -> MapData:
    try:
        return MapData(classes, probabilities, header)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
