"""Choosing the precision of a map: the fastest that gives the same classes as fp32."""

from __future__ import annotations

import warnings
from itertools import product

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.errors import LungclsWarning
from napari_lungcls.images.damage import DamagedInput
from napari_lungcls.images.geometry import map_positions
from napari_lungcls.images.stack import Plane
from napari_lungcls.inference.grid import MapGrid
from napari_lungcls.inference.painter import Answers, Painter
from napari_lungcls.network.compatibility import fitting_zooms
from napari_lungcls.network.engines import Painting, Precision
from napari_lungcls.network.predictor import Predictor

SMALL = 4_000_000
"""Image pixels below which a map is painted in fp32: checking would cost more than it saves."""

PLACES = 4
"""Places along each side of the map that are looked at, of which the liveliest are painted."""

SAMPLES = 5
PATCH = 256
"""Edge in image pixels of the squares that are painted in both precisions."""
STEP = 8
"""Image pixels between their cells."""

TOSS_UP = 0.05
"""A cell whose two likeliest classes differ by less in probability may fall either way."""

AGREE = 0.999
"""Share of the other cells that must keep their class."""


def choose_painting(predictor: Predictor, grid: MapGrid, precision: Precision) -> Painting:
    """Make a network ready for painting a map, in a precision that does not change it.

    Parameters
    ----------
    predictor
        The network and what its model file says about it.
    grid
        The map to paint.
    precision
        With `auto` the fastest one of the device is tried on a fixed sample of the map;
        unless 99.9 % of its cells keep the class that they have in fp32, cells that are a
        toss-up aside, the map is painted in fp32. Maps of less than 4 megapixels are
        painted in fp32 anyway.

    Raises
    ------
    InputError
        When the device does not compute in the precision, or model and image do not go
        together.

    Warns
    -----
    LungclsWarning
        When the faster precision was given up.
    """
    engine = predictor.engine
    if precision != "auto":
        return engine.painting(precision)
    if grid.pixels < SMALL or (fast := engine.painting("auto")).precision == "fp32":
        return engine.painting("fp32")
    exact = engine.painting("fp32")
    changed, decided = _changed(exact, fast, predictor, grid)
    if changed <= (1 - AGREE) * decided:
        return fast
    warnings.warn(
        f"in {fast.precision}, {changed} of {decided} cells of a sample would change their "
        "class; the map is painted in fp32, which takes longer",
        LungclsWarning,
        stacklevel=2,
    )
    return exact


def _changed(
    exact: Painting, fast: Painting, predictor: Predictor, grid: MapGrid
) -> tuple[int, int]:
    """Count the sampled cells that change their class, and those that are no toss-up."""
    zooms = fitting_zooms(grid.stack, predictor.document)
    painters = [Painter.of(predictor, zooms, painting) for painting in (exact, fast)]
    changed = decided = 0
    for y, x in _places(grid):
        try:
            (classes, probabilities), (others, _) = (
                _patch(painter, grid, y, x) for painter in painters
            )
        except DamagedInput:
            continue  # the painting itself will say where
        assert probabilities is not None
        second, first = np.sort(probabilities.astype(np.float32), axis=0)[-2:]
        sure = (first - second >= TOSS_UP) & (classes > 0)
        changed += int((sure & (classes != others)).sum())
        decided += int(sure.sum())
    return changed, decided


def _patch(painter: Painter, grid: MapGrid, y: int, x: int) -> Answers:
    positions = map_positions(0, PATCH // STEP, STEP)
    logits = painter.logits(_plane(grid), y + positions, x + positions)
    return painter.painting.answer(logits, probabilities=True, threshold=painter.threshold)


def _places(grid: MapGrid) -> list[tuple[int, int]]:
    """Find the corners of the patches whose middles hold most structure."""
    sides = [
        np.linspace(side.start, max(side.start, side.stop - PATCH), PLACES).astype(int).tolist()
        for side in (grid.rows, grid.columns)
    ]
    corners = list(product(*sides))
    spread = np.array([_spread(grid, y, x) for y, x in corners])
    # Of places that are equally lively the first come first, so that a sample is always the same.
    return [corners[i] for i in np.argsort(-spread, kind="stable")[:SAMPLES]]


def _spread(grid: MapGrid, y: int, x: int) -> float:
    quarter = PATCH // 4
    height, width = grid.stack.plane_shape
    rows = slice(min(y + quarter, height - 1), min(y + 3 * quarter, height))
    columns = slice(min(x + quarter, width - 1), min(x + 3 * quarter, width))
    try:
        found: NDArray[np.float32] = _plane(grid).read(rows, columns).astype(np.float32)
    except DamagedInput:
        return -1.0
    spread = float(found.std(axis=(0, 1)).max())
    return spread if np.isfinite(spread) else 0.0


def _plane(grid: MapGrid) -> Plane:
    """Give the plane in the middle of the map."""
    return grid.stack.plane(grid.image_plane(tuple(n // 2 for n in grid.leading)))
