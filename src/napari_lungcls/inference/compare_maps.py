"""Two maps of one place: where they differ."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.evaluation.compare import class_order
from napari_lungcls.inference.painted import PaintedMap

Painting = Callable[..., Generator[Any, None, PaintedMap]]
"""Paints an image, as `Model.painting` does."""


@dataclass(frozen=True, eq=False)
class MapComparison:
    """Two maps of the same cells.

    Attributes
    ----------
    a, b
        The maps.
    differ
        uint8, of the maps' shape: 1 where they are alike, 2 where they differ, 0 where one of
        them is not painted.
    share
        Of the cells that both painted, those that differ; None if there are none.
    """

    a: PaintedMap
    b: PaintedMap
    differ: NDArray[np.uint8]
    share: float | None


def comparing_maps(
    a: tuple[ClassScheme, Painting],
    b: tuple[ClassScheme, Painting],
    image: Any,
    stride: int,
    *,
    cancelled: Callable[[], bool] = lambda: False,
    **where: Any,
) -> Generator[tuple[int, int], None, MapComparison | None]:
    """Paint the same cells with two models, yielding the blocks painted and in all.

    Parameters
    ----------
    a, b
        Classes of each model, the same in any order, and its `painting`.
    image, stride, **where
        As for `Model.painting`: `region` and `planes`.
    cancelled
        Asked before every block; None is returned then.

    Raises
    ------
    InputError
        When the models have other classes, or the image does not suit them.
    """
    class_order(a[0], b[0])
    maps: list[PaintedMap] = []
    for number, (_, paint) in enumerate((a, b)):
        run = paint(image, stride, probabilities=False, cancelled=cancelled, **where)
        while True:
            try:
                step = next(run)
            except StopIteration as end:
                maps.append(end.value)
                break
            yield number * step.total + step.done, 2 * step.total
        if cancelled():
            return None
    return compare_maps(*maps)


def compare_maps(a: PaintedMap, b: PaintedMap) -> MapComparison:
    """Compare two maps of the same cells in memory."""
    order = np.concatenate([[0], class_order(a.scheme, b.scheme) + 1])
    first, second = np.asarray(a.classes), order[np.asarray(b.classes)]
    painted = (first > 0) & (second > 0)
    differ = np.where(painted, np.where(first == second, 1, 2), 0).astype(np.uint8)
    cells = int(painted.sum())
    share = float((differ == 2).sum()) / cells if cells else None
    return MapComparison(a, b, differ, share)
