"""Masks of polygons: GeoJSON as QuPath writes it, and the shapes that napari saves as CSV."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from napari_lungcls.annotation.columns import AXIS_COLUMN
from napari_lungcls.annotation.tables import Table, coordinates, read_table
from napari_lungcls.annotation.texts import decoded
from napari_lungcls.errors import InputError
from napari_lungcls.images.geometry import from_corner
from napari_lungcls.utils.locks import why_unreadable
from napari_lungcls.utils.names import comparable
from napari_lungcls.utils.printable import printable

LARGEST = 2**28
"""Bytes of the largest GeoJSON that is read."""

CORNERS = 64
"""Of the polygon that stands for an ellipse."""

PlaneIndex = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class PolygonMask:
    """The inside of polygons, which count from the corner of the first pixel.

    Attributes
    ----------
    polygons
        `(plane, polygon)`; a plane of None is every plane.
    shape
        Height and width of the image in pixels.
    description
        Name of the file.
    """

    polygons: Sequence[tuple[PlaneIndex | None, shapely.Geometry]]
    shape: tuple[int, int]
    description: str

    def inside(self, plane: Sequence[int], pixels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which pixels `(n, 2)` of a plane have their centre in it, `(n,)`."""
        outline = self._outline(tuple(plane))
        if not len(pixels):
            return np.zeros(0, np.bool_)
        # Most blocks of an image lie outside or inside as a whole.
        y, x = pixels.T
        around = shapely.box(x.min(), y.min(), x.max() + 1, y.max() + 1)
        if not shapely.intersects(outline, around):
            return np.zeros(len(pixels), np.bool_)
        if shapely.contains_properly(outline, around):
            return np.ones(len(pixels), np.bool_)
        where = from_corner(pixels)
        found: NDArray[np.bool_] = shapely.contains_xy(outline, where[:, 1], where[:, 0])
        return found

    def area(self, plane: Sequence[int]) -> float:
        """Give the square pixels of a plane that lie in it."""
        height, width = self.shape
        whole = shapely.box(0, 0, width, height)
        return float(shapely.area(shapely.intersection(self._outline(tuple(plane)), whole)))

    def _outline(self, plane: PlaneIndex) -> shapely.Geometry:
        if plane not in self._outlines:
            mine = [polygon for at, polygon in self.polygons if at is None or at == plane]
            self._outlines[plane] = shapely.union_all(mine)
            shapely.prepare(self._outlines[plane])
        return self._outlines[plane]

    @cached_property
    def _outlines(self) -> dict[PlaneIndex, shapely.Geometry]:
        return {}


def read_polygons(
    path: Path, shape: Sequence[int], wanted: str | None = None, *, setting: str = "mask"
) -> PolygonMask:
    """Read polygons of an image.

    Positions in GeoJSON are `x, y` in pixels of the image, from the corner of the first. Polygons
    that name no plane hold for every plane, unless others in the file name one: then they belong
    to the first, which QuPath does not name.

    Parameters
    ----------
    path
        A `.geojson`, `.json` or `.csv` file.
    shape
        `(…, y, x)` of the image in pixels.
    wanted
        Name of a classification, of whose polygons alone the mask is made.
    setting
        What the file is given as, for messages.

    Raises
    ------
    InputError
        When the file cannot be read, holds no polygons, or none lies in the image.
    """
    found = (
        _of_shapes(path, len(shape))
        if path.suffix.lower() == ".csv"
        else _of_geojson(path, len(shape) - 2, wanted, setting)
    )
    if not found:
        which = f" of the class {wanted!r}" if wanted is not None else ""
        raise InputError(
            f"{path}: holds no polygons{which}; outline the tissue and export it again",
            setting=setting,
        )
    height, width = shape[-2:]
    name = printable(path.name) + (f": {wanted}" if wanted is not None else "")
    mask = PolygonMask(found, (height, width), name)
    whole = shapely.box(0, 0, width, height)
    if not any(shapely.intersects(polygon, whole) for _, polygon in found):
        raise InputError(
            f"{path}: no polygon lies in the image, which has {height} × {width} pixels; give the "
            "polygons in pixels of this image at full size",
            setting=setting,
        )
    return mask


