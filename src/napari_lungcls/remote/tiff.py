"""Planes of an image as one TIFF with all its levels, as small as can be without loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.images.damage import DamagedInput
from napari_lungcls.images.stack import ImageStack

TILE = 512

Index = tuple[int, ...]
"""Position of a plane along the axes before `(y, x)`."""


class PickedPlanes:
    """Some planes of an array as an array `(n, y, x[, channel])`, or `(y, x[, channel])` of one.

    Parameters
    ----------
    array
        `(…, y, x[, channel])`, with numpy slicing.
    planes
        Which.
    """

    def __init__(self, array: Any, planes: Sequence[Index]) -> None:
        self._array, self._planes = array, planes
        inner = tuple(array.shape[len(planes[0]) :])
        self.shape = inner if len(planes) == 1 else (len(planes), *inner)
        self.dtype, self.ndim = array.dtype, len(self.shape)

    def __getitem__(self, key: tuple[int | slice, ...]) -> Any:
        """Read a part of one plane."""
        if len(self._planes) == 1:
            return self._array[(*self._planes[0], *key)]
        plane, *rest = key
        assert isinstance(plane, int | np.integer)
        return self._array[(*self._planes[plane], *rest)]


def pick_planes(stack: ImageStack, planes: Sequence[Index]) -> ImageStack:
    """Give an image of some planes of another, one after the other, with the same levels."""
    return ImageStack(
        [PickedPlanes(level, planes) for level in stack.levels],
        rgb=stack.rgb,
        pixel_size=stack.pixel_size,
        name=stack.name,
        source=stack.source,
    )


def write_tiff(stack: ImageStack, path: Path, tick: Callable[[], None]) -> None:
    """Write an image with 2 or 3 axes.

    Parameters
    ----------
    stack
        The image; alpha is left out.
    path
        The file.
    tick
        Called before every tile; it may raise to stop.

    Raises
    ------
    InputError
        When a part of the image cannot be read.
    """
    axes = ("Z" if stack.leading else "") + "YX" + ("S" if stack.rgb else "")
    options: dict[str, Any] = {
        "tile": (TILE, TILE),
        "dtype": stack.dtype,
        "photometric": "rgb" if stack.rgb else "minisblack",
        "compression": "zstd",
        "predictor": stack.dtype.kind in "uif",
    }
    try:
        with tifffile.TiffWriter(path, bigtiff=True, ome=True) as tif:
            for level in range(len(stack.levels)):
                first: dict[str, Any] = {"subifds": len(stack.levels) - 1}
                own = {"subfiletype": 1, "metadata": None} if level else first
                tif.write(
                    _tiles(stack, level, tick),
                    shape=_shape(stack, level),
                    **options,
                    **({"metadata": {"axes": axes}} | own),
                )
    except DamagedInput as error:
        raise InputError(
            f"{error.problem}, so that it cannot be sent",
            suggestion=({"server": None}, "to paint around it on this computer"),
        ) from error


def _shape(stack: ImageStack, level: int) -> tuple[int, ...]:
    shape = tuple(int(n) for n in stack.levels[level].shape)
    return (*shape[:-1], 3) if stack.rgb else shape


def _tiles(stack: ImageStack, level: int, tick: Callable[[], None]) -> Iterator[NDArray[Any]]:
    """Give the tiles of a level in the order of the file, filled up at the edges."""
    height, width = _shape(stack, level)[len(stack.leading) :][:2]
    colours = (3,) if stack.rgb else ()
    for plane in stack.planes():
        for y in range(0, height, TILE):
            for x in range(0, width, TILE):
                tick()
                rows, columns = slice(y, min(y + TILE, height)), slice(x, min(x + TILE, width))
                region = plane.read(rows, columns, level).astype(stack.dtype, copy=False)
                tile = np.zeros((TILE, TILE, *colours), stack.dtype)
                tile[: region.shape[0], : region.shape[1]] = region if colours else region[..., 0]
                yield tile
