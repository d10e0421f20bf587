"""Maps as OME-Zarr: a label image with its pyramid, and the probabilities beside it.

The layout is NGFF 0.4 on zarr format 2 with `/` between chunk numbers, not the newer 0.5:
napari, Fiji, QuPath, ilastik, OMERO and everything built on zarr-python 2 read it today.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.images.axes import LazyView
from napari_lungcls.images.pixel_size import ngff_name
from napari_lungcls.images.readers.zarr import child, open_node
from napari_lungcls.inference.map_data import MapData, MapHeader, blocks
from napari_lungcls.inference.resume import Record, UnfinishedPainting, record_file
from napari_lungcls.inference.store_base import BlockStore
from napari_lungcls.inference.store_cells import (
    FIRST,
    NAMESPACE,
    PROBABILITIES,
    class_axis,
    class_map_axes,
    create,
    document,
    parse_document,
    probability_axes,
    stored_map,
)
from napari_lungcls.utils.atomic_write import remove_store
from napari_lungcls.utils.printable import printable

VERSION = "0.4"
SMALLEST = 512
"""The coarsest level is the first whose height and width are below this."""

_TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}

Halve = Callable[[NDArray[Any]], NDArray[Any]]


class ZarrStore(BlockStore):
    """Writes and reads a map as OME-Zarr; see `BlockStore`.

    The root is the class map as a multiscale label image: uint8, 0 = not painted, colours
    and names of the classes under `image-label`. The group `probabilities` is a multiscale
    image, float16, with the classes along `c`.
    """

    @property
    def finishing_steps(self) -> int:
        """Number of blocks of all coarser levels."""
        arrays = [a for a in (self.cells.classes, self.cells.probabilities) if a is not None]
        return sum(_count(shape, self.chunk) for a in arrays for shape in _coarser(a.shape))

    @staticmethod
    def read(target: Path, source: str) -> MapData:
        """Open the folder; see `BlockStore`."""
        node = open_node(target, source)
        header = parse_document(node.attrs.asdict().get(NAMESPACE), source)
        if not isinstance(node, zarr.Group):
            raise InputError(f"{source}: is no painted map; paint one with `lungcls paint`")
        classes, probabilities = LazyView(child(node, FIRST, zarr.Array, source), source), None
        if header.probabilities:
            inner = child(node, PROBABILITIES, zarr.Group, source)
            stored = child(inner, FIRST, zarr.Array, source)
            order = list(range(len(stored.shape)))
            if len(order) == len(header.shape) + 1:
                order.insert(0, order.pop(class_axis(header)))
            probabilities = LazyView(stored, source, order)
        return stored_map(classes, probabilities, header, source)

    @staticmethod
    def read_document(target: Path) -> Any:
        """Give the attribute of the group; see `BlockStore`."""
        return open_node(target, str(target)).attrs.asdict().get(NAMESPACE)

    def _publish(self, left: dict[str, Any] | None, tick: Callable[[], None]) -> None:
        header, name = self.header, printable(self.target.name).split(".")[0]
        group, cells = self.cells.group, self.cells
        count = add_levels(group, cells.classes, halve_classes, self.chunk, tick)
        group.attrs.update(
            {
                "multiscales": [multiscale(header, class_map_axes(header), count, name)],
                "image-label": image_label(header),
                NAMESPACE: document(header, left),
            }
        )
        if cells.probabilities is not None:
            inner = group[PROBABILITIES]
            assert isinstance(inner, zarr.Group)
            count = add_levels(inner, cells.probabilities, halve_probabilities, self.chunk, tick)
            axes = probability_axes(header)
            inner.attrs.update(
                {
                    "multiscales": [multiscale(header, axes, count, PROBABILITIES)],
                    "omero": channels(header),
                }
            )
        replace_folder(self.folder, self.target)

    def _take_up(self, found: UnfinishedPainting) -> None:
        Record.create(record_file(self.target), found.order, found.done).close()
        os.replace(self.target, self.folder)

    def _may_replace(self) -> bool:
        return any((self.target / name).is_file() for name in (".zgroup", ".zarray", "zarr.json"))


def replace_folder(source: Path, target: Path) -> None:
    """Give a folder its final name; what lay there goes only when the new one is complete."""
    old = target.with_name(f".{target.name}.old")
    remove_store(old)
    if target.exists():
        os.replace(target, old)
    try:
        os.replace(source, target)
    except OSError:
        if old.exists():
            os.replace(old, target)
        raise
    remove_store(old)


def add_levels(
    group: zarr.Group,
    first: zarr.Array[Any],
    halve: Halve,
    edge: int,
    tick: Callable[[], None],
) -> int:
    """Add arrays `1`, `2`, … each half as high and wide, until the last is small.

    Returns
    -------
    int
        The number of levels with the first.
    """
    level: Any = first
    count = 1
    for shape in _coarser(first.shape):
        coarser = create(group, str(count), shape, level.dtype.str, edge)
        for block in blocks(shape, edge):
            y, x = (slice(2 * s.start, 2 * s.stop) for s in (block.rows, block.columns))
            region = np.asarray(level[(*block.index, y, x)])
            if region.any():
                coarser[block.place] = halve(region)
            tick()
        level, count = coarser, count + 1
    return count


def _coarser(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Give the shapes of the coarser levels."""
    while max(shape[-2:]) >= SMALLEST:
        shape = (*shape[:-2], *(-(-n // 2) for n in shape[-2:]))
        yield shape


def _count(shape: tuple[int, ...], edge: int) -> int:
    return sum(1 for _ in blocks(shape, edge))


def halve_classes(cells: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give the commonest of each 2 × 2 cells; of equally common ones the upper left wins."""
    a, b, c, d = _quarters(cells)
    alone = (a != b) & (a != c) & (a != d)
    other = np.where((b == c) | (b == d), b, np.where(c == d, c, a))
    return np.where(alone, other, a)


def halve_probabilities(cells: NDArray[np.float16]) -> NDArray[np.float16]:
    """Give the mean of each 2 × 2 cells."""
    a, b, c, d = (part.astype(np.float32) for part in _quarters(cells))
    return ((a + b + c + d) / 4).astype(np.float16)


def _quarters(cells: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Split into the four cells of each square; an odd last row or column is repeated."""
    height, width = cells.shape
    even = np.pad(cells, ((0, height % 2), (0, width % 2)), mode="edge")
    return even[::2, ::2], even[::2, 1::2], even[1::2, ::2], even[1::2, 1::2]


def multiscale(header: MapHeader, axes: str, count: int, name: str) -> dict[str, Any]:
    """Describe a pyramid as NGFF 0.4 wants it.

    A cell of level `n` covers `2**n` cells of the first level along y and x, so its centre
    is `(2**n - 1) / 2` of them further on.
    """
    unit = ngff_name(header.unit)
    described = [{"name": axis, "type": _TYPES[axis]} for axis in axes]
    for axis in described:
        if unit is not None and axis["type"] == "space":
            axis["unit"] = unit
    scales = dict(zip(class_map_axes(header), header.scale, strict=True))
    firsts = dict(zip(class_map_axes(header), header.translate, strict=True))
    datasets = []
    for level in range(count):
        scale, translation = [], []
        for axis_name in axes:
            step = scales.get(axis_name, 1.0)
            factor = 2**level if axis_name in "yx" else 1
            scale.append(step * factor)
            translation.append(firsts.get(axis_name, 0.0) + step * (factor - 1) / 2)
        transformations = [
            {"type": "scale", "scale": scale},
            {"type": "translation", "translation": translation},
        ]
        datasets.append({"path": str(level), "coordinateTransformations": transformations})
    return {"version": VERSION, "name": name, "axes": described, "datasets": datasets}


def image_label(header: MapHeader) -> dict[str, Any]:
    """Describe names and colours of the classes as NGFF 0.4 wants it; 0 is transparent."""
    rgba = [[0, 0, 0, 0], *([*bytes.fromhex(color[1:]), 255] for color in header.scheme.colors)]
    names = ("not painted", *header.scheme.names)
    return {
        "version": VERSION,
        "colors": [{"label-value": value, "rgba": color} for value, color in enumerate(rgba)],
        "properties": [{"label-value": value, "class": name} for value, name in enumerate(names)],
    }


def channels(header: MapHeader) -> dict[str, Any]:
    """Name and colour the classes of the probabilities, as viewers look for it."""
    window = {"min": 0.0, "max": 1.0, "start": 0.0, "end": 1.0}
    described = [
        {"label": spec.name, "color": spec.color[1:].upper(), "active": True, "window": window}
        for spec in header.scheme.classes
    ]
    return {"channels": described, "rdefs": {"model": "color"}}
