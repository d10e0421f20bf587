"""Choosing one of several images in a file, as in `file#2`."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence
from typing import NamedTuple

from napari_lungcls.errors import InputError, LungclsWarning
from napari_lungcls.utils.humanize import listing

_ASSOCIATED = re.compile(
    r"(?<![^\W_])(thumb(nail)?s?|macro|labels?|overview|barcode|slide ?preview|mask)(?![^\W_])",
    re.I,
)
"""Names of pictures that scanners add to the image of a slide."""

_MOST_NAMES = 10


class Candidate(NamedTuple):
    """One image of a file.

    Attributes
    ----------
    name
        As the file calls it; may be empty.
    height, width
        Pixels of a plane.
    """

    name: str
    height: int
    width: int


class Listed(NamedTuple):
    """One image of a file, to choose from.

    Attributes
    ----------
    choice
        Suffix to the path of the file that opens it: `#2`, or `:/inside`.
    name
        As the file calls it; may be empty.
    shape, dtype
        Of the stored array.
    taken
        Whether it is opened by default.
    """

    choice: str
    name: str
    shape: tuple[int, ...]
    dtype: str
    taken: bool = False


def is_associated(name: str) -> bool:
    """Tell by its name whether a picture only accompanies a slide."""
    return _ASSOCIATED.search(name) is not None


def split_choice(path: str) -> tuple[str, str | None]:
    """Split `file.tif#2` into the file and the chosen image, a number or a name.

    A `#` in the name of an existing file does not count.
    """
    if os.path.exists(path):
        return path, None
    file, mark, chosen = path.rpartition("#")
    return (file, chosen) if mark and chosen and os.path.exists(file) else (path, None)


def choose(
    images: Sequence[Candidate], chosen: str | None, source: str, *, silent: bool = False
) -> int:
    """Return which image of a file to open: the chosen one, else the largest.

    Parameters
    ----------
    images
        All images of the file, in its order; at least one.
    chosen
        Number of an image, counted from 1, or its name; None for the default.
    source
        Names the file in messages, without the choice.
    silent
        Whether not to warn about other images, because every file of its kind has them.

    Returns
    -------
    int
        Its position in `images`. Thumbnails, macros and labels, recognised by their names, are
        only taken when chosen or when there is nothing else.

    Raises
    ------
    InputError
        When there is no such image.

    Warns
    -----
    LungclsWarning
        Names the image that was taken and the others, if none was chosen.
    """
    if chosen is not None:
        return _find(images, chosen, source)
    main = [i for i, image in enumerate(images) if not is_associated(image.name)]
    best = max(main or range(len(images)), key=lambda i: images[i].height * images[i].width)
    if len(images) > 1 and not silent:
        others = [i for i in range(len(images)) if i != best]
        warnings.warn(
            f"{source}: holds {len(images)} images; {_said(images, best)} is taken and "
            f"{len(others)} left: {_list(images, others)}. To take another, write its number "
            f"behind the name, as in {os.path.basename(source)}#{others[0] + 1}",
            LungclsWarning,
            stacklevel=2,
        )
    return best


def _find(images: Sequence[Candidate], chosen: str, source: str) -> int:
    named = [i for i, image in enumerate(images) if image.name == chosen]
    if len(named) == 1:
        return named[0]
    if chosen.isdecimal() and 1 <= int(chosen) <= len(images):
        return int(chosen) - 1
    raise InputError(
        f"{source}#{chosen}: there is no image {chosen!r} in this file; it holds "
        f"{_list(images, range(len(images)))}"
    )


def _list(images: Sequence[Candidate], which: Sequence[int]) -> str:
    return listing((_said(images, i) for i in which), _MOST_NAMES)


def _said(images: Sequence[Candidate], index: int) -> str:
    image = images[index]
    name = f" {image.name}" if image.name else ""
    return f"{index + 1}{name} ({image.height} × {image.width})"
