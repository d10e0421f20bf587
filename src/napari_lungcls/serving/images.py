"""Images of requests: sent along, or named below a folder that the server may read."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from napari_lungcls.errors import InputError
from napari_lungcls.images.opening import open_image
from napari_lungcls.images.readers.picture import describe, told_by_content
from napari_lungcls.images.stack import ImageStack
from napari_lungcls.serving.budget import Budget
from napari_lungcls.serving.errors import Refusal
from napari_lungcls.serving.options import ServerOptions

NAME = "the image"
FILE = "image.png"
"""What any image that was sent is called on the disk: readers go by its first bytes."""


@contextmanager
def sent_image(
    data: bytes,
    options: ServerOptions,
    pixels: Budget,
    pixel_size: float | None,
    channels: str | None,
) -> Iterator[ImageStack]:
    """Open an image that came with a request; see `stored_image`."""
    with tempfile.TemporaryDirectory(prefix="lungcls-") as folder:
        path = Path(folder) / FILE
        path.write_bytes(data)
        with stored_image(path, options, pixels, pixel_size, channels) as stack:
            yield stack


@contextmanager
def stored_image(
    path: Path,
    options: ServerOptions,
    pixels: Budget,
    pixel_size: float | None,
    channels: str | None,
) -> Iterator[ImageStack]:
    """Open an image that was sent and written: a picture or TIFF, told by its first bytes.

    Its size is read from the header first, so that nothing absurd is decoded.

    Parameters
    ----------
    path
        The image, called `FILE`.
    options, pixels
        Limits on its pixels, and on those of all images that are open.
    pixel_size, channels
        As for `open_image`.

    Raises
    ------
    Refusal
        If it is empty or too large.
    Busy
        If other images take up the memory.
    InputError
        If it is no image that can be read.
    """
    if not path.stat().st_size:
        raise Refusal(400, "the request has no image", "send a PNG, JPEG or TIFF")
    try:
        if told_by_content(path) == "tiff":
            size = math.prod(open_image(path, channels).shape)
        else:
            size = math.prod(describe(path, NAME).size)
        _check_size(size, options)
        with pixels.take(size):
            stack = open_image(path, channels)
            stack.source = stack.name = NAME
            yield stack.with_pixel_size(pixel_size)
    except InputError as error:
        raise InputError(str(error).replace(str(path), NAME)) from error


@contextmanager
def named_image(
    name: str, options: ServerOptions, pixel_size: float | None, channels: str | None
) -> Iterator[ImageStack]:
    """Open an image by its path below one of the folders that the server may read.

    Raises
    ------
    Refusal
        If there is no such folder, or the path or a link leads out of it.
    """
    if not options.roots:
        raise Refusal(
            403,
            "this server opens no images by path",
            "send the image; who runs the server may open a folder for this",
        )
    plain = name.replace("\\", "/")
    if PurePosixPath(plain).is_absolute() or ".." in PurePosixPath(plain).parts or "\0" in name:
        raise Refusal(403, f"{name}: is no path below the server's folder", "give a relative path")
    for root in options.roots if _is_a_name(plain) else ():
        top = root.resolve()
        # A choice behind the file's name, such as file.h5:/dataset, is no part of the path.
        file = top / plain.partition(":")[0].partition("#")[0]
        found = file.resolve()
        if not found.is_relative_to(top):
            raise Refusal(403, f"{name}: a link leads out of the server's folder")
        if os.path.exists(found):  # False too where the system takes no such name
            inside = plain[len(plain.partition(":")[0].partition("#")[0]) :]
            # Clients need not know where the folder lies, whatever goes wrong until the end.
            try:
                stack = open_image(f"{found}{inside}", channels).with_pixel_size(pixel_size)
                stack.source = name
                yield stack
            except InputError as error:
                told = str(error).replace(f"{found}{inside}", name).replace(str(found), name)
                raise InputError(told) from error
            return
    raise Refusal(404, f"{name}: there is no such image", "give its path below the server's folder")


def _is_a_name(path: str) -> bool:
    """Tell whether the system can be asked for a path: half of a character is none."""
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return True


def _check_size(pixels: int, options: ServerOptions) -> None:
    if pixels > options.max_megapixels * 1e6:
        raise Refusal(
            413,
            f"the image has {pixels / 1e6:.0f} megapixels, and {options.max_megapixels:g} are "
            "taken at most",
            "send a part of it, or name it below the server's folder",
        )
