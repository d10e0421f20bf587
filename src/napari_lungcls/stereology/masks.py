"""Masks of painted maps, and of their cells; for those of images see `images.masks`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.images.geometry import map_cell, middle_pixels
from napari_lungcls.images.masks import BLOCK, POLYGONS, ImageMask, Mask, mask_from_file, near
from napari_lungcls.images.opening import open_image
from napari_lungcls.images.polygon_masks import read_polygons
from napari_lungcls.inference.formats import is_map
from napari_lungcls.inference.map_data import MapHeader, blocks
from napari_lungcls.inference.painted import PaintedMap, read_map
from napari_lungcls.stereology.phase_map import BlockMask
from napari_lungcls.utils.printable import printable

ROLES = ("parenchyma", "lung")
"""What a mask may be of in place of a class."""


def read_mask(
    path: str | os.PathLike[str], shape: Sequence[int], mask_class: str | None = None
) -> Mask:
    """Open a mask of an image; it is read where it is asked.

    Parameters
    ----------
    path
        An image or polygons, see `mask_from_file`. Or a painted map, of which `mask_class` names a
        class.
    shape
        `(…, y, x)` of the image in pixels. A mask of one plane holds for all planes.
    mask_class
        Class of a painted map or of polygons; of a map `parenchyma` or `lung` too, for all classes
        with this role.

    Raises
    ------
    InputError
        When it cannot be read, or does not fit the image.
    """
    file = Path(path)
    if mask_class is None:
        if is_map(file):
            raise InputError(f"{file}: is a painted map; name a class of it", setting="mask_class")
        return mask_from_file(path, shape)
    if file.suffix.lower() in POLYGONS:
        return read_polygons(file, shape, mask_class)
    return _map_mask(read_map(file), file, shape, mask_class)


def mask_of_cells(mask: Mask, header: MapHeader) -> BlockMask:
    """Turn a mask of image pixels into one of map cells.

    A cell is inside when its middle pixel is; where the stride is even, the lower right of the
    four in the middle.
    """
    first = int(header.provenance.get("first_plane") or 0)

    def block(index: tuple[int, ...], rows: slice, columns: slice) -> NDArray[np.bool_]:
        plane = (index[0] + first, *index[1:]) if index else ()
        y, x = (
            o + middle_pixels(side.start, side.stop, header.stride)
            for o, side in zip(header.origin, (rows, columns), strict=True)
        )
        pixels = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1).reshape(-1, 2)
        return mask.inside(plane, pixels).reshape(len(y), len(x))

    return block


def mask_of_map(path: str | os.PathLike[str], header: MapHeader) -> BlockMask:
    """Open a mask of the image that a map was painted from; see `mask_of_cells`.

    Parameters
    ----------
    path
        An image or polygons, see `read_mask`.
    header
        Of the map.

    Raises
    ------
    InputError
        When it cannot be read, or does not reach over the map.
    """
    file, first = Path(path), int(header.provenance.get("first_plane") or 0)
    ends = [o + header.stride * n for o, n in zip(header.origin, header.shape[-2:], strict=True)]
    mask: Mask
    if file.suffix.lower() in POLYGONS:
        planes = header.shape[:-2]
        leading = (planes[0] + first, *planes[1:]) if planes else ()
        mask = read_polygons(file, (*leading, *ends))
    else:
        stack = open_image(path)
        # The last cells may lie over the edge of the image by less than a cell.
        short = any(
            size + header.stride <= end for size, end in zip(stack.plane_shape, ends, strict=True)
        )
        if short or (stack.leading and len(stack.leading) != len(header.shape) - 2):
            raise InputError(
                f"{file}: the mask has the shape {stack.shape} and does not reach over the map, "
                f"which ends at pixel {ends}",
                setting="mask",
                suggestion="give a mask of the size of the painted image",
            )
        mask = ImageMask(stack, printable(file.name))

    return mask_of_cells(mask, header)


@dataclass(frozen=True, eq=False)
class MapMask:
    """The cells of some classes of a painted map; what was not painted is outside.

    Attributes
    ----------
    painted
        The map.
    wanted
        `(256,)` which values of cells are inside.
    shape
        Height and width of the image in pixels.
    description
        Name of the file, and the class.
    """

    painted: PaintedMap
    wanted: NDArray[np.bool_]
    shape: tuple[int, int]
    description: str

    def inside(self, plane: Sequence[int], pixels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which pixels `(n, 2)` of a plane lie in it, `(n,)`."""
        header = self.painted.header
        cells = map_cell(pixels - np.array(header.origin), header.stride)
        there = ((cells >= 0) & (cells < header.shape[-2:])).all(axis=1)
        found, places = np.zeros(len(pixels), np.bool_), np.flatnonzero(there)
        for rows, columns, chosen in near(cells[there]):
            part = np.asarray(self.painted.classes[(*plane, rows, columns)])
            at = cells[there][chosen] - (rows.start, columns.start)
            found[places[chosen]] = self.wanted[part[at[:, 0], at[:, 1]]]
        return found

    def area(self, plane: Sequence[int]) -> float:
        """Count the pixels of a plane that lie in it."""
        header = self.painted.header
        sizes = [
            np.clip(size - first - np.arange(count) * header.stride, 0, header.stride)
            for size, first, count in zip(self.shape, header.origin, header.shape[-2:], strict=True)
        ]
        return float(
            sum(
                sizes[0][block.rows]
                @ self.wanted[np.asarray(self.painted.classes[(*plane, *block.place)])]
                @ sizes[1][block.columns]
                for block in blocks(header.shape[-2:], BLOCK)
            )
        )


def _map_mask(painted: PaintedMap, file: Path, shape: Sequence[int], wanted: str) -> MapMask:
    header = painted.header
    covers = [
        first + (count - 1) * header.stride < size
        for first, count, size in zip(header.origin, header.shape[-2:], shape[-2:], strict=True)
    ]
    if header.shape[:-2] != tuple(shape[:-2]) or not all(covers):
        raise InputError(
            f"{file}: the map has {header.shape} cells of {header.stride} pixels, and the image "
            f"the shape {tuple(shape)}; give the map that was painted of this image, of all planes",
            setting="mask",
        )
    values = np.zeros(256, np.bool_)
    values[1 : 1 + len(header.scheme)] = _classes(header.scheme, file, wanted)
    height, width = shape[-2:]
    return MapMask(painted, values, (height, width), f"{printable(file.name)}: {wanted}")


def _classes(scheme: ClassScheme, file: Path, wanted: str) -> NDArray[np.bool_]:
    """Tell which classes of a scheme a name means, `(k,)`."""
    if wanted in ROLES and wanted not in scheme.names:
        found = scheme.parenchyma if wanted == "parenchyma" else scheme.lung
        if not found.any():
            raise InputError(
                f"{file}: no class of the map has the role {wanted}; name one of its classes, "
                f"{', '.join(scheme.names)}",
                setting="mask_class",
            )
        return found
    found = np.zeros(len(scheme), np.bool_)
    found[scheme.code(wanted)] = True
    return found
