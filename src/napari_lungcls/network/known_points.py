"""What a model file tells of its points: where it learned, and what it predicted where it did not.

Painting makes no use of this. It tells which points are a fair test of a model, and leads from a
wrong prediction back to its point.
"""

from __future__ import annotations

import hashlib
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, model_validator

from napari_lungcls.images.stack import ImageStack
from napari_lungcls.run_identity import diagonal_samples
from napari_lungcls.utils.printable import printable

Part = Literal["validation", "test"]

DIGITS = 3
"""Decimals of the coordinates that are kept, in pixels."""

SAME_PLACE = 0.01
"""Pixels within which two points are the same; rounding moves a point by less."""


class ImageKey(NamedTuple):
    """What tells an image from others: its name, its shape, and a hash of some of its pixels."""

    name: str
    shape: tuple[int, ...]
    pixels: str = ""

    @classmethod
    def of(cls, stack: ImageStack) -> ImageKey:
        """Describe an image; a few places of it are read."""
        samples = diagonal_samples(stack)
        known = "" if None in samples else "".join(map(str, samples))
        pixels = hashlib.sha256(known.encode()).hexdigest()[:32] if known else ""
        return cls(printable(stack.name), stack.shape, pixels)


class ImagePoints(BaseModel, frozen=True, extra="ignore", allow_inf_nan=False):
    """Points of one image.

    Attributes
    ----------
    name
        Of the image, without folders.
    shape
        Its pixels along each axis, `(…, y, x)`.
    pixels
        Hash of some of its pixels; empty where they could not be read.
    trained
        `(n, ndim)` points that the network learned from, in pixels.
    held_out
        `(m, ndim)` points that were held out of the training that judged them. A model that
        went on with all points afterwards has these in `trained` as well.
    parts
        `(m,)` whether each was a validation or a test point.
    truth
        `(m,)` their classes, as codes of the model's scheme.
    probabilities
        `(m, k)` what the network that had not seen them said, calibrated.
    """

    name: str
    shape: tuple[int, ...]
    pixels: str = ""
    trained: list[tuple[float, ...]] = []
    held_out: list[tuple[float, ...]] = []
    parts: list[Part] = []
    truth: list[int] = []
    probabilities: list[tuple[float, ...]] = []

    @model_validator(mode="after")
    def _is_rectangular(self) -> ImagePoints:
        count, ndim = len(self.held_out), len(self.shape)
        if {len(self.parts), len(self.truth), len(self.probabilities)} != {count}:
            raise ValueError(f"{count} points are held out, and their columns have other lengths")
        if any(len(at) != ndim for at in (*self.trained, *self.held_out)):
            raise ValueError(f"a point does not have the {ndim} axes of its image")
        if len(set(map(len, self.probabilities))) > 1:
            raise ValueError("points have different numbers of probabilities")
        return self

    def is_of(self, image: ImageKey) -> bool:
        """Tell whether these are points of an image, which may have been renamed."""
        alike = self.name == image.name or (bool(self.pixels) and self.pixels == image.pixels)
        return self.shape == image.shape and alike


class KnownPoints(BaseModel, frozen=True, extra="ignore"):
    """Points of all images of a model.

    Attributes
    ----------
    images
        One entry per image.
    complete
        Whether these are all points that the network ever learned from. It is not so where
        training went on from a model that does not remember its own.
    """

    images: list[ImagePoints] = []
    complete: bool = True

    def fits(self, classes: int) -> bool:
        """Tell whether what is held out has so many classes."""
        return all(
            set(map(len, image.probabilities)) <= {classes}
            and all(0 <= code < classes for code in image.truth)
            for image in self.images
        )

    def trained_at(self, image: ImageKey, where: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which of the points `(n, ndim)` of an image the network learned from, `(n,)`."""
        known = [at for each in self.images if each.is_of(image) for at in each.trained]
        return match_places(np.array(known), where) >= 0

    def held_out_at(
        self, image: ImageKey, where: NDArray[np.float64]
    ) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Find the points `(n, ndim)` of an image among those that were held out.

        Returns
        -------
        rows : ndarray, (m,)
            Which of the points.
        probabilities : ndarray, (m, k), float32
        """
        alike = [each for each in self.images if each.is_of(image)]
        shares = [values for each in alike for values in each.probabilities]
        matched = match_places(np.array([at for each in alike for at in each.held_out]), where)
        rows = np.flatnonzero(matched >= 0)
        return rows, np.array([shares[row] for row in matched[rows].tolist()], np.float32)


def match_places(known: NDArray[np.float64], where: NDArray[np.float64]) -> NDArray[np.intp]:
    """Find points again by their coordinates.

    Parameters
    ----------
    known
        `(m, ndim)` points to find them among; may be empty.
    where
        `(n, ndim)` points to find.

    Returns
    -------
    ndarray, (n,)
        The row in `known` of each, −1 where there is none within `SAME_PLACE`.
    """
    from scipy.spatial import cKDTree

    if not len(known) or not len(where):
        return np.full(len(where), -1, np.intp)
    distances, rows = cKDTree(known).query(where)
    return np.where(distances <= SAME_PLACE, rows, -1).astype(np.intp)
