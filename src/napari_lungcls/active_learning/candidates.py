"""A sample of an image's tissue, and what a model says of it: places that could be labelled."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from napari_lungcls.errors import InputError
from napari_lungcls.images.damage import DAMAGE
from napari_lungcls.images.geometry import middle, to_zoomed
from napari_lungcls.images.pyramid import ZoomedPlane
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.network.predictor import Predictor
from napari_lungcls.network.tiles import Tiles
from napari_lungcls.utils.progress import Step

FIELD = 256
"""Edge of a field in zoomed pixels of the model's finest zoom."""

MOST_FIELDS = 24
"""Fields that are looked at, however large the image is: some 1.5 million zoomed pixels."""

PLACES = 2400
"""Places in them altogether, at most."""

IN_FIELD = 400
"""Places in one field, at most."""

PROPOSED = 3
"""Fields that are glanced at for each that is looked at."""

BARE = 0.15
"""A field whose intensities vary less than this share of what they do in others has no tissue."""

GLANCE = 4
"""Times that a field is shrunk for the glance."""

MARGIN = 16
"""Zoomed pixels around a place that the model sees of the image itself, where there is room."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TissueField:
    """Where to look: a square of a plane.

    Attributes
    ----------
    plane
        Index of the plane.
    centre
        `(y, x)` in pixels of the image.
    """

    plane: tuple[int, ...]
    centre: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Candidates:
    """Places that could be labelled.

    Attributes
    ----------
    coordinates
        `(n, ndim)` `(…, y, x)` in pixels of the image.
    probabilities
        For each model `(n, classes)`, calibrated.
    """

    coordinates: Floats
    probabilities: tuple[Floats, ...]


def find_candidates(
    predictors: Sequence[Predictor],
    zooms: Sequence[tuple[float, ...]],
    stack: ImageStack,
    *,
    rng: np.random.Generator,
    cancelled: Callable[[], bool],
) -> Generator[Step, None, Candidates]:
    """Draw fields over all planes, and ask models about places in those that show tissue.

    Parameters
    ----------
    predictors
        The models.
    zooms
        For each, pixels of the image per zoomed pixel, see `check_image`.
    stack
        The image. Some `MOST_FIELDS` fields of it are read at the zooms of the models, and
        `PROPOSED` times as many at a coarser one, whatever its size.
    rng
        Draws fields and places.
    cancelled
        Asked after every field.

    Yields
    ------
    Step

    Raises
    ------
    InputError
        When cancelled, or when no field can be read or shows tissue.
    """
    edge = FIELD * zooms[0][0]
    planes = math.prod(stack.leading)
    there = planes * math.prod(max(1.0, side / edge) for side in stack.plane_shape)
    wanted = min(MOST_FIELDS, math.ceil(1.5 * there))
    proposed = draw_fields(stack, PROPOSED * wanted, edge, rng)
    total = len(proposed) + wanted
    spread: list[float] = []
    for number, field in enumerate(proposed):
        _check(cancelled)
        spread.append(_spread(stack, field, zooms[0][0]))
        yield Step(number + 1, total, "looking for tissue")
    fields = [proposed[i] for i in with_tissue(np.array(spread))[:wanted]]
    if not fields:
        raise InputError(
            f"{stack.source}: no part of the image that was looked at can be read and shows "
            "anything; check the image"
        )
    parts = []
    count = min(IN_FIELD, -(-PLACES // len(fields)))
    for number, field in enumerate(fields):
        _check(cancelled)
        where = _places(stack, field, zooms, count, rng)
        parts.append(_look(predictors, zooms, stack, field, where))
        yield Step(total - len(fields) + number + 1, total, "asking the model")
    found = Candidates(
        np.concatenate([part.coordinates for part in parts]),
        tuple(
            np.concatenate([part.probabilities[i] for part in parts])
            for i in range(len(predictors))
        ),
    )
    return _finite(found)


def draw_fields(
    stack: ImageStack, count: int, edge: float, rng: np.random.Generator
) -> list[TissueField]:
    """Draw squares that are spread evenly over all planes, and over each plane.

    Parameters
    ----------
    stack
        The image.
    count
        How many.
    edge
        Of the squares, in pixels; they lie inside the image where it is large enough.
    rng
        Draws.

    Notes
    -----
    Scrambled Halton points (Owen 2017, arXiv:1706.02808): one axis for the plane, two in it.
    """
    from scipy.stats import qmc

    points = qmc.Halton(3, rng=rng).random(count)
    planes = math.prod(stack.leading)
    numbers = np.minimum((points[:, 0] * planes).astype(int), planes - 1)
    sizes = np.array(stack.plane_shape, np.float64)
    room = np.maximum(sizes - edge, 0)
    centres = (sizes - 1) / 2 - room / 2 + points[:, 1:] * room
    return [
        TissueField(
            tuple(int(i) for i in np.unravel_index(number, stack.leading)) if planes > 1 else
            (0,) * len(stack.leading),
            (float(y), float(x)),
        )
        for number, (y, x) in zip(numbers, centres, strict=True)
    ]  # fmt: skip


def with_tissue(spread: Floats) -> NDArray[np.intp]:
    """Give the fields that show tissue, as their numbers in order.

    Parameters
    ----------
    spread
        `(n,)` standard deviations of their intensities; NaN where they cannot be read.
    """
    if np.isnan(spread).all():
        return np.zeros(0, np.intp)
    usual = np.nanquantile(spread, 0.95)
    return np.flatnonzero((spread > 0) & (spread >= BARE * usual))


def _check(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise InputError("cancelled; nothing is suggested")


def _spread(stack: ImageStack, field: TissueField, zoom: float) -> float:
    """Give the standard deviation of a field's intensities, NaN where it cannot be read."""
    level = ZoomedPlane(stack.plane(field.plane), GLANCE * zoom)
    edge = FIELD // GLANCE
    top, left = _first(field, GLANCE * zoom, edge)
    try:
        pixels = level.read(top, left, edge, edge)
    except DAMAGE:
        return math.nan
    finite = pixels[np.isfinite(pixels).all(axis=-1)]
    return float(finite.std(axis=0, dtype=np.float64).max()) if len(finite) else math.nan