def _of_geojson(
    path: Path, axes: int, wanted: str | None, setting: str
) -> list[tuple[PlaneIndex | None, shapely.Geometry]]:
    document = _document(path, setting)
    features = document.get("features", [document]) if isinstance(document, dict) else document
    if not isinstance(features, list):
        raise InputError(f"{path}: is no GeoJSON; export the polygons as a FeatureCollection")
    found = []
    for number, feature in enumerate(features):
        try:
            geometry = feature.get("geometry", feature) if "type" in feature else {}
            if wanted is not None and comparable(_class_of(feature)) != comparable(wanted):
                continue
            outline = shapely.make_valid(shapely.from_geojson(json.dumps(geometry)))
            plane = _plane_of(geometry, axes)
        except (AttributeError, TypeError, ValueError, shapely.errors.ShapelyError) as error:
            raise InputError(
                f"{path}: feature {number} is no outline ({error}); export the polygons again"
            ) from error
        if shapely.area(outline) > 0:
            found.append((plane, outline))
    if any(plane is not None for plane, _ in found):
        return [((0,) * axes if plane is None else plane, each) for plane, each in found]
    return found


def _document(path: Path, setting: str) -> Any:
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path} has more than {LARGEST} bytes; simplify the polygons")
        return json.loads(decoded(path.read_bytes(), path))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; check the name", setting=setting) from None
    except OSError as error:
        why = why_unreadable(error) or f"cannot be read ({error.strerror})"
        raise InputError(f"{path} {why}", setting=setting) from error
    except (RecursionError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: is no JSON ({error}); export the polygons again") from error


def _class_of(feature: Mapping[str, Any]) -> str:
    kind = (feature.get("properties") or {}).get("classification") or {}
    return str(kind.get("name", "") if isinstance(kind, dict) else kind)


def _plane_of(geometry: Mapping[str, Any], axes: int) -> PlaneIndex | None:
    """Give the plane that QuPath names; None where it names none."""
    named = geometry.get("plane")
    if named is None or not axes:
        return None
    z, t = int(named.get("z", 0)), int(named.get("t", 0))
    return (z or t,) if axes == 1 else (*(0,) * (axes - 2), t, z)


def _of_shapes(path: Path, ndim: int) -> list[tuple[PlaneIndex | None, shapely.Geometry]]:
    """Read the table of a shapes layer, whose positions are of pixel centres."""
    table = read_table(path)
    axes = [at for at, name in enumerate(table.header) if AXIS_COLUMN.fullmatch(name)]
    if not {"index", "shape-type"} <= set(table.header) or len(axes) not in (2, ndim):
        raise InputError(
            f"{path}: is no table of shapes of this image, which has the columns index, "
            f"shape-type and {ndim} axes; save the shapes layer of napari as CSV"
        )
    where = coordinates(path, table, axes)
    found = []
    for kind, rows in _shapes(table):
        corners = from_corner(where[rows][:, -2:])[:, ::-1]
        if kind == "ellipse" and len(corners) == 4:
            corners = ellipse(corners)
        if kind in ("polygon", "rectangle", "ellipse") and len(corners) > 2:
            plane = tuple(np.rint(where[rows[0]][:-2]).astype(int).tolist())
            found.append((plane or None, shapely.make_valid(shapely.Polygon(corners))))
    return found


def _shapes(table: Table) -> list[tuple[str, list[int]]]:
    """Give the kind of each shape and its rows."""
    number, kind = table.header.index("index"), table.header.index("shape-type")
    shapes: dict[str, list[int]] = {}
    for row, (_, cells) in enumerate(table.rows):
        shapes.setdefault(cells[number].strip(), []).append(row)
    return [(table.rows[rows[0]][1][kind].strip().lower(), rows) for rows in shapes.values()]


def ellipse(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make a polygon `(n, 2)` of an ellipse, which napari keeps as the corners of its box."""
    middle = corners.mean(axis=0)
    first, second = (corners[1] - corners[0]) / 2, (corners[2] - corners[1]) / 2
    turn = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)[:, np.newaxis]
    found: NDArray[np.float64] = middle + np.cos(turn) * first + np.sin(turn) * second
    return found
