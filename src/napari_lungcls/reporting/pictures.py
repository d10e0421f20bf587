"""Pictures for people to look at: class maps in colour, and large images made small."""

from __future__ import annotations

import base64
import io
import os

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_lungcls.annotation.schemes import ClassScheme
from napari_lungcls.utils.atomic_write import write_whole

UNPAINTED = (208, 208, 208)


def label_picture(classes: NDArray[np.uint8], scheme: ClassScheme) -> NDArray[np.uint8]:
    """Colour a class map by its scheme.

    Parameters
    ----------
    classes
        `(h, w)`, 0 = not painted, code + 1 = class.
    scheme
        The classes and their colours.

    Returns
    -------
    array
        `(h, w, 3)` uint8; light grey where nothing is painted.

    Raises
    ------
    ValueError
        When a class is not in the scheme or the shape does not fit.
    """
    if classes.ndim != 2 or classes.dtype != np.uint8:
        raise ValueError(f"a class map is (h, w) uint8, not {classes.shape} {classes.dtype}")
    if classes.size and int(classes.max()) > len(scheme):
        raise ValueError(f"class {int(classes.max()) - 1} is not among {len(scheme)} classes")
    colors = np.array([UNPAINTED, *(_rgb(color) for color in scheme.colors)], dtype=np.uint8)
    colored: NDArray[np.uint8] = colors[classes]
    return colored


def downsample_picture(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Shrink a picture by a whole factor, by area average, until it fits into `side` pixels.

    Parameters
    ----------
    picture
        `(y, x)` or `(y, x, 3)` uint8.
    side
        Largest height and width of the result. A picture that fits is returned as it is.

    Returns
    -------
    array
        uint8; cells at the lower and right border average the pixels that are there.

    Raises
    ------
    ValueError
        When `side` is not positive.
    """
    if side < 1:
        raise ValueError(f"a picture cannot be {side} pixels wide")
    height, width = picture.shape[:2]
    factor = -(-max(height, width) // side)
    if factor <= 1:
        return picture
    rows, columns = np.arange(0, height, factor), np.arange(0, width, factor)
    total = np.add.reduceat(picture, rows, axis=0, dtype=np.uint32)
    total = np.add.reduceat(total, columns, axis=1)
    counts = np.outer(np.diff(np.append(rows, height)), np.diff(np.append(columns, width))).reshape(
        len(rows), len(columns), *(1,) * (picture.ndim - 2)
    )
    mean: NDArray[np.uint8] = np.rint(total / counts).astype(np.uint8)
    return mean


def png_bytes(picture: NDArray[np.uint8]) -> bytes:
    """Encode a `(y, x, 3)` uint8 picture as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()


def write_picture(path: str | os.PathLike[str], picture: NDArray[np.uint8]) -> None:
    """Write a `(y, x, 3)` uint8 picture to a PNG file.

    Raises
    ------
    InputError
        When nothing can be written there.
    """
    write_whole(path, png_bytes(picture))


def data_uri(png: bytes) -> str:
    """Give an address that contains the PNG file itself."""
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"


def _rgb(color: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red, green, blue
