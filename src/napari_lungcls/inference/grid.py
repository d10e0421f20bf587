"""The cells of a map over an image, the blocks in which they are painted, and their order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.images.geometry import cell_count, map_offset, map_positions
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.inference.map_data import Block, MapHeader

BLOCK_PIXELS = 2048
"""Edge of a block in image pixels, where the limits of cells allow."""

GROUP = 2
"""Blocks along each side of a group, and one more at the end if it were alone there."""

MAX_STRIDE = 64

Region = tuple[slice, slice]


@dataclass(frozen=True)
class MapGrid:
    """The cells of a map.

    Attributes
    ----------
    stack
        The image.
    stride
        Image pixels between cells.
    rows, columns
        Range of image pixels that the cells cover.
    planes
        Range along the axis before `(y, x)`; all if None.
    """

    stack: ImageStack
    stride: int
    rows: slice
    columns: slice
    planes: slice | None

    @classmethod
    def over(
        cls,
        stack: ImageStack,
        stride: int,
        region: Region | None = None,
        planes: slice | None = None,
    ) -> MapGrid:
        """Lay cells over an image or a part of it.

        Raises
        ------
        InputError
            When the stride, region or planes are not inside the image.
        """
        if not isinstance(stride, int | np.integer) or not 1 <= stride <= MAX_STRIDE:
            raise InputError(
                f"give 1 to {MAX_STRIDE}, a whole number, not {stride}", setting="stride"
            )
        height, width = stack.plane_shape
        rows, columns = region or (slice(0, height), slice(0, width))
        rows = _inside(rows, height, "region rows", stack)
        columns = _inside(columns, width, "region columns", stack)
        if planes is not None:
            if not stack.leading:
                raise InputError(f"{stack.source} is one plane", suggestion={"planes": None})
            planes = _inside(planes, stack.leading[-1], "planes", stack)
        return cls(stack, int(stride), rows, columns, planes)

    @property
    def leading(self) -> tuple[int, ...]:
        """Lengths of the map's axes before `(y, x)`."""
        if self.planes is None:
            return self.stack.leading
        return (*self.stack.leading[:-1], self.planes.stop - self.planes.start)

    @property
    def shape(self) -> tuple[int, ...]:
        """Cells along each axis of the map."""
        height = cell_count(self.rows.stop - self.rows.start, self.stride)
        width = cell_count(self.columns.stop - self.columns.start, self.stride)
        return (*self.leading, height, width)

    @property
    def pixels(self) -> int:
        """Image pixels under the map."""
        height, width = self.rows.stop - self.rows.start, self.columns.stop - self.columns.start
        return int(math.prod(self.leading) * height * width)

    @property
    def block(self) -> int:
        """Edge of a block in cells."""
        return min(max(BLOCK_PIXELS // self.stride, 64), 1024)

    @property
    def block_count(self) -> int:
        """Number of all blocks."""
        *leading, height, width = self.shape
        return math.prod(leading) * -(-height // self.block) * -(-width // self.block)

    def blocks(self) -> Iterator[Block]:
        """All blocks, plane by plane, and those of a group one after the other."""
        edge = self.block
        for index in np.ndindex(*self.leading):
            for group in product(*map(self._groups, self.shape[-2:])):
                starts = (range(side.start, side.stop, edge) for side in group)
                for i, j in product(*starts):
                    rows, columns = (
                        slice(start, min(side.stop, start + edge))
                        for start, side in zip((i, j), group, strict=True)
                    )
                    yield Block(index, rows, columns)

    def group(self, block: Block) -> Block:
        """Give the rectangle of blocks whose coarse zooms are painted together."""
        rows, columns = (
            next(each for each in self._groups(n) if side.start < each.stop)
            for side, n in zip((block.rows, block.columns), self.shape[-2:], strict=True)
        )
        return Block(block.index, rows, columns)

    def _groups(self, count: int) -> list[slice]:
        """Cut an axis of so many cells into groups."""
        edges = [*range(0, count, self.block * GROUP), count]
        if len(edges) > 2 and count - edges[-2] <= self.block:
            # Halos of a single row of blocks would be larger than the row.
            del edges[-2]
        return [slice(*ends) for ends in pairwise(edges)]

    def image_plane(self, index: tuple[int, ...]) -> tuple[int, ...]:
        """Index of an image plane by its index in the map."""
        if self.planes is None:
            return index
        return (*index[:-1], index[-1] + self.planes.start)

    def positions(self, block: Block) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Image positions `y` and `x` of the centres of a block's cells."""
        y = map_positions(block.rows.start, block.rows.stop - block.rows.start, self.stride)
        x = map_positions(
            block.columns.start, block.columns.stop - block.columns.start, self.stride
        )
        return self.rows.start + y, self.columns.start + x

    def header(
        self, scheme: ClassScheme, *, probabilities: bool, provenance: dict[str, object]
    ) -> MapHeader:
        """Describe the map: where in the world its cells lie, and what they mean."""
        stack, offset = self.stack, map_offset(self.stride)
        first = [0.0] * stack.ndim
        first[-2:] = [self.rows.start + offset, self.columns.start + offset]
        if self.planes is not None:
            first[-3] = float(self.planes.start)
        step = [1] * len(stack.leading) + [self.stride] * 2
        return MapHeader(
            shape=self.shape,
            scale=tuple(s * n for s, n in zip(stack.scale, step, strict=True)),
            translate=tuple(
                t + s * f for t, s, f in zip(stack.translate, stack.scale, first, strict=True)
            ),
            unit=stack.unit,
            scheme=scheme,
            stride=self.stride,
            origin=(self.rows.start, self.columns.start),
            probabilities=probabilities,
            provenance=provenance,
        )


def _inside(part: slice, size: int, what: str, stack: ImageStack) -> slice:
    start = 0 if part.start is None else int(part.start)
    stop = size if part.stop is None else int(part.stop)
    if part.step not in (None, 1) or not 0 <= start < stop <= size:
        raise InputError(
            f"{what} {start}:{stop} are not inside {stack.source}, which has {size}; "
            f"give a range within 0:{size}"
        )
    return slice(start, stop)


InView = Callable[[], Sequence[float] | None]
"""Gives the cell `(…, y, x)` of the map that is looked at, or None when that is unknown."""


def nearest_first(blocks: Sequence[Block], in_view: InView) -> Iterator[Block]:
    """Give every block once, each time the one nearest to what is looked at then.

    Planes count first: all blocks of the plane in view come before those of the next plane,
    and of these the block around the cell in view, then its neighbours.

    Parameters
    ----------
    blocks
        All blocks.
    in_view
        Asked before each block. While it gives None, blocks come in their order.
    """
    planes = np.array([block.index for block in blocks], float).reshape(len(blocks), -1)
    edges = np.array(
        [[b.rows.start, b.rows.stop - 1, b.columns.start, b.columns.stop - 1] for b in blocks],
        float,
    )
    left = np.arange(len(blocks))
    while len(left):
        first = 0
        if (seen := in_view()) is not None:
            first = int(np.argmin(_distance(planes[left], edges[left], np.asarray(seen, float))))
        yield blocks[left[first]]
        left = np.delete(left, first)


def with_next(blocks: Iterator[Block]) -> Iterator[tuple[Block, Block | None]]:
    """Give every block with the one after it, None after the last."""
    block = next(blocks, None)
    while block is not None:
        after = next(blocks, None)
        yield block, after
        block = after


_Numbers = NDArray[np.float64]


def _distance(planes: _Numbers, edges: _Numbers, seen: _Numbers) -> _Numbers:
    """Rank blocks: by plane, then by how far the cell in view is from the block."""
    over = [
        np.maximum(np.maximum(edges[:, i] - where, where - edges[:, i + 1]), 0)
        for i, where in ((0, seen[-2]), (2, seen[-1]))
    ]
    within: _Numbers = np.hypot(*over)
    apart: _Numbers = np.abs(planes - seen[:-2]).sum(axis=1)
    return apart * float(1 + 2 * edges.max(initial=1)) + within
