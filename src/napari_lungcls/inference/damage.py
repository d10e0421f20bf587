"""Painting around parts of an image that cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.images.damage import DamagedInput, DamagedRegion
from napari_lungcls.inference.map_data import Block

PIECE = 128
"""Edge in image pixels of the pieces that are painted or left out as a whole."""

Damage = dict[DamagedRegion, str]
"""What cannot be read, and why."""

Painted = tuple[NDArray[np.uint8], NDArray[np.float16] | None]
"""Classes `(h, w)` and probabilities `(k, h, w)` of a block."""


@dataclass(frozen=True)
class BlockReport:
    """What became of a block.

    Attributes
    ----------
    damage
        What of the image could not be read.
    blind
        Cells left out because the image holds no numbers there.
    seen
        Whether anything could be read.
    """

    damage: Damage
    blind: int
    seen: bool

    @classmethod
    def of(cls, classes: NDArray[np.uint8], damage: Damage) -> BlockReport:
        """Look through the cells of a block."""
        empty = int((classes == 0).sum())
        return cls(damage, 0 if damage else empty, not damage or empty < classes.size)


def paint_readable(
    paint: Callable[[Block, bool], Painted], block: Block, stride: int, *, alone: bool = False
) -> tuple[Painted, Damage]:
    """Paint a block; where its input cannot be read, those of its pieces that can be.

    Parameters
    ----------
    paint
        Paints a block, or raises `DamagedInput`. When its second argument is true, it reads
        nothing for the neighbours of the block, which may be what cannot be read.
    block
        The block.
    stride
        Image pixels between cells.
    alone
        Whether to paint it without its neighbours from the start.

    Returns
    -------
    painted, damage
        Cells that would see what cannot be read are 0; the probabilities are None when
        nothing could be painted.
    """
    try:
        return paint(block, alone), {}
    except DamagedInput as error:
        if not alone:
            return paint_readable(paint, block, stride, alone=True)
        damage = dict.fromkeys(error.places, error.reason)
    classes = np.zeros(_size(block), np.uint8)
    probabilities: NDArray[np.float16] | None = None
    for piece in _quarters(block, max(1, PIECE // stride)):
        (part, part_probabilities), more = paint_readable(paint, piece, stride, alone=True)
        damage |= more
        inside = _within(block, piece)
        classes[inside] = part
        if part_probabilities is not None:
            if probabilities is None:
                probabilities = np.zeros((len(part_probabilities), *classes.shape), np.float16)
            probabilities[(slice(None), *inside)] = part_probabilities
    return (classes, probabilities), damage


def complaint(source: str, damage: Damage) -> str:
    """Say in one line what of an image could not be read."""
    count = len(damage)
    named = "; ".join(str(place) for place in list(damage)[:3]) + ("; …" if count > 3 else "")
    parts = "a part" if count == 1 else f"{count} parts"
    reasons = " / ".join(list(dict.fromkeys(damage.values()))[:2])
    return (
        f"{source}: {parts} of it cannot be read ({named}); the cells that see it are 0. "
        f"{reasons[:1].upper()}{reasons[1:]}; resuming the painting then fills them in"
    )


def as_json(damage: Damage) -> list[dict[str, Any]]:
    """List the damage for programs."""
    return [
        {
            "plane": list(place.plane),
            "rows": list(place.rows),
            "columns": list(place.columns),
            "reason": reason,
        }
        for place, reason in damage.items()
    ]


def _size(block: Block) -> tuple[int, int]:
    rows, columns = block.rows, block.columns
    return rows.stop - rows.start, columns.stop - columns.start


def _quarters(block: Block, least: int) -> Iterator[Block]:
    """Cut a block in four, or two where it is narrow; none when it is as small as can be."""
    if max(_size(block)) <= least:
        return
    for rows in _halves(block.rows, least):
        for columns in _halves(block.columns, least):
            yield Block(block.index, rows, columns)


def _halves(part: slice, least: int) -> list[slice]:
    if part.stop - part.start <= least:
        return [part]
    middle = (part.start + part.stop + 1) // 2
    return [slice(part.start, middle), slice(middle, part.stop)]


def _within(block: Block, piece: Block) -> tuple[slice, slice]:
    """Give the cells of a piece, counted from the first of the block."""
    return (
        slice(piece.rows.start - block.rows.start, piece.rows.stop - block.rows.start),
        slice(piece.columns.start - block.columns.start, piece.columns.stop - block.columns.start),
    )
