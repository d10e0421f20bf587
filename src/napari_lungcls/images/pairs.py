"""Images with their points."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_lungcls.annotation import Points, read_points
from napari_lungcls.annotation.columns import IMAGE_COLUMN
from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.images.channels import Choice
from napari_lungcls.images.opening import as_stack, open_image
from napari_lungcls.images.readers.hdf5 import split_dataset
from napari_lungcls.images.readers.selection import split_choice
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.utils.names import Folder, KnownImages, comparable, distinct
from napari_lungcls.utils.printable import printable

Pair = tuple[ImageStack, Points]
"""An image and its points."""

PathLike = str | os.PathLike[str]
AnyPoints = Points | PathLike


def open_pairs(
    images: Sequence[PathLike],
    tables: Sequence[PathLike],
    pixel_size: float | None = None,
    channels: Choice | None = None,
) -> list[tuple[ImageStack, Points]]:
    """Open images and their points.

    Parameters
    ----------
    images
        Paths of images.
    tables
        One points file for each image, in the same order, or one file whose column
        `image` names them, relative to the file.
    pixel_size
        Micrometres per pixel, overriding what the images say.
    channels
        Which channels of the images to use, as for `open_image`.

    Raises
    ------
    InputError
        When something is missing or nobody can tell which points belong to which image.

    Examples
    --------
    >>> [(stack, points)] = lc.open_pairs(["section.ome.tif"], ["section.csv"])
    >>> stack.shape, len(points)
    ((192, 192), 60)
    """
    stacks = [open_image(Path(image), channels).with_pixel_size(pixel_size) for image in images]
    known = stacks if len(stacks) == len(tables) else [None] * len(tables)
    points = [read_points(table, image=stack) for table, stack in zip(tables, known, strict=True)]
    if len(points) == 1 and _names(points[0]) is not None:
        return _by_name(images, stacks, points[0], Path(tables[0]))
    if len(points) != len(stacks):
        raise InputError(
            f"{len(stacks)} images and {len(points)} points files; give one points file for "
            "each image, in the same order, or one whose column 'image' names them"
        )
    return list(zip(stacks, points, strict=True))


def as_pairs(image: Any, points: AnyPoints | None) -> list[tuple[ImageStack, Points]]:
    """Take an image with its points, or a list of such pairs, in any form."""
    if points is None:
        pairs = isinstance(image, Sequence) and all(_is_pair(each) for each in image)
        if not pairs or not len(image):
            raise InputError("give an image and its points, or a list of (image, points) pairs")
        return [pair for each in image for pair in as_pairs(*each)]
    stack = as_stack(image)
    table = points if isinstance(points, Points) else read_points(points, image=stack)
    return [(stack, table)]


def image_name(stack: ImageStack, folder: Path) -> str:
    """Name an image as the column `image` of a table in `folder` does: by its relative path."""
    whole, chosen = split_choice(stack.source)
    file, inside = split_dataset(whole)
    if not Path(file).exists():
        return printable(stack.name)
    part = (f":{inside}" if inside else "") + (f"#{chosen}" if chosen else "")
    try:
        return printable(os.path.relpath(os.path.abspath(file), folder) + part)
    except ValueError:  # another drive of Windows
        return printable(os.path.abspath(file) + part)


def points_on(image: PathLike, stack: ImageStack, points: Points, table: Path) -> Points:
    """Give those points of a table that lie on an image: all if it names none.

    Raises
    ------
    InputError
        When the table names other images only.
    """
    if _names(points) is None:
        return points
    return _by_name([image], [stack], points, table)[0][1]


def _is_pair(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2


def _by_name(
    images: Sequence[PathLike], stacks: Sequence[ImageStack], points: Points, table: Path
) -> list[tuple[ImageStack, Points]]:
    names = _names(points)
    assert names is not None
    known, folder = KnownImages(images), Folder(table.parent)
    named = [name for name in dict.fromkeys(names) if comparable(name)]
    found = {name: known.place(name, folder, str(table)) for name in named}
    where = np.array([-1 if found.get(name) is None else found[name] for name in names], np.int64)
    twice = known.given_twice()
    if twice is not None:
        raise InputError(f"{images[twice]} is given twice; name each image once")
    pairs = []
    for place, (image, stack) in enumerate(zip(images, stacks, strict=True)):
        mine = where == place
        if not mine.any():
            others = ", ".join(sorted(map(printable, distinct(named))))
            raise InputError(
                f"{table}: no point names the image {image}; its column 'image' names {others}, "
                "relative to the file"
            )
        pairs.append((stack, points.select(mine)))
    used = where >= 0
    if not used.all():
        warnings.warn(
            f"{table}: {(~used).sum()} points name images that were not given and are left out",
            LungclsWarning,
            stacklevel=2,
        )
    return pairs


def _names(points: Points) -> NDArray[np.object_] | None:
    """Return the column `image`, if there is one and it says anything."""
    names = points.column(IMAGE_COLUMN)
    return names if names is not None and any(map(comparable, names)) else None
