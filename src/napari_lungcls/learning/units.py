"""What a split keeps together: groups, images, planes, or blocks of a plane."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.errors import InputError
from napari_lungcls.learning.layout import Layout

By = Literal["group", "image", "blocks"]
Units = NDArray[np.int64]
"""`(n,)` numbers of the units; points of one number stay together."""

TRIES = 10
"""How often blocks of one size are laid anew."""


def choose_units(layout: Layout, wanted: Literal["auto", "group", "image", "blocks"]) -> list[By]:
    """Say by what to split, in the order in which it is tried.

    Raises
    ------
    InputError
        When the points do not have what is asked for.
    """
    grouped = layout.groups is not None and len(np.unique(layout.groups)) > 1
    several = len(np.unique(layout.images)) > 1
    if wanted == "group" and not grouped:
        raise InputError(
            "--split-by group needs a column 'group' that names at least two animals or slides; "
            "add it to the points, or use --split-by blocks"
        )
    if wanted == "image" and not several:
        raise InputError(
            "--split-by image needs points in at least two images; use --split-by blocks"
        )
    if wanted != "auto":
        return [wanted]
    # Whoever names animals wants figures for another animal, and nothing less.
    return ["group"] if grouped else ["image", "blocks"] if several else ["blocks"]


def propose(
    layout: Layout, by: By, share: float, buffer: float, rng: np.random.Generator
) -> Iterator[Units]:
    """Propose ways to part the points into units.

    Parameters
    ----------
    layout
        The points.
    by
        What to keep together.
    share
        Share of the points that one side of the split shall have; ends of an image are as
        large, so that the rest loses only one strip to the buffer.
    buffer
        Blocks much smaller than it would lose all their neighbours.
    rng
        Lays blocks.
    """
    if by != "blocks":
        fixed = layout.groups if by == "group" else layout.images
        assert fixed is not None
        yield np.asarray(fixed)
        return
    if len(np.unique(layout.planes)) > 1:
        yield layout.planes
    for axis in (0, 1):
        position = layout.coordinates[:, axis]
        for quantile in (share, 1 - share):
            yield (position > np.quantile(position, quantile)).astype(np.int64)
        yield _strips(position, share)
    extent = float(np.ptp(layout.coordinates, axis=0).max()) + 1
    edges = [extent / parts for parts in (2, 3, 4, 5, 6, 8)]
    for edge in [e for e in edges if e > buffer / 2]:
        for _ in range(TRIES):
            offset = rng.uniform(0, edge, 2)
            cell = np.floor((layout.coordinates + offset) / edge).astype(np.int64)
            key = np.column_stack([layout.planes, cell])
            yield np.unique(key, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _strips(position: NDArray[np.float64], share: float) -> Units:
    """Cut into strips of equally many points."""
    count = max(2, round(1 / share))
    cuts = np.quantile(position, np.arange(1, count) / count)
    return np.searchsorted(cuts, position).astype(np.int64)
