"""What a model file tells of the data it was trained on, and the user's own words about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError

from napari_lungcls.errors import InputError
from napari_lungcls.utils.names import comparable
from napari_lungcls.utils.printable import printable

LONGEST = 4000
"""Characters of each of the user's own texts."""

MOST = 10_000
"""Images, or groups, that are listed."""

Count = Annotated[int, Field(ge=0)]


def _text(said: str) -> Any:
    return Field(default="", max_length=LONGEST, description=f"for the model card: {said}")


class ModelNotes(BaseModel, frozen=True, extra="forbid"):
    """What only the user knows about a model, in the user's words.

    Attributes
    ----------
    description
        What it is, and whose tissue it learned from.
    staining
        How that was stained.
    intended_use
        What it is for.
    limitations
        What it is not for, and where it is known to fail.
    """

    description: str = _text("what it is, and whose tissue it learned from")
    staining: str = _text("how that was stained")
    intended_use: str = _text("what it is for")
    limitations: str = _text("what it is not for, and where it is known to fail")

    @classmethod
    def check(cls, **texts: str) -> ModelNotes:
        """Build notes from what a user typed.

        Raises
        ------
        InputError
            When a text is too long, or of another name.
        """
        try:
            return cls(**texts)
        except ValidationError as error:
            first = error.errors()[0]
            raise InputError(str(first["msg"]), setting=str(first["loc"][0])) from error


class ImageSummary(BaseModel, frozen=True, extra="ignore", allow_inf_nan=False):
    """One image, or one file of patches, that was trained on.

    Attributes
    ----------
    name
        Without folders.
    shape
        Its pixels along each axis; of patches their number, height and width.
    pixel_size
        Micrometres per pixel of the image, or None.
    dtype, rgb
        Of its intensities.
    counts
        Labelled examples of each class, in the order of the scheme.
    """

    name: str
    shape: tuple[int, ...]
    pixel_size: float | None = Field(default=None, gt=0)
    dtype: str
    rgb: bool
    counts: list[Count]


class AdaptedTo(BaseModel, frozen=True, extra="ignore"):
    """An image on which batch normalisation was estimated anew; see `adaptation`.

    Attributes
    ----------
    image
        Its name.
    tiles
        How many of it were read.
    """

    image: str
    tiles: int = Field(ge=1)


class DataSummary(BaseModel, frozen=True, extra="ignore"):
    """All labelled data that a training was given.

    Attributes
    ----------
    images
        One entry per image.
    groups
        Labelled examples of each class by group (animal, slide), in the order of the scheme; empty
        where the data name none. What has no group is under the empty name.
    """

    images: list[ImageSummary] = Field(default=[], max_length=MOST)
    groups: dict[str, list[Count]] = Field(default={}, max_length=MOST)

    def fits(self, classes: int) -> bool:
        """Tell whether every count has so many classes."""
        counts = [*(image.counts for image in self.images), *self.groups.values()]
        return all(len(each) == classes for each in counts)

    def counts(self) -> list[int]:
        """Add up the examples of each class."""
        return [sum(column) for column in zip(*(i.counts for i in self.images), strict=True)]


def count_classes(codes: NDArray[np.int64], classes: int) -> list[int]:
    """Count examples of each class."""
    return [int(n) for n in np.bincount(codes, minlength=classes)]


def count_groups(
    parts: Iterable[tuple[NDArray[np.object_] | None, NDArray[np.int64]]], classes: int
) -> dict[str, list[int]]:
    """Count examples of each class by group.

    Parameters
    ----------
    parts
        Names of the groups `(n,)`, or None, and classes `(n,)` of each part of the data.
    classes
        How many classes there are.

    Returns
    -------
    dict
        By the spelling that comes first; empty where no example has a group.
    """
    spelled: dict[str, str] = {}
    found: dict[str, NDArray[np.int64]] = {}
    for names, codes in parts:
        said = np.full(len(codes), "", object) if names is None else names
        keys = np.array([comparable(name) for name in said], object)
        for key in dict.fromkeys(keys.tolist()):
            mine = keys == key
            spelled.setdefault(key, printable(str(said[mine][0])).strip())
            tally = found.setdefault(key, np.zeros(classes, np.int64))
            tally += np.bincount(codes[mine], minlength=classes)
    named: Mapping[str, NDArray[np.int64]] = found if found.keys() - {""} else {}
    return {spelled[key]: tally.tolist() for key, tally in list(named.items())[:MOST]}
