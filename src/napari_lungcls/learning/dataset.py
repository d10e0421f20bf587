"""Labelled points with the squares of level pixels around them, ready for training."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation.points import Points
from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.errors import InputError
from napari_lungcls.imaging.geometry import window_start
from napari_lungcls.imaging.levels import BlockCache
from napari_lungcls.imaging.pixelsize import check_zooms, effective_zooms
from napari_lungcls.imaging.stack import ImageStack, stack_dtype
from napari_lungcls.imaging.windows import batches, check_inside, plane_indices, read_windows
from napari_lungcls.learning.augmentation import reach
from napari_lungcls.learning.settings import TrainingSettings

MEMORY_LIMIT = 512 * 2**20
"""Bytes of squares that are held in memory; more go to a temporary file."""

Pair = tuple[ImageStack, Points]


@dataclass(frozen=True)
class PointSet:
    """Points of one or several images, in the order in which they were given.

    Attributes
    ----------
    coordinates
        `(n, 2)`: `(y, x)` in pixels of the model's pixel size, so that distances mean the
        same in every image.
    planes
        `(n,)` numbers that differ between planes, of the same image or of others.
    codes
        `(n,)` classes.
    squares
        `(n, zooms, c, c, 3)` level pixels around each point.
    places
        `(n, zooms, 2)` where in its square each point lies.
    grain
        Edge of an image pixel, in pixels of the model's pixel size, where images are
        resampled to it; the largest of all images, 0 where none is resampled.
    """

    coordinates: NDArray[np.float64]
    planes: NDArray[np.int64]
    codes: NDArray[np.int64]
    squares: NDArray[Any]
    places: NDArray[np.float64]
    grain: float = 0.0

    def __len__(self) -> int:
        """Count the points."""
        return len(self.codes)

    def centred(self, rows: NDArray[np.intp], window: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Cut windows without turn or shift, as `read_windows` gives them.

        Returns
        -------
        windows : ndarray, (m, zooms, window, window, 3)
        places : ndarray, (m, zooms, 2)
        """
        places = self.places[rows]
        first = window_start(places, window)
        zooms = places.shape[1]
        windows = np.empty((len(rows), zooms, window, window, 3), self.squares.dtype)
        for i, row in enumerate(rows):
            for k in range(zooms):
                y, x = first[i, k]
                windows[i, k] = self.squares[row, k, y : y + window, x : x + window]
        return windows, places - first


def check_pairs(pairs: Sequence[Pair], scheme: ClassScheme) -> NDArray[np.int64]:
    """Refuse points that cannot be trained on, before anything is read.

    Returns
    -------
    ndarray, (n,)
        The codes of all points.

    Raises
    ------
    InputError
        Points outside their image, unknown classes, too few points or classes, images of
        different types.
    """
    if not pairs:
        raise InputError("training needs at least one image with its points")
    for stack, points in pairs:
        check_inside(stack, points.coordinates, points.source)
    codes = np.concatenate([points.codes(scheme) for _, points in pairs])
    counts = np.bincount(codes, minlength=len(scheme))
    sources = ", ".join(dict.fromkeys(points.source for _, points in pairs))
    used = np.flatnonzero(counts)
    if len(codes) < len(scheme):
        raise InputError(
            f"{sources}: {len(codes)} points are fewer than the {len(scheme)} classes of the "
            f"scheme {scheme.name!r}; label at least a few points of each class"
        )
    if len(used) < 2:
        raise InputError(
            f"{sources}: all points are {scheme.names[used[0]]!r}; label at least two classes"
        )
    if len(used) < len(scheme):
        absent = ", ".join(scheme.names[i] for i in np.flatnonzero(counts == 0))
        raise InputError(
            f"{sources}: no point is labelled {absent}; label some, or give --classes a scheme "
            "without it"
        )
    types = {str(stack.dtype) for stack, _ in pairs}
    if len(types) > 1:
        raise InputError(
            f"the images have different types ({', '.join(sorted(types))}); convert them to one"
        )
    return codes


def read_point_set(
    pairs: Sequence[Pair],
    scheme: ClassScheme,
    settings: TrainingSettings,
    pixel_size: float | None,
) -> Iterator[tuple[int, int] | PointSet]:
    """Read the squares around all points.

    Yields
    ------
    tuple of int, then PointSet
        Points read and points in all, after every batch; the set itself last.

    Raises
    ------
    InputError
        When points and images cannot be trained on, or intensities are not finite.
    """
    codes = check_pairs(pairs, scheme)
    edge = 2 * reach(settings) + 2
    squares = _allocate((len(codes), len(settings.zooms), edge, edge, 3), pairs[0][0])
    places, coordinates, planes, grains = [], [], [], [0.0]
    done = 0
    images = [_identity(stack) for stack, _ in pairs]
    for image, (stack, points) in zip(images, pairs, strict=True):
        zooms = effective_zooms(settings.zooms, pixel_size, stack)
        check_zooms(settings.zooms, zooms, stack)
        cache = BlockCache()
        index = plane_indices(stack, points.coordinates)
        ordered = _reading_order(index, points.coordinates)
        found = np.empty((len(points), len(zooms), 2))
        for part in batches(len(ordered), 256):
            rows = ordered[part]
            windows, where = read_windows(stack, points.coordinates[rows], zooms, edge, cache=cache)
            _check_finite(windows, stack)
            squares[done + rows] = windows
            found[rows] = where
            yield done + part.stop, len(codes)
        places.append(found)
        edge_of_pixel = settings.zooms[0] / zooms[0]
        coordinates.append(points.coordinates[:, -2:] * edge_of_pixel)
        if not all(zoom.is_integer() for zoom in zooms):
            grains.append(edge_of_pixel)
        planes += [(images.index(image), *where) for where in index.tolist()]
        done += len(points)
    numbers = {plane: i for i, plane in enumerate(sorted(set(planes)))}
    yield PointSet(
        np.concatenate(coordinates),
        np.array([numbers[plane] for plane in planes], np.int64),
        codes,
        squares,
        np.concatenate(places),
        max(grains),
    )


def _identity(stack: ImageStack) -> str | int:
    """Tell images apart: one that is given twice, labelled by two people, is one image."""
    named = stack.source != stack.name
    return os.path.realpath(stack.source) if named else id(stack.levels[0])


def _reading_order(planes: NDArray[np.int64], coordinates: NDArray[np.float64]) -> NDArray[np.intp]:
    """Order points so that a batch needs few planes and few blocks of them."""
    coarse = coordinates[:, -2:] // 2048
    order: NDArray[np.intp] = np.lexsort((coarse[:, 1], coarse[:, 0], *planes.T[::-1]))
    return order


def _check_finite(windows: NDArray[Any], stack: ImageStack) -> None:
    if windows.dtype.kind == "f" and not np.isfinite(windows).all():
        raise InputError(
            f"{stack.source} holds NaN or infinite values near the points; fill them first, "
            "for example with the background's intensity"
        )


def _allocate(shape: tuple[int, ...], stack: ImageStack) -> NDArray[Any]:
    dtype = stack_dtype(stack.dtype)
    if int(np.prod(shape)) * dtype.itemsize <= MEMORY_LIMIT:
        return np.empty(shape, dtype)
    # The file has no name and vanishes with the process, however that ends.
    with tempfile.TemporaryFile(prefix="lungcls-squares-") as scratch:
        return np.memmap(scratch, dtype, "w+", shape=shape)
