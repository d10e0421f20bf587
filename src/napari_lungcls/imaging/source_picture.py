"""PNG and JPEG: one plane each, decoded whole, because the formats allow nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import JpegImagePlugin, PngImagePlugin
from PIL.ImageFile import ImageFile

from napari_lungcls.errors import InputError
from napari_lungcls.imaging.channels import Choice
from napari_lungcls.imaging.source_axes import READ_ERRORS
from napari_lungcls.imaging.stack import ImageStack

MAX_PIXELS = 2**30
"""Pixels of the largest picture that is decoded, 3 GiB of RGB.

Pillow warns at 89 million pixels, less than a section at 0.5 µm has. Its limit is a global
of the process, so its classes for the two formats are called directly, past that limit.
"""

_KINDS: tuple[tuple[bytes, type[ImageFile]], ...] = (
    (b"\x89PNG\r\n\x1a\n", PngImagePlugin.PngImageFile),
    (b"\xff\xd8\xff", JpegImagePlugin.JpegImageFile),
)
_GREY = {"1": "L", "LA": "L", "La": "L"}
_AS_THEY_ARE = ("L", "RGB", "I", "F")


def open_picture(path: Path, source: str, channels: Choice | None = None) -> ImageStack:
    """Decode a PNG or JPEG file, told by its first bytes and not by its name.

    Transparency is dropped, palettes and CMYK become RGB, 16-bit grey stays 16-bit. The
    dots per inch of such a file say nothing about the specimen: the pixel size is unknown.

    Parameters
    ----------
    path
        The file.
    source
        Names the file in messages.
    channels
        What to make of its channels, as for `ImageStack`.

    Raises
    ------
    InputError
        When the file is neither format, is damaged, or has more than `MAX_PIXELS` pixels.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(8)
            stream.seek(0)
            kind = next((k for magic, k in _KINDS if start.startswith(magic)), None)
            if kind is None:
                raise InputError(f"{source}: is not a PNG or JPEG image; export it again")
            with kind(stream) as picture:
                _check_size(picture, source)
                picture.load()
                pixels = np.asarray(_converted(picture))
    except InputError:
        raise
    except (*READ_ERRORS, SyntaxError) as error:
        raise InputError(f"{source}: is a damaged image ({error}); copy it again") from error
    return ImageStack(
        pixels, rgb=pixels.ndim == 3, name=path.stem, source=source, channels=channels
    )


def _check_size(picture: ImageFile, source: str) -> None:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise InputError(
            f"{source}: has {width} by {height} pixels, and PNG and JPEG can only be read "
            f"whole, up to {MAX_PIXELS}; convert it to OME-TIFF or OME-Zarr"
        )


def _converted(picture: ImageFile) -> ImageFile | object:
    """Give grey or RGB, whatever the file has."""
    mode = picture.mode
    if mode in _AS_THEY_ARE or mode.startswith("I;16"):
        return picture
    return picture.convert(_GREY.get(mode, "RGB"))
