"""Splits into training and validation points that no pixel of a window crosses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.learning.augmentation import reach
from napari_lungcls.learning.dataset import PointSet
from napari_lungcls.learning.settings import TrainingSettings
from napari_lungcls.network.spec import sight

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Split:
    """Which points train, which validate, and which lie between and do neither.

    Attributes
    ----------
    train, validation
        Rows of the point set.
    n_buffered
        Points too near to the validation part to be trained on honestly.
    buffer
        Least distance along y or x between the two parts, in pixels of full resolution.
    """

    train: NDArray[np.intp]
    validation: NDArray[np.intp]
    n_buffered: int
    buffer: float

    def describe(self) -> dict[str, Any]:
        """Return counts for the model file."""
        found = asdict(self)
        return found | {"train": len(self.train), "validation": len(self.validation)}


def buffer_width(settings: TrainingSettings, grain: float = 0.0) -> float:
    """Distance at which no training window shares a pixel with a validation window.

    A training window reaches `reach(settings)` level pixels from its point, however it is
    turned and shifted; a validation window (`sight`) half its edge and up to half a pixel
    more. One level pixel is added because level pixels are averages, and two image pixels
    (`grain`, see `PointSet`) where those are cut by or interpolated between level pixels.
    """
    answered = sight(settings.window, settings.readout) / 2
    return (reach(settings) + answered + 1.5) * max(settings.zooms) + 2 * grain


def split_points(
    points: PointSet, settings: TrainingSettings, scheme: ClassScheme, rng: np.random.Generator
) -> Split:
    """Split by spatial blocks with a buffer as wide as the context.

    Many ways to lay blocks over the planes are tried; of those that leave every class on
    both sides, the one that keeps the most points wins, with a preference for the wanted
    share of validation points.

    Raises
    ------
    InputError
        When the points lie too close together for any honest split.
    """
    n = len(points)
    everyone = np.arange(n)
    if settings.val_fraction == 0:
        return Split(everyone, everyone[:0], 0, 0.0)
    buffer = buffer_width(settings, points.grain)
    found = _best_split(points, settings.val_fraction, buffer, len(scheme), rng)
    if found is None:
        raise InputError(
            f"no split keeps every class on both sides with a buffer of {buffer:.0f} pixels, "
            f"the reach of a window of {settings.window} at zoom {max(settings.zooms)}; "
            f"{_remedy(points, settings, len(scheme), rng)}, label points farther apart or in "
            "another image, or train on all points with --val-fraction 0"
        )
    train, validation = found
    return Split(
        np.flatnonzero(train),
        np.flatnonzero(validation),
        int(n - train.sum() - validation.sum()),
        buffer,
    )


def _best_split(
    points: PointSet, fraction: float, buffer: float, classes: int, rng: np.random.Generator
) -> tuple[Mask, Mask] | None:
    """Choose among the candidates; None when each lacks a class on one side."""
    n = len(points)
    best: tuple[float, Mask, Mask] | None = None
    for validation in _candidates(points, fraction, buffer, rng):
        train = ~validation & ~_near(points, validation, buffer)
        if not _all_classes(points.codes, train, validation, classes):
            continue
        off_target = abs(validation.sum() / n - fraction)
        score = (n - train.sum() - validation.sum()) / n + 2 * off_target
        if best is None or score < best[0]:
            best = (score, train, validation)
    return None if best is None else best[1:]


def _remedy(
    points: PointSet, settings: TrainingSettings, classes: int, rng: np.random.Generator
) -> str:
    """Name the largest context that these points can be split with."""
    for count in range(len(settings.zooms) - 1, 0, -1):
        fewer = settings.model_copy(update={"zooms": settings.zooms[:count]})
        buffer = buffer_width(fewer, points.grain)
        if _best_split(points, settings.val_fraction, buffer, classes, rng) is not None:
            return f"use --zooms {','.join(map(str, fewer.zooms))}"
    return "use a smaller --window"


def _candidates(
    points: PointSet, fraction: float, buffer: float, rng: np.random.Generator
) -> Iterator[Mask]:
    """Propose validation parts: whole planes, ends of the image, and blocks of many sizes."""
    planes = np.unique(points.planes)
    for _ in range(10 if len(planes) > 1 else 0):
        yield _take(points.planes, fraction, rng)
    for axis in (0, 1):
        position = points.coordinates[:, axis]
        yield position <= np.quantile(position, fraction)
        yield position >= np.quantile(position, 1 - fraction)
    extent = float(np.ptp(points.coordinates, axis=0).max()) + 1
    edges = [extent / parts for parts in (2, 3, 4, 5, 6, 8)]
    for edge in [e for e in edges if e > buffer / 2]:
        for _ in range(10):
            cell = np.floor((points.coordinates + rng.uniform(0, edge, 2)) / edge).astype(np.int64)
            key = np.column_stack([points.planes, cell])
            yield _take(np.unique(key, axis=0, return_inverse=True)[1].reshape(-1), fraction, rng)


def _take(block: NDArray[np.int64], fraction: float, rng: np.random.Generator) -> Mask:
    """Take blocks in random order until they hold the wanted share of the points."""
    counts = np.bincount(block)
    order = rng.permutation(len(counts))
    enough = int(np.searchsorted(np.cumsum(counts[order]), fraction * len(block))) + 1
    return np.isin(block, order[:enough])


def _near(points: PointSet, validation: Mask, buffer: float) -> Mask:
    """Tell which points lie within the buffer of a validation point of their own plane."""
    near = np.zeros(len(points), bool)
    for plane in np.unique(points.planes[validation]):
        here = points.planes == plane
        tree = cKDTree(points.coordinates[here & validation])
        distance, _ = tree.query(points.coordinates[here], p=np.inf)
        near[here] = distance < buffer
    return near


def _all_classes(codes: NDArray[np.int64], train: Mask, validation: Mask, classes: int) -> bool:
    """Tell whether both parts hold every class."""
    return all(len(np.unique(codes[part])) == classes for part in (train, validation))
