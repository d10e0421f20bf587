"""How a decision changes when the image around a point is covered patch by patch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax

from napari_lungcls.errors import InputError
from napari_lungcls.images.stack import ImageStack, Plane, check_inside, plane_indices
from napari_lungcls.inference.at_points import MARGIN
from napari_lungcls.inference.painter import Painter
from napari_lungcls.network.compatibility import fitting_zooms
from napari_lungcls.network.predictor import Predictor


@dataclass(frozen=True, eq=False)
class Occlusion:
    """How the decision at a point changes when a patch of the image is covered.

    Attributes
    ----------
    change
        `(rows, columns)` float32: by how much the probability of the class falls when the patch
        there is covered; NaN where it has not been covered yet.
    code
        The class: the likeliest at the point.
    probability
        Of the class, with nothing covered.
    origin
        Image position `(y, x)` of the middle of the first patch.
    edge
        Of the patches, in image pixels.
    """

    change: NDArray[np.float32]
    code: int
    probability: float
    origin: tuple[float, float]
    edge: int


def occlusion(
    predictor: Predictor,
    stack: ImageStack,
    position: ArrayLike,
    *,
    patches: int = 9,
    edge: int | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Generator[tuple[int, int], None, Occlusion | None]:
    """Cover the image around a point patch by patch, and ask the model each time.

    Parameters
    ----------
    predictor, stack, position, cancelled
        See `explain`.
    patches
        Along each side of the square around the point.
    edge
        Of a patch in image pixels; 16 pixels of the finest zoom by default.

    Yields
    ------
    tuple of int
        Patches covered, and patches in all.

    Returns
    -------
    Occlusion or None
        With the patches covered so far when cancelled; None before the first.

    Raises
    ------
    InputError
        As `explain` does.

    Notes
    -----
    Zeiler and Fergus 2014, "Visualizing and understanding convolutional networks", section 4.2,
    doi 10.1007/978-3-319-10590-1_53. A patch is given the mean colour of the square.
    """
    where = np.asarray(position, np.float64)
    check_inside(stack, where[np.newaxis], "the point")
    zooms = fitting_zooms(stack, predictor.document)
    edge = edge or max(1, round(16 * zooms[0]))
    index = tuple(int(i) for i in plane_indices(stack, where[np.newaxis])[0])
    y, x = where[-2:]
    # Patches begin at whole pixels; the point lies in the middle one.
    corner = [round(v - (patches * edge - 1) / 2) for v in (y, x)]
    change = np.full((patches, patches), np.nan, np.float32)
    colour = _mean_colour(stack.plane(index), corner, patches * edge)
    painting = predictor.engine.painting()

    def asked(image: ImageStack) -> NDArray[np.float32]:
        with Painter.of(predictor, zooms, painting) as painter:
            here = where[-2:-1], where[-1:]
            (logits,) = painter.lattices(image.plane(index), [here], margin=MARGIN)
            found: NDArray[np.float32] = softmax(painting.to_numpy(logits)[:, 0, 0])
            return found

    before = asked(stack)
    if not np.isfinite(before).all():
        raise InputError(
            f"the point sees NaN or infinite values of {stack.source}; choose another point"
        )
    code = int(before.argmax())
    origin = (corner[0] + (edge - 1) / 2, corner[1] + (edge - 1) / 2)
    # From the middle outwards, so that the part that matters is there first.
    order = sorted(
        np.ndindex(patches, patches), key=lambda at: max(abs(i - patches // 2) for i in at)
    )
    for number, (i, j) in enumerate(order):
        if cancelled():
            if not number:
                return None
            break
        yield number, len(order)
        top, left = corner[0] + i * edge, corner[1] + j * edge
        covered = _covered(stack, (top, left), edge, colour)
        change[i, j] = before[code] - asked(covered)[code]
    return Occlusion(change, code, float(before[code]), origin, edge)


def _mean_colour(plane: Plane, corner: Sequence[int], edge: int) -> NDArray[np.float64]:
    """Give the mean colour of a square of an image, as far as it lies inside: `(channels,)`."""
    rows, columns = (
        slice(max(0, first), min(size, first + edge))
        for first, size in zip(corner, plane.shape, strict=True)
    )
    pixels = plane.read(rows, columns)
    found: NDArray[np.float64] = pixels.reshape(-1, pixels.shape[-1]).mean(0, dtype=np.float64)
    return found


def _covered(
    stack: ImageStack, corner: tuple[int, int], edge: int, colour: NDArray[np.float64]
) -> ImageStack:
    """Give an image of which one square has one colour, at all levels of its pyramid."""
    found = copy.copy(stack)
    found.levels = [
        _CoveredLevel(level, [first / factor for first in corner], edge / factor, colour)
        for level, factor in zip(stack.levels, stack.factors, strict=True)
    ]
    return found


class _CoveredLevel:
    """A view of an array `(…, y, x)` or `(…, y, x, channel)` with a square of one colour."""

    def __init__(
        self, array: Any, corner: Sequence[float], edge: float, colour: NDArray[np.float64]
    ) -> None:
        self._array, self._colour = array, colour
        self._square = [
            (round(first), max(round(first) + 1, round(first + edge))) for first in corner
        ]
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, key: tuple[Any, ...]) -> NDArray[Any]:
        """Read a region of a plane; `key` ends with the slices of rows and columns."""
        region = np.array(self._array[key])
        rows, columns = (
            slice(max(0, first - side.start), max(0, last - side.start))
            for (first, last), side in zip(self._square, key[-2:], strict=True)
        )
        colour = self._colour if region.ndim == 3 else self._colour[0]
        if np.issubdtype(region.dtype, np.integer):
            colour = np.rint(colour)
        if region.ndim == 3:
            region[rows, columns, : len(self._colour)] = colour
        else:
            region[rows, columns] = colour
        return region