def _first(field: TissueField, zoom: float, edge: int) -> tuple[int, int]:
    """Give the first zoomed pixel of a square around the middle of a field."""
    top, left = np.rint(to_zoomed(field.centre, zoom) - middle(edge)).astype(int)
    return int(top), int(left)


def _places(
    stack: ImageStack,
    field: TissueField,
    zooms: Sequence[tuple[float, ...]],
    count: int,
    rng: np.random.Generator,
) -> Floats:
    """Draw pixels `(n, 2)` of a field, off the image's edges where there is room."""
    zoom = zooms[0][0]
    inner = (FIELD - 2 * MARGIN) * zoom / 2
    low, high = (np.asarray(field.centre) + side * inner for side in (-1, 1))
    sizes = np.array(stack.plane_shape)
    off = np.minimum(MARGIN * max(max(each) for each in zooms), (sizes - 1) / 4)
    low, high = np.maximum(low, off), np.minimum(high, sizes - 1 - off)
    drawn = np.rint(rng.uniform(low, np.maximum(low, high), (count, 2)))
    found: Floats = np.unique(drawn, axis=0)
    return found


def _look(
    predictors: Sequence[Predictor],
    zooms: Sequence[tuple[float, ...]],
    stack: ImageStack,
    field: TissueField,
    where: Floats,
) -> Candidates:
    """Ask all models about places `(n, 2)` of one field."""
    plane, probabilities = stack.plane(field.plane), []
    for predictor, own in zip(predictors, zooms, strict=True):
        edge = max(FIELD, predictor.engine.spec.tile)
        firsts = [_first(field, zoom, edge) for zoom in own]
        pixels = np.stack(
            [
                ZoomedPlane(plane, zoom).read(*first, edge, edge)
                for zoom, first in zip(own, firsts, strict=True)
            ]
        )
        places = np.stack(
            [to_zoomed(where, zoom) - first for zoom, first in zip(own, firsts, strict=True)],
            axis=1,
        )
        tiles = Tiles(pixels[np.newaxis], np.zeros(len(where), np.intp), places)
        logits = predictor.engine.logits(tiles).astype(np.float64)
        probabilities.append(softmax(logits / predictor.document.temperature, axis=1))
    lead = np.tile(np.asarray(field.plane, np.float64), (len(where), 1))
    return Candidates(np.column_stack([lead, where]), tuple(probabilities))


def _finite(found: Candidates) -> Candidates:
    """Leave out places whose surroundings hold intensities that are no numbers."""
    good = np.all([np.isfinite(each).all(axis=1) for each in found.probabilities], axis=0)
    return Candidates(found.coordinates[good], tuple(each[good] for each in found.probabilities))
