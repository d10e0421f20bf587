"""Which of several images of one file is meant, and `file#2`, by which another one is chosen."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence
from typing import NamedTuple

from napari_lungcls.errors import InputError, LungclsWarning

_ASSOCIATED = re.compile(
    r"(?<![^\W_])(thumb(nail)?s?|macro|labels?|overview|barcode|slide ?preview|mask)(?![^\W_])",
    re.I,
)
"""Names of pictures that scanners put beside the image of a slide."""

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
        What is put behind the path of the file to open it: `#2`, or `:/inside`.
    name
        As the file calls it; may be empty.
    shape, dtype
        Of the array as it is stored.
    taken
        Whether it is opened when nobody chooses.
    """

    choice: str
    name: str
    shape: tuple[int, ...]
    dtype: str
    taken: bool = False


def is_associated(name: str) -> bool:
    """Tell by its name whether a picture only goes with the image of a slide."""
    return _ASSOCIATED.search(name) is not None


def split_choice(path: str) -> tuple[str, str | None]:
    """Split `file.tif#2` into the file and what is chosen of it, a number or a name.

    A `#` that is part of the name of an existing file is no choice.
    """
    if os.path.exists(path):
        return path, None
    file, mark, chosen = path.rpartition("#")
    return (file, chosen) if mark and chosen and os.path.exists(file) else (path, None)


def choose(
    images: Sequence[Candidate], chosen: str | None, source: str, *, silent: bool = False
) -> int:
    """Tell which image of a file is meant: the one chosen, else the largest.

    Parameters
    ----------
    images
        All images of the file, in its order; at least one.
    chosen
        Number of an image, counted from 1, or its name; None if nobody has chosen.
    source
        Names the file in messages, without the choice.
    silent
        Whether the others are such as every file of its kind has, and not worth a word.

    Returns
    -------
    int
        Its position in `images`. Thumbnails, macros and labels, told by their names, are
        taken only when they are chosen or there is nothing else.

    Raises
    ------
    InputError
        When there is no such image.

    Warns
    -----
    LungclsWarning
        With the image that was taken and those that were left, when nobody has chosen.
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
    said = [_said(images, i) for i in which]
    return ", ".join(said[:_MOST_NAMES]) + (", …" if len(said) > _MOST_NAMES else "")


def _said(images: Sequence[Candidate], index: int) -> str:
    image = images[index]
    name = f" {image.name}" if image.name else ""
    return f"{index + 1}{name} ({image.height} × {image.width})"
