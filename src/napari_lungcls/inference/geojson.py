"""Maps as GeoJSON: valid polygons with holes, as QuPath reads and writes annotations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.images.pixel_size import micrometres
from napari_lungcls.inference.map_data import Block, MapData, MapHeader, blocks
from napari_lungcls.inference.store_base import Begin
from napari_lungcls.inference.store_cells import class_map_axes
from napari_lungcls.utils.atomic_write import atomic_write, writing

SUFFIX = ".geojson"

EDGE = 1024
"""Edge in cells of the parts in which a map is outlined; polygons end at their borders."""

Corners = NDArray[np.int64]
"""Ends of straight pieces of outline, `(n, 2, 2)`: first and last, each `(x, y)`."""


def check_geojson(path: Path, *, overwrite: bool) -> Path:
    """Find out before the work starts whether polygons can be written there."""
    if path.suffix.lower() != SUFFIX:
        raise InputError(f"{path}: polygons are written as {SUFFIX}; name the file so")
    if path.exists() and not (overwrite and path.is_file()):
        raise InputError(f"{path}: exists already; remove it or choose another name")
    return path


def write_geojson(painted: MapData, path: Path, *, overwrite: bool, begin: Begin) -> Path:
    """Write the outlines of all classes, part by part.

    Every class of every part of a plane is one annotation, in pixels of the image at full
    resolution, counted from the corner of the first pixel. Its measurements are its area, and which
    share of all that is painted in the plane its class has.

    Parameters
    ----------
    painted
        The map.
    path
        A `.geojson` file.
    overwrite
        Whether an existing file is replaced.
    begin
        Told the number of parts; what it gives is called after each, and leaves no file when
        it raises.

    Raises
    ------
    InputError
        When the suffix is another, the file exists, or it cannot be written.
    """
    target = check_geojson(path, overwrite=overwrite)
    parts = list(blocks(painted.header.shape, EDGE))
    tick = begin(len(parts))
    with (
        writing(target),
        atomic_write(target) as aside,
        aside.open("w", encoding="utf-8", newline="\n") as out,
    ):
        out.write('{"type": "FeatureCollection", "features": [')
        separator = "\n"
        shares: dict[str, float] = {}
        plane: tuple[int, ...] | None = None
        for block in parts:
            if block.index != plane:
                plane, shares = block.index, _shares(painted, block.index)
            cells = np.asarray(painted.classes[block.place])
            for feature in _features(painted.header, block, cells, shares):
                out.write(separator + json.dumps(feature, ensure_ascii=False))
                separator = ",\n"
            tick()
        out.write("\n]}\n")
    return target


def _features(
    header: MapHeader, block: Block, cells: NDArray[np.uint8], shares: dict[str, float]
) -> Iterator[dict[str, Any]]:
    """Outline each class of a part."""
    first = (block.rows.start, block.columns.start)
    place = np.add(np.multiply(first, header.stride), header.origin)[::-1]
    for code, spec in enumerate(header.scheme.classes):
        found = polygons(cells == code + 1)
        if not found:
            continue
        outline = found[0] if len(found) == 1 else shapely.multipolygons(found)
        outline = shapely.transform(outline, lambda at: at * header.stride + place)
        geometry: dict[str, Any] = json.loads(shapely.to_geojson(outline))
        if (plane := _plane(header, block.index)) is not None:
            geometry["plane"] = plane
        color = list(bytes.fromhex(spec.color[1:]))
        measured = _areas(header, int(np.count_nonzero(cells == code + 1)))
        yield {
            "type": "Feature",
            "geometry": geometry,
            "properties": {
                "objectType": "annotation",
                "classification": {"name": spec.name, "color": color},
                "measurements": measured | {"Share of painted area": shares[spec.name]},
            },
        }


def _areas(header: MapHeader, cells: int) -> dict[str, float]:
    """Give the area of cells under the names that QuPath itself uses."""
    areas = {"Area px^2": float(cells * header.stride**2)}
    if (unit := micrometres(header.unit)) is not None:
        areas["Area µm^2"] = float(cells * np.prod(header.scale[-2:]) * unit**2)
    return areas


def _shares(painted: MapData, index: tuple[int, ...]) -> dict[str, float]:
    """Give the share of each class in the painted cells of a plane, read part by part."""
    counts = np.zeros(256, np.int64)
    for block in blocks(painted.header.shape[-2:], EDGE):
        cells = np.asarray(painted.classes[(*index, *block.place)])
        counts += np.bincount(cells.ravel(), minlength=256)
    whole = max(1, int(counts[1:].sum()))
    names = painted.header.scheme.names
    return {name: float(counts[code]) / whole for code, name in enumerate(names, start=1)}


def _plane(header: MapHeader, index: tuple[int, ...]) -> dict[str, int] | None:
    """Name a plane as QuPath does, which leaves out the first; c = −1 is every channel."""
    plane = {"c": -1, "z": 0, "t": 0} | dict(zip(class_map_axes(header)[:-2], index, strict=True))
    if index and isinstance(first := header.provenance.get("first_plane"), int):
        plane["z"] += first
    return None if plane == {"c": -1, "z": 0, "t": 0} else plane


def polygons(mask: NDArray[np.bool_]) -> list[shapely.Polygon]:
    """Outline the cells that are set; each polygon is one region joined by edges.

    Parameters
    ----------
    mask
        `(h, w)`.

    Returns
    -------
    list of Polygon
        In units of cells, `(x, y)`, from the corner of the first cell. Their areas add up
        to the number of cells. Regions that only touch at a corner are two polygons.
    """
    lines = _outline(mask)
    if not len(lines):
        return []
    faces = shapely.get_parts(shapely.polygonize(shapely.linestrings(lines)))
    x, y = _first_cells(faces)
    # The faces between the lines are regions and the holes in them.
    return list(faces[mask[y, x]])


def _outline(mask: NDArray[np.bool_]) -> Corners:
    """Give all straight pieces of outline, from one corner to the next."""
    padded = np.pad(mask, 1)
    across = padded[1:] != padded[:-1]
    down = padded[:, 1:] != padded[:, :-1]
    # A line of cell borders crosses another at a corner; there both are cut.
    corner = (across[:, 1:] | across[:, :-1]) & (down[1:] | down[:-1])
    rows = _pieces(across[:, 1:-1], corner)
    columns = _pieces(down[1:-1].T, corner.T)
    return np.concatenate([rows, columns[..., ::-1]])


def _pieces(borders: NDArray[np.bool_], corner: NDArray[np.bool_]) -> Corners:
    """Join the borders along each line to pieces that end at corners."""
    first = np.argwhere(borders & corner[:, :-1])
    last = np.argwhere(borders & corner[:, 1:])
    last[:, 1] += 1
    return np.stack([first, last], axis=1)[..., ::-1]


def _first_cells(faces: NDArray[np.object_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give a cell inside each polygon, `x` and `y`: below its uppermost, leftmost corner."""
    ends, owner = shapely.get_coordinates(shapely.get_exterior_ring(faces), return_index=True)
    order = np.lexsort((ends[:, 0], ends[:, 1], owner))
    _, first = np.unique(owner[order], return_index=True)
    x, y = ends[order[first]].astype(np.int64).T
    return x, y
