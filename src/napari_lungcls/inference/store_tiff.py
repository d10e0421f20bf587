"""Maps as OME-TIFF: the class map as first image, the probabilities as second."""

from __future__ import annotations

import json
import uuid
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray

from napari_lungcls.images.axes import LazyView, Opened
from napari_lungcls.images.damage import reading
from napari_lungcls.images.pixel_size import micrometres
from napari_lungcls.inference.map_data import MapData, MapHeader, blocks
from napari_lungcls.inference.resume import Record, UnfinishedPainting, record_file
from napari_lungcls.inference.store_base import BlockStore
from napari_lungcls.inference.store_cells import (
    NAMESPACE,
    PROBABILITIES,
    CellArrays,
    class_map_axes,
    document,
    parse_document,
    probability_axes,
    stored_map,
)
from napari_lungcls.utils.atomic_write import atomic_write
from napari_lungcls.utils.printable import printable

TILE = 512
"""Edge of the tiles, in cells; a multiple of 16. Smaller maps are one tile."""
LARGE = 2**31
"""Bytes of cells above which a file is a BigTIFF, which ImageJ alone cannot read."""
_BROKEN = "is not a TIFF that can be read ({}); copy or paint it again"


class TiffStore(BlockStore):
    """Writes a map as OME-TIFF when it is finished, and reads it; see `BlockStore`.

    Classes are uint8 with a colour map; probabilities float32, because OME-TIFF has no
    float16, with the class names as names of the channels. Both are tiled and deflated.
    The document that restores the header is an annotation in the OME-XML.
    """

    @property
    def finishing_steps(self) -> int:
        """Number of tiles of both images."""
        arrays = [a for a in (self.cells.classes, self.cells.probabilities) if a is not None]
        return sum(1 for a in arrays for _ in blocks(a.shape, tile_edge(a)))

    @staticmethod
    def read(target: Path, source: str) -> MapData:
        """Open the file; see `BlockStore`."""
        with reading(source, _BROKEN):
            tif = tifffile.TiffFile(target)
        opened = Opened(tif.close)
        header = parse_document(_annotation(tif), source)
        axes, probabilities = class_map_axes(header), None
        with reading(source, _BROKEN):
            classes = _image(tif, 0, axes, source, opened)
            if header.probabilities:
                probabilities = _image(tif, 1, f"c{axes}", source, opened, dtype="float16")
        return stored_map(classes, probabilities, header, source)

    @staticmethod
    def read_document(target: Path) -> Any:
        """Give the annotation; see `BlockStore`."""
        with reading(str(target), _BROKEN), tifffile.TiffFile(target) as tif:
            return _annotation(tif)

    def _publish(self, left: dict[str, Any] | None, tick: Callable[[], None]) -> None:
        header, said = self.header, json.dumps(document(self.header, left))
        first = {
            # Of the content and not of the hour, so that the same map gives the same file.
            "UUID": str(uuid.uuid5(uuid.NAMESPACE_URL, said)),
            "Name": printable(self.target.name).split(".")[0],
            "axes": class_map_axes(header).upper(),
            "MapAnnotation": {
                "Namespace": NAMESPACE,
                "Value": {"document": said},
            },
            **physical_sizes(header),
        }
        classes, probabilities = self.cells.classes, self.cells.probabilities
        cells = sum(a.size for a in (classes, probabilities) if a is not None)
        with (
            atomic_write(self.target) as aside,
            tifffile.TiffWriter(aside, bigtiff=4 * cells > LARGE, ome=True) as tif,
        ):
            options = {"photometric": "palette", "colormap": colormap(header)}
            _write(tif, classes, "uint8", first, tick, **options)
            if probabilities is not None:
                second = {
                    "Name": PROBABILITIES,
                    "axes": probability_axes(header).upper(),
                    "Channel": {"Name": list(header.scheme.names)},
                    **physical_sizes(header),
                }
                _write(tif, probabilities, "float32", second, tick, photometric="minisblack")

    def _take_up(self, found: UnfinishedPainting) -> None:
        order = found.order
        cells = CellArrays.create(self.folder, order.header, order.chunk)
        old = self.read(self.target, str(self.target))
        parts = blocks(order.header.shape, order.chunk)
        for done, block in zip(found.done, parts, strict=True):
            if done:
                probabilities = old.probabilities
                if probabilities is not None:
                    probabilities = probabilities[(slice(None), *block.place)]
                cells.write(block, old.classes[block.place], probabilities)
        taken = order.model_copy(update={"replaces": True})
        Record.create(record_file(self.target), taken, found.done).close()

    def _may_replace(self) -> bool:
        return self.target.is_file()


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
    """Find the document in the OME-XML; empty when it is damaged, None when there is none."""
    described = tif.ome_metadata or ""
    if f'Namespace="{NAMESPACE}"' not in described:
        return None
    try:
        for element in ElementTree.fromstring(described).iter():
            name = element.tag.rpartition("}")[2]
            if name == "MapAnnotation" and element.get("Namespace") == NAMESPACE:
                found = [item for item in element.iter() if item.get("K") == "document"]
                return json.loads(found[0].text or "") if found else {}
    except (ElementTree.ParseError, ValueError):
        pass
    return {}


def physical_sizes(header: MapHeader) -> dict[str, Any]:
    """Give `PhysicalSizeX`, `Y` and `Z` of a cell in µm; nothing when they are unknown."""
    unit = micrometres(header.unit)
    sizes: dict[str, Any] = {}
    if unit is None:
        return sizes
    for axis, scale in zip(class_map_axes(header), header.scale, strict=True):
        if axis in "xyz" and scale > 0:
            sizes[f"PhysicalSize{axis.upper()}"] = scale * unit
            sizes[f"PhysicalSize{axis.upper()}Unit"] = "µm"
    return sizes


def colormap(header: MapHeader) -> NDArray[np.uint16]:
    """Give the colours of the classes as TIFF wants them, `(3, 256)`, black where unused."""
    colors = np.zeros((256, 3), np.uint16)
    for value, color in enumerate(header.scheme.colors, start=1):
        colors[value] = [257 * part for part in bytes.fromhex(color[1:])]
    return np.ascontiguousarray(colors.T)


def tile_edge(cells: Any) -> int:
    """Edge of the tiles of an array."""
    return min(TILE, 16 * -(-int(max(cells.shape[-2:])) // 16))


def _write(
    tif: tifffile.TiffWriter,
    cells: Any,
    dtype: str,
    metadata: dict[str, Any],
    tick: Callable[[], None],
    **options: Any,
) -> None:
    """Write one array as one image, tile by tile."""
    edge = tile_edge(cells)
    tif.write(
        tiles(cells, dtype, edge, tick),
        shape=cells.shape,
        dtype=dtype,
        tile=(edge, edge),
        compression="zlib",
        metadata=metadata,
        **options,
    )


def tiles(cells: Any, dtype: str, edge: int, tick: Callable[[], None]) -> Iterator[NDArray[Any]]:
    """Give all tiles in the order of the file, filled up with 0 at the edges."""
    for block in blocks(cells.shape, edge):
        region = np.asarray(cells[block.place])
        tile = np.zeros((edge, edge), dtype)
        tile[: region.shape[0], : region.shape[1]] = region
        # Before and not after: nobody asks this generator for more than the last tile.
        tick()
        yield tile
