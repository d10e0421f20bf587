"""Tissue and bare glass, told apart in a coarse picture of a plane."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from napari_lungcls.images.geometry import from_map_edge
from napari_lungcls.images.stack import ImageStack, Plane

COARSE = 1024
"""Pixels along the longer side of the picture in which tissue is looked for, at the most."""

READABLE = 2**26
"""Pixels of a plane that are read at the most; of larger ones without a pyramid none is."""

AIRSPACE_UM, AIRSPACE_PX = 150.0, 80.0
"""Radius of a disk that fits into the glass around a lung and into no airspace but large
airways, in µm, and in pixels where their size is unknown."""

KEPT = 16
"""Planes whose glass is remembered."""


def coarse_picture(plane: Plane, most: int = COARSE) -> NDArray[Any] | None:
    """Read a plane with few pixels, from the coarsest level that has enough of them.

    Parameters
    ----------
    plane
        The plane.
    most
        Pixels along its longer side; there are half as many at least if the plane has them.

    Returns
    -------
    ndarray, (rows, columns, channel)
        None where too much of the file would have to be read.
    """
    sizes = [tuple(math.ceil(n / f) for n in plane.shape) for f in plane.stack.factors]
    fine = [i for i, size in enumerate(sizes) if max(size) >= most // 2]
    level = fine[-1] if fine else 0
    height, width = sizes[level]
    if height * width > READABLE and not isinstance(plane.stack.levels[level], np.ndarray):
        return None
    step = max(1, -(-max(height, width) // most))
    return plane.read(slice(0, height, step), slice(0, width, step), level)


def tissue_of(picture: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Tell which pixels of a picture are tissue, darker than the background or brighter.

    Otsu's threshold parts the intensities in two; tissue are those that vary more.

    Parameters
    ----------
    picture
        `(rows, columns, channel)`, any type.

    Returns
    -------
    ndarray, (rows, columns), bool
        None where nothing can be told apart.
    """
    dark = _dark(picture)
    if dark is None:
        return None
    grey = _grey(picture)
    return dark if grey[dark].std() >= grey[~dark].std() else ~dark


def bare_glass(picture: NDArray[Any], radius: float) -> NDArray[np.bool_]:
    """Tell which pixels of a picture are bare glass around tissue, and not air in it.

    Glass is bright, varies less than tissue, has room for a disk that no airspace has room for,
    and reaches the edge of the picture. Dust on it counts as glass.

    Parameters
    ----------
    picture
        `(rows, columns, channel)`, any type.
    radius
        Of the disk, in pixels.

    Returns
    -------
    ndarray, (rows, columns), bool
        Nowhere True where the background is dark, or nothing can be told apart.
    """
    # Here, as a window opens without it.
    from scipy.ndimage import distance_transform_edt, label

    nowhere, grey, dark = np.zeros(picture.shape[:2], bool), _grey(picture), _dark(picture)
    if dark is None or grey[dark].std() < grey[~dark].std():
        return nowhere
    core = distance_transform_edt(~dark) > radius
    if not core.any():
        return nowhere
    glass = distance_transform_edt(~core) <= radius
    lumps, count = label(glass)
    edge = {*lumps[0], *lumps[-1], *lumps[:, 0], *lumps[:, -1]} - {0}
    glass = np.isin(lumps, list(edge))
    lumps, count = label(~glass)
    small = np.bincount(lumps.ravel(), minlength=count + 1) < (2 * radius) ** 2
    found: NDArray[np.bool_] = glass | (small[lumps] & ~glass)
    return found


class WithoutGlass:
    """The mask of all of an image but bare glass around the tissue; see `bare_glass`.

    Parameters
    ----------
    stack
        The image. Each plane is looked at when it is first asked for.

    Attributes
    ----------
    description
        What it is.
    """

    description = "bare glass left out"

    def __init__(self, stack: ImageStack) -> None:
        self._stack = stack
        self._planes: LRUCache[tuple[int, ...], NDArray[np.bool_]] = LRUCache(KEPT)

    def inside(self, plane: Sequence[int], pixels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which pixels `(n, 2)` of a plane are no bare glass, `(n,)`."""
        glass = self._glass(tuple(plane))
        step = np.array(self._stack.plane_shape) / glass.shape
        cells = (from_map_edge(pixels, 1) / step).astype(int)
        y, x = np.minimum(cells, np.array(glass.shape) - 1).T
        found: NDArray[np.bool_] = ~glass[y, x]
        return found

    def area(self, plane: Sequence[int]) -> float:
        """Count the pixels of a plane that are no bare glass."""
        return float((~self._glass(tuple(plane))).mean() * math.prod(self._stack.plane_shape))

    def _glass(self, index: tuple[int, ...]) -> NDArray[np.bool_]:
        if index not in self._planes:
            picture = coarse_picture(self._stack.plane(index))
            if picture is None:
                self._planes[index] = np.zeros((1, 1), bool)
            else:
                size = self._stack.pixel_size
                radius = AIRSPACE_PX if size is None else AIRSPACE_UM / size
                scale = max(picture.shape[:2]) / max(self._stack.plane_shape)
                self._planes[index] = bare_glass(picture, max(2.0, radius * scale))
        return self._planes[index]


def _grey(picture: NDArray[Any]) -> NDArray[np.float32]:
    grey: NDArray[np.float32] = np.asarray(picture, np.float32).mean(axis=-1)
    return grey


def _dark(picture: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Tell the darker of two kinds of pixels; None if there are no two."""
    # Here, as a window opens without it.
    from skimage.filters import threshold_otsu

    grey = _grey(picture)
    if not np.isfinite(grey).all() or np.ptp(grey) == 0:
        return None
    dark: NDArray[np.bool_] = grey <= threshold_otsu(grey)  # type: ignore[no-untyped-call]
    return None if dark.all() or not dark.any() else dark
