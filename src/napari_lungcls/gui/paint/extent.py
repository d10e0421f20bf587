"""Which planes and region to paint, and which part of the image is in view. No Qt."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import napari
import numpy as np
from napari.layers import Image, Layer
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.gui.image_id import image_shape
from napari_lungcls.gui.layers import from_world
from napari_lungcls.images.geometry import map_cell, map_offset
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.inference.grid import MapGrid, Region

if TYPE_CHECKING:
    from napari_lungcls.images.masks import Mask


class Extent(Enum):
    """Which planes of a stack to paint."""

    PLANE = "This plane"
    RANGE = "Range of planes"
    ALL = "Whole stack"


@dataclass(frozen=True)
class PaintingPlan:
    """The cells to paint over an image.

    Attributes
    ----------
    grid
        The cells, over the image or the chosen part of it.
    first
        Image plane of the map's first plane, one number per axis before `(y, x)`.
    within
        The part of the grid's image that alone is painted; all if not given.
    no_glass
        Whether bare glass is left out.
    """

    grid: MapGrid
    first: tuple[int, ...]
    within: "Mask | None" = None
    no_glass: bool = False

    def cell(self, position: NDArray[np.float64]) -> tuple[float, ...]:
        """Give the map cell at a position `(…, y, x)` in data pixels of the image."""
        grid, offset = self.grid, map_offset(self.grid.stride)
        start = np.array([grid.rows.start, grid.columns.start]) + offset
        within = (position[-2:] - start) / grid.stride
        return (*(position[:-2] - np.array(self.first)).tolist(), *within.tolist())

    def bytes(self, classes: int, *, probabilities: bool, confidence: bool) -> int:
        """Count the bytes that the cells of the map take."""
        each = 1 + 2 * classes * (probabilities or confidence) + 2 * confidence
        return each * int(np.prod(self.grid.shape, dtype=np.int64))


def make_plan(
    stack: ImageStack,
    stride: int,
    extent: Extent,
    position: NDArray[np.float64],
    *,
    planes: tuple[int, int] = (0, 0),
    region: Region | None = None,
    within: "Mask | None" = None,
    no_glass: bool = False,
) -> PaintingPlan:
    """Lay cells over an image or a part of it.

    Parameters
    ----------
    stack
        The image.
    stride
        Image pixels between cells.
    extent
        Which planes. `PLANE` and `RANGE` run along the axis before `(y, x)`; of the axes
        before that, such as time, the shown position is painted.
    position
        The shown position, `(…, y, x)` in data pixels of the image.
    planes
        First and last plane of a range, both included.
    region
        Rows and columns of pixels; all by default.
    within
        The part of the image that alone is painted; all by default.
    no_glass
        Whether bare glass is left out.

    Raises
    ------
    InputError
        If the stride, region or planes do not fit the image.
    """
    first = (0,) * len(stack.leading)
    along: slice | None = None
    if extent is not Extent.ALL and stack.leading:
        shown = map_cell(position[:-2], 1)
        first = tuple(int(i) for i in np.clip(shown, 0, np.array(stack.leading) - 1))
        low, high = planes if extent is Extent.RANGE else (first[-1], first[-1])
        if low > high:
            raise InputError(f"planes {low} to {high}: the first must not come after the last")
        first = (*first[:-1], low)
        along = slice(low, high + 1)
        stack = at(stack, first[:-1])
        if within is not None and len(first) > 1:
            within = _MaskAt(within, first[:-1])
    return PaintingPlan(MapGrid.over(stack, stride, region, along), first, within, no_glass)


def common(first: Region | None, second: Region | None) -> Region | None:
    """Give the rows and columns that lie in both of two parts; None is all.

    Raises
    ------
    InputError
        If there are none.
    """
    if first is None or second is None:
        return second if first is None else first
    rows, columns = (
        slice(max(a.start, b.start), min(a.stop, b.stop))
        for a, b in zip(first, second, strict=True)
    )
    if rows.start >= rows.stop or columns.start >= columns.stop:
        raise InputError("no outline is in view; move it into view, or paint the whole image")
    return rows, columns


def at(stack: ImageStack, index: tuple[int, ...]) -> ImageStack:
    """Take one position along the first axes of a stack, which remain with length 1."""
    if not index:
        return stack
    shift = [s * i for s, i in zip(stack.scale, index, strict=False)] + [0.0] * stack.ndim
    return ImageStack(
        [_At(level, index) for level in stack.levels],
        rgb=stack.rgb,
        pixel_size=stack.pixel_size,
        scale=stack.scale,
        translate=[t + d for t, d in zip(stack.translate, shift, strict=False)],
        unit=stack.unit,
        name=stack.name,
        source=stack.source,
    )


class _At:
    """A lazy view of an array at one position of its first axes."""

    def __init__(self, array: Any, index: tuple[int, ...]) -> None:
        self._array, self._index = array, index
        self.shape = (*(1,) * len(index), *array.shape[len(index) :])
        self.dtype = array.dtype

    def __getitem__(self, key: tuple[Any, ...]) -> Any:
        """Read a region of a plane; `key` selects the plane with integers."""
        return self._array[(*self._index, *key[len(self._index) :])]


class _MaskAt:
    """A mask of an image at one position of its first axes."""

    def __init__(self, mask: "Mask", index: tuple[int, ...]) -> None:
        self._mask, self._index = mask, index
        self.description = mask.description

    def inside(self, plane: Sequence[int], pixels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which pixels `(n, 2)` of a plane lie in it, `(n,)`."""
        return self._mask.inside(self._there(plane), pixels)

    def area(self, plane: Sequence[int]) -> float:
        """Count the pixels of a plane that lie in it."""
        return self._mask.area(self._there(plane))

    def _there(self, plane: Sequence[int]) -> tuple[int, ...]:
        return (*self._index, *plane[len(self._index) :])


def world_in_view(viewer: "napari.Viewer") -> tuple[float, ...]:
    """Give the world position at the centre of the view."""
    point = np.array(viewer.dims.point, float)
    shown = list(viewer.dims.displayed)
    point[shown] = np.array(viewer.scene.camera.center, float)[-len(shown) :]
    return tuple(point.tolist())


def position_in_view(viewer: "napari.Viewer", image: Layer) -> NDArray[np.float64]:
    """Give the data pixel `(…, y, x)` of an image at the centre of the view."""
    return from_world(image, world_in_view(viewer))


def region_in_view(viewer: "napari.Viewer", image: Image) -> Region:
    """Give the rows and columns of an image that the canvas shows.

    Raises
    ------
    InputError
        If no part of the image is in view, or the view is not the plane of y and x.
    """
    ends = tuple(viewer.dims.order[-2:])
    if viewer.dims.ndisplay != 2 or ends != (viewer.dims.ndim - 2, viewer.dims.ndim - 1):
        raise InputError("'Only the visible part' needs a 2-D view of y and x; switch to 2-D")
    corners = np.asarray(image.corner_pixels, float)[:, -2:]
    if image.multiscale:
        factors = np.asarray(image.downsample_factors, float)[image.data_level]
        corners = corners * factors[: image.ndim][-2:]
    height, width = image_shape(image)[-2:]
    low = np.clip(np.floor(corners[0]), 0, [height, width]).astype(int)
    high = np.clip(np.ceil(corners[1]) + 1, 0, [height, width]).astype(int)
    if (high - low <= 1).any():
        raise InputError(f"no part of the image {image.name!r} is in view; move it into view")
    return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))
